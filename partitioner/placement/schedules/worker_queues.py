"""Tasks already given to workers: when each runs, every worker taking its own in order."""

from __future__ import annotations

import heapq

import numpy as np

from partitioner.model.data import Ints
from partitioner.placement.problem import TOLERANCE, Problem
from partitioner.placement.schedule import Schedule
from partitioner.placement.schedules.partial import Partial


def run_assigned(problem: Problem, worker: Ints, order: Ints) -> Schedule:
    """The schedule of a given assignment ``worker`` int64[n], tasks taken in ``order`` (parents first).

    Without dependencies, first in first out on every worker; with them, or with shared GPUs, each task in ``order`` at
    its earliest start, holes included.
    """
    if problem.has_edges or (problem.slots is None and problem.uses_gpu.any()):
        partial = Partial(problem)
        for i in order.tolist():
            j = int(worker[i])
            partial.place(i, j, partial.earliest(i, j)[0])
        return partial.schedule()
    return run_queues(problem, worker, order)


def run_queues(problem: Problem, worker: Ints, order: Ints) -> Schedule:
    """First in, first out on every worker, no task before the one ahead of it. No dependencies, O(n log n)."""
    start = np.zeros(problem.n)
    seconds = np.empty(problem.n)
    groups = problem.group_of[worker]
    for g in range(problem.groups):
        here = groups == g
        seconds[here] = problem.times_on(g)[here]
    queue = order[np.argsort(worker[order], kind="stable")]
    cuts = np.searchsorted(worker[queue], np.arange(1, problem.m))
    slots = problem.slots
    demand = problem.demand if slots is None else np.ones((problem.n, 1))
    capacity = problem.capacity if slots is None else slots.per_group[:, None].astype(np.float64)
    one_by_one = slots is not None and int(slots.per_group.max()) == 1
    before = np.full(problem.n, -1, np.int32) if one_by_one else None
    for j, mine in enumerate(np.split(queue, cuts)):
        if before is not None:
            before[mine[1:]] = mine[:-1]
        if len(mine):
            room = (capacity[problem.group_of[j]] * (1 + TOLERANCE)).tolist()
            start[mine] = _starts(seconds[mine].tolist(), demand[mine].tolist(), problem.release[mine].tolist(), room)
    return Schedule(worker.astype(np.int32), start, start + seconds, before=before)


def _starts(seconds: list[float], demands: list[list[float]], releases: list[float], free: list[float]) -> list[float]:
    """Start of each task of one worker's queue."""
    running: list[tuple[float, int]] = []
    now = 0.0
    starts = []
    kinds = range(len(free))
    for i, demand in enumerate(demands):
        now = max(now, releases[i])
        while running and running[0][0] <= now:
            done = heapq.heappop(running)[1]
            for k in kinds:
                free[k] += demands[done][k]
        while any(demand[k] > free[k] for k in kinds):
            now, done = heapq.heappop(running)
            for k in kinds:
                free[k] += demands[done][k]
        for k in kinds:
            free[k] -= demand[k]
        starts.append(now)
        heapq.heappush(running, (now + seconds[i], i))
    return starts
