"""From who runs what to when: starts and finishes of tasks that follow one another on slots."""

from __future__ import annotations

import numpy as np

from partitioner.model.data import Floats, Ints
from partitioner.placement.problem import Problem, Slots
from partitioner.placement.schedule import Schedule


def slots_of(problem: Problem) -> Slots:
    """The slots of a problem whose algorithm does not support ``several``; refused before, so always there."""
    slots = problem.slots
    if slots is None:
        raise ValueError("the problem does not decompose into slots")
    return slots


def times_on_slots(problem: Problem, slot: Ints) -> Floats:
    """float64[n]: seconds of each task on the slot it was given."""
    group = slots_of(problem).group[slot]
    times = np.empty(problem.n)
    for g in range(problem.groups):
        here = group == g
        if here.any():
            times[here] = problem.times_on(g)[here]
    return times


def run_in_order(problem: Problem, slot: Ints, order: Ints | None = None) -> Schedule:
    """Each slot runs its tasks back to back in ``order`` (int64[n] task indices; by default by index).

    For tasks without dependencies; a release makes a slot wait.
    """
    slots = slots_of(problem)
    place = slot if order is None else slot[order]
    by_slot = np.argsort(place, kind="stable")
    if order is not None:
        by_slot = order[by_slot]
    times = times_on_slots(problem, slot)
    counts = np.bincount(slot, minlength=len(slots))
    start, finish = np.empty(problem.n), np.empty(problem.n)
    waits = problem.has_releases
    before = np.full(problem.n, -1, np.int32)
    at = 0
    for count in counts[counts > 0].tolist():
        tasks = by_slot[at : at + count]
        ends = _with_releases(times[tasks], problem.release[tasks]) if waits else np.cumsum(times[tasks])
        finish[tasks] = ends
        start[tasks[0]] = max(0.0, problem.release[tasks[0]]) if waits else 0.0
        start[tasks[1:]] = np.maximum(ends[:-1], problem.release[tasks[1:]]) if waits else ends[:-1]
        before[tasks[1:]] = tasks[:-1]
        at += count
    return Schedule(slots.worker[slot], start, finish, before=before)


def _with_releases(times: Floats, release: Floats) -> Floats:
    """Finishes of tasks in this order on one slot, each not before its release."""
    ends = np.empty(len(times))
    at = 0.0
    for i, (seconds, earliest) in enumerate(zip(times.tolist(), release.tolist(), strict=True)):
        at = max(at, earliest) + seconds
        ends[i] = at
    return ends


def longest_first(problem: Problem) -> Ints:
    """int64[n]: tasks by their time on their fastest worker, longest first, ties by index."""
    return np.argsort(-problem.fastest, kind="stable")
