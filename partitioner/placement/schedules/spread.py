"""Everything at once, spread over the workers: the best there is where the cluster has room for all tasks."""

from __future__ import annotations

import numpy as np

from partitioner.placement.problem import Problem
from partitioner.placement.schedule import Schedule
from partitioner.placement.schedules.cluster_state import ClusterState

_MOST_PAIRS = 2_000_000
"""Pairs of task and worker that are looked at: about a second."""


def all_at_once(problem: Problem) -> Schedule | None:
    """Every task starts at its release on a worker that runs it fastest, the emptiest of those; None where that fails.

    For tasks of unequal demands without dependencies. Where it works no plan ends earlier; it is tried where demands and
    capacities do not rule it out. O(n m K).
    """
    if problem.has_edges or problem.n * problem.m > _MOST_PAIRS or not _room(problem):
        return None
    state = ClusterState(problem)
    worker = np.empty(problem.n, np.int32)
    devices: dict[int, tuple[int, ...]] = {}
    whole = np.where(np.isfinite(state.free) & (state.free > 0), state.free, np.inf)
    held = np.zeros(problem.m)
    for i in np.argsort(-(problem.demand / state.largest).max(axis=1, initial=0.0), kind="stable").tolist():
        times = problem.times_of(i)[problem.group_of]
        able = np.flatnonzero(state.fits(i) & (times == problem.fastest[i]))
        if not len(able):
            return None
        used = (1 - state.free[able] / whole[able]).max(axis=1, initial=0.0) if whole.size else np.zeros(len(able))
        j = int(able[np.lexsort((held[able], used))[0]])
        taken = state.take(i, j)
        if taken:
            devices[i] = taken
        worker[i] = j
        held[j] += 1
    start = np.maximum(problem.release, 0.0)
    return Schedule(worker, start, start + problem.fastest, devices=devices)


def _room(problem: Problem) -> bool:
    """Whether all demands together are within what all workers have."""
    offered = (problem.capacity * problem.size[:, None]).sum(axis=0)
    fits = bool(np.all(problem.demand.sum(axis=0) <= offered * (1 + 1e-9)))
    return fits and float(problem.gpus.sum()) <= float((problem.devices * problem.size).sum()) + 1e-9
