"""Round robin: the next eligible worker in turn, whatever the task costs."""

from __future__ import annotations

import numpy as np

from partitioner.model.data import Ints
from partitioner.placement.base import EVERYTHING, Algorithm, Schedule
from partitioner.placement.objectives import Objective
from partitioner.placement.partial import Partial
from partitioner.placement.problem import Problem
from partitioner.placement.sequence import run_in_order, slots_of
from partitioner.placement.worker_queues import run_queues


class RoundRobin(Algorithm):
    """Arrival order, workers in turn; the baseline that ignores costs."""

    name = "round_robin"
    supports = EVERYTHING
    guarantee = "none"
    complexity = "O(n)"
    source = "folklore"

    def solve(self, problem: Problem, objective: Objective, seed: int, deadline: float) -> Schedule:
        """See ``Algorithm.solve``."""
        order = problem.topological
        worker = turns(problem, order)
        if problem.has_edges or (problem.slots is None and problem.uses_gpu.any()):
            partial = Partial(problem)
            for i in order.tolist():
                j = int(worker[i])
                partial.place(i, j, partial.earliest(i, j)[0])
            return partial.schedule()
        if problem.slots is None:
            return run_queues(problem, worker, order)
        return run_in_order(problem, spread_over_slots(problem, worker), order)


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


def spread_over_slots(problem: Problem, worker: Ints) -> Ints:
    """int64[n]: the slots of each worker in turn for the tasks it was given, in index order."""
    per_worker = slots_of(problem).per_group[problem.group_of]
    first = np.cumsum(per_worker) - per_worker
    by_worker = np.argsort(worker, kind="stable")
    counts = np.bincount(worker, minlength=problem.m)
    rank = np.empty(problem.n, np.int64)
    rank[by_worker] = np.arange(problem.n) - np.repeat(np.cumsum(counts) - counts, counts)
    return first[worker] + rank % per_worker[worker]
