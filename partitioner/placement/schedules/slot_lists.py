"""List scheduling on slots: a heap per group of equal workers, a few microseconds per task."""

from __future__ import annotations

import heapq

import numpy as np

from partitioner.model.data import Floats, Ints
from partitioner.placement.problem import Problem
from partitioner.placement.schedules.sequence import slots_of

Heap = list[tuple[float, int]]
_FEW_GROUPS = 12


def assign(problem: Problem, order: Ints, by_load: bool = False) -> Ints:
    """int64[n]: the slot of each task, taken in ``order``, each to where it finishes first.

    ``by_load``: to the eligible slot that is free first instead, whatever the task would take there. Ties go to the
    first slot. O(n log S) for equal workers, O(n (G + log S)) for G groups.
    """
    slots = slots_of(problem)
    heaps = _heaps(slots.group, problem.groups)
    if problem.identical:
        everything = [(0.0, s) for s in range(len(slots))]
        return _one_heap(everything, order, problem.times_on(0), problem.release if problem.has_releases else None)
    if problem.groups <= _FEW_GROUPS and not problem.has_releases:
        return _few_heaps(problem, heaps, order, by_load)
    return _many_heaps(problem, heaps, order, by_load)


def _heaps(group: np.ndarray, groups: int) -> list[Heap]:
    """Per group the heap of (load, slot), all empty."""
    by_group = np.argsort(group, kind="stable")
    cuts = np.searchsorted(group[by_group], np.arange(1, groups))
    return [[(0.0, s) for s in part.tolist()] for part in np.split(by_group, cuts)]


def _one_heap(heap: Heap, order: Ints, times: Floats, release: Floats | None) -> Ints:
    """Identical slots: least load and earliest finish are the same."""
    taken = np.empty(len(order), np.int64)
    chosen = []
    replace = heapq.heapreplace
    if release is None:
        for seconds in times[order].tolist():
            load, s = heap[0]
            chosen.append(s)
            replace(heap, (load + seconds, s))
    else:
        for seconds, earliest in zip(times[order].tolist(), release[order].tolist(), strict=True):
            load, s = heap[0]
            chosen.append(s)
            replace(heap, (max(load, earliest) + seconds, s))
    taken[order] = chosen
    return taken


def _few_heaps(problem: Problem, heaps: list[Heap], order: Ints, by_load: bool) -> Ints:
    """A handful of groups: compare their first slots in plain Python."""
    rows = zip(*(problem.times_on(g)[order].tolist() for g in range(problem.groups)), strict=True)
    tops = [heap[0][0] if heap else np.inf for heap in heaps]
    indices = range(len(heaps))
    chosen = []
    replace = heapq.heapreplace
    infinite = np.inf
    for row in rows:
        best, at = infinite, -1
        for g in indices:
            if row[g] == infinite:
                continue
            value = tops[g] if by_load else tops[g] + row[g]
            if value < best or (value == best and at >= 0 and heaps[g][0][1] < heaps[at][0][1]):
                best, at = value, g
        heap = heaps[at]
        load, s = heap[0]
        chosen.append(s)
        replace(heap, (load + row[at], s))
        tops[at] = heap[0][0]
    taken = np.empty(len(order), np.int64)
    taken[order] = chosen
    return taken


def _many_heaps(problem: Problem, heaps: list[Heap], order: Ints, by_load: bool) -> Ints:
    """Many groups, or releases: compare the first slots of all groups with numpy."""
    tops = np.array([heap[0][0] if heap else np.inf for heap in heaps])
    slot = np.array([heap[0][1] if heap else 0 for heap in heaps])
    taken = np.empty(problem.n, np.int64)
    releases = problem.release
    for i in order.tolist():
        times = problem.times_of(i)
        begin = np.maximum(tops, releases[i])
        finish = begin + times
        value = np.where(np.isfinite(times), tops, np.inf) if by_load else finish
        at = int(np.argmin(np.where(value == value.min(), slot, len(taken) + slot.max() + 1)))
        heap = heaps[at]
        taken[i] = heap[0][1]
        heapq.heapreplace(heap, (float(finish[at]), heap[0][1]))
        tops[at], slot[at] = heap[0]
    return taken
