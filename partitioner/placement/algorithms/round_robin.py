"""Round robin: the next eligible worker in turn, whatever the task costs."""

from __future__ import annotations

import numpy as np

from partitioner.model.data import Ints
from partitioner.placement.base import EVERYTHING, Algorithm
from partitioner.placement.objectives import Objective
from partitioner.placement.problem import Problem
from partitioner.placement.schedule import Schedule
from partitioner.placement.schedules.worker_queues import run_assigned


class RoundRobin(Algorithm):
    """Arrival order, workers in turn; the baseline that ignores costs."""

    name = "round_robin"
    role = "none"
    supports = EVERYTHING
    guarantee = "none"
    complexity = "O(n log n)"
    source = "folklore"

    def solve(self, problem: Problem, objective: Objective, seed: int, deadline: float) -> Schedule:
        """See ``Algorithm.solve``."""
        order = problem.topological
        return run_assigned(problem, turns(problem, order), order)


def turns(problem: Problem, order: Ints) -> Ints:
    """int64[n]: the next eligible worker in turn for each task in ``order``."""
    worker = np.empty(problem.n, np.int64)
    if problem.eligible_everywhere:
        worker[order] = np.arange(problem.n) % problem.m
        return worker
    group_of, at = problem.group_of.tolist(), 0
    for i in order.tolist():
        able = np.isfinite(problem.times_of(i)).tolist()
        while not able[group_of[at]]:
            at = (at + 1) % problem.m
        worker[i] = at
        at = (at + 1) % problem.m
    return worker
