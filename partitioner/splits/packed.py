"""``packed``: sub-tasks of any fragments, so that whole fragments balance as well as they can."""

from __future__ import annotations

from dataclasses import replace
from heapq import heapify, heappop, heappush, heapreplace
from math import inf

import numpy as np

from partitioner.errors import InfeasiblePlan
from partitioner.model import Costs, Dataset, Limits, SubTasks
from partitioner.model.data import Floats, Ints
from partitioner.splits.base import Splitter
from partitioner.splits.ordered import contiguous
from partitioner.splits.pieces import Load, Packing
from partitioner.splits.sizing import Size, split_whole_or_cut

TRIED_BINS = 8
"""Bins looked at for one piece before a new one is opened, where memory is short."""


class Packed(Splitter):
    """Longest processing time first (Graham 1969) over whole fragments; contiguous ranges where they must be cut.

    Once fragments can be cut, filling sub-tasks one after the other needs the fewest cuts and is even (McNaughton
    1959), so cut fragments are split as ``ordered`` does. LPT is O(n log tasks).
    """

    name = "packed"

    def split(self, dataset: Dataset, costs: Costs, limits: Limits) -> SubTasks:
        """Sub-tasks numbered by their first fragment; the fragments of each are in input order."""
        return split_whole_or_cut(
            dataset,
            costs,
            limits,
            lambda load, size: longest_first(load, size, limits),
            lambda load, size: contiguous(load, size, limits),
        )


def longest_first(load: Load, size: Size, limits: Limits) -> Packing:
    """LPT into as few sub-tasks as it finds, from ``size.tasks`` on.

    What is longer than ``size.seconds`` by itself gets a sub-task to itself.
    """
    bounded = size.memory_bytes < inf and load.summed
    capped, allowed = load.capped(size.seconds), size.seconds * (1 + 1e-9)
    count = min(size.tasks, len(load))
    while True:
        if bounded:
            labels = _lpt_bounded(capped.weights, load.memory_bytes, count, size.memory_bytes)
        else:
            labels = _lpt(capped.weights, count)
        packing = Packing.of_labels(labels)
        made = len(packing.offsets) - 1
        if made > size.max_tasks:
            raise InfeasiblePlan(
                f"Packing under allowed_mem = {limits.allowed_mem} bytes took {made} sub-tasks, and max_tasks = "
                f"{limits.max_tasks}; raise max_tasks to {made} or allow more memory per sub-task."
            )
        if packing.sums(capped.seconds).max() <= allowed:
            return packing
        if count >= min(len(load), size.max_tasks):  # the target gives way
            return longest_first(load, replace(size, tasks=count, seconds=inf), limits)
        count = int(min(max(count + 1, count * 1.02), len(load), size.max_tasks))


def _lpt(weights: Floats, count: int) -> Ints:
    """The bin of every piece: heaviest first, each to the least loaded of ``count`` bins."""
    order = np.argsort(-weights, kind="stable")
    labels = np.empty(len(weights), np.int64)
    heap = [(0.0, b) for b in range(count)]
    chosen = []
    for weight in weights[order].tolist():
        load, b = heap[0]
        heapreplace(heap, (load + weight, b))
        chosen.append(b)
    labels[order] = chosen
    return labels


def _lpt_bounded(weights: Floats, memory: Floats, count: int, limit: float) -> Ints:
    """LPT where a bin also holds at most ``limit`` bytes; a bin is opened when none of ``TRIED_BINS`` has room."""
    order = np.argsort(-weights, kind="stable")
    sizes = memory[order]
    smallest_left = np.minimum.accumulate(sizes[::-1])[::-1].tolist()
    limit *= 1 + 1e-9
    free = [limit] * count
    heap = [(0.0, b) for b in range(count)]
    heapify(heap)
    chosen = []
    for weight, need, smallest in zip(weights[order].tolist(), sizes.tolist(), smallest_left, strict=True):
        aside: list[tuple[float, int]] = []
        while heap and len(aside) < TRIED_BINS and free[heap[0][1]] < need:
            entry = heappop(heap)
            if free[entry[1]] >= smallest:  # else nothing that is left fits: the bin is closed
                aside.append(entry)
        if heap and free[heap[0][1]] >= need:
            load, b = heappop(heap)
        else:
            load, b = 0.0, len(free)
            free.append(limit)
        free[b] -= need
        heappush(heap, (load + weight, b))
        for entry in aside:
            heappush(heap, entry)
        chosen.append(b)
    labels = np.empty(len(weights), np.int64)
    labels[order] = chosen
    return labels
