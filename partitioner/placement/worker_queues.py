"""Tasks already given to workers that run several at once: each worker starts its queue in order as soon as demands fit."""

from __future__ import annotations

import heapq

import numpy as np

from partitioner.model.data import Ints
from partitioner.placement.base import Schedule
from partitioner.placement.problem import TOLERANCE, Problem


def run_queues(problem: Problem, worker: Ints, order: Ints) -> Schedule:
    """First in, first out on every worker, no task before the one ahead of it. No dependencies, no GPUs.

    ``worker`` int64[n], ``order`` int64[n] task indices. O(n log n).
    """
    start = np.zeros(problem.n)
    seconds = np.empty(problem.n)
    groups = problem.group_of[worker]
    for g in range(problem.groups):
        here = groups == g
        seconds[here] = problem.times_on(g)[here]
    queue = order[np.argsort(worker[order], kind="stable")]
    cuts = np.searchsorted(worker[queue], np.arange(1, problem.m))
    demand = problem.demand
    for j, mine in enumerate(np.split(queue, cuts)):
        if len(mine):
            capacity = (problem.capacity[problem.group_of[j]] * (1 + TOLERANCE)).tolist()
            start[mine] = _starts(
                seconds[mine].tolist(), demand[mine].tolist(), problem.release[mine].tolist(), capacity
            )
    return Schedule(worker.astype(np.int32), start, start + seconds)


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
