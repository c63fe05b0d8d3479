"""Random: each task on a random eligible worker, the baseline that everything should beat."""

from __future__ import annotations

import numpy as np

from partitioner.placement.base import EVERYTHING, Algorithm
from partitioner.placement.objectives import Objective
from partitioner.placement.problem import Problem
from partitioner.placement.schedule import Schedule
from partitioner.placement.schedules.worker_queues import run_assigned


class Random(Algorithm):
    """A seeded uniform choice among the workers that can run the task; arrival order."""

    name = "random"
    spreads = False
    role = "none"
    supports = EVERYTHING
    guarantee = "none"
    complexity = "O(n log n), O(n G) where eligibility differs"
    source = "folklore"

    def solve(self, problem: Problem, objective: Objective, seed: int, deadline: float) -> Schedule:
        """See ``Algorithm.solve``."""
        draw = np.random.default_rng(seed).uniform(0, 1, problem.n)
        if problem.eligible_everywhere:
            worker = np.minimum((draw * problem.m).astype(np.int64), problem.m - 1)
        else:
            by_group = np.argsort(problem.group_of, kind="stable")
            first = np.cumsum(problem.size) - problem.size
            worker = np.empty(problem.n, np.int64)
            for i in range(problem.n):
                sizes = np.where(np.isfinite(problem.times_of(i)), problem.size, 0)
                until = np.cumsum(sizes)
                pick = min(int(draw[i] * until[-1]), int(until[-1]) - 1)
                g = int(np.searchsorted(until, pick, side="right"))
                worker[i] = by_group[first[g] + pick - (until[g] - sizes[g])]
        return run_assigned(problem, worker, problem.topological)
