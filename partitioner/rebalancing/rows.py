"""Targets row by row: heavy rows longest first, light ones in contiguous stretches that fill all partitions to level."""

from __future__ import annotations

from dataclasses import dataclass
from heapq import heapify, heapreplace

import numpy as np

from partitioner.model.data import Floats, Ints

HEAVY = 50
"""A row or key is heavy above this part of an even partition; there are then at most so many per partition."""


@dataclass(frozen=True, slots=True, eq=False)
class Stretches:
    """Where every row goes.

    ``light_before`` float64[input partitions]: light cost in the input before each; ``ends`` float64[partitions]: light cost
    at which each target is full; ``heavy``: (input partition, row) -> target.
    """

    light_before: Floats
    ends: Floats
    heavy: dict[tuple[int, int], int]

    def targets(self, partition: int, costs: Floats, first_row: int = 0, light: float = 0.0) -> tuple[Ints, float]:
        """int64[rows] targets of some rows of an input partition that begin at ``first_row`` with ``light`` cost before.

        Also the light cost up to their end, for the next rows of the partition.
        """
        costs = costs.copy()
        single = {i: t for i in range(len(costs)) if (t := self.heavy.get((partition, first_row + i))) is not None}
        for i in single:
            costs[i] = 0.0
        until = light + np.cumsum(costs)
        before = self.light_before[partition] if partition < len(self.light_before) else 0.0
        found = np.searchsorted(self.ends, before + until - costs / 2, "left")
        targets = np.minimum(found, len(self.ends) - 1).astype(np.int64)
        for i, target in single.items():
            targets[i] = target
        return targets, float(until[-1]) if len(until) else light


def candidates(costs: Floats, partitions: int) -> Ints:
    """Rows of one input partition that may be heavy in the whole, whatever the other partitions hold."""
    return np.flatnonzero(costs > costs.sum() / (HEAVY * partitions))


def stretches(sums: Floats, heavy_at: list[tuple[int, int]], heavy_costs: Floats, partitions: int) -> Stretches:
    """From the summed cost of every input partition and the candidates' places and costs."""
    total = float(sums.sum())
    really = np.flatnonzero(heavy_costs > total / (HEAVY * partitions))
    places = [heavy_at[i] for i in really]
    targets, loads = longest_first(heavy_costs[really], np.zeros(partitions))
    light = sums.copy()
    np.subtract.at(light, [p for p, _ in places], heavy_costs[really])
    light = np.maximum(light, 0.0)
    room = np.maximum(0.0, level(loads, float(light.sum())) - loads)
    before = np.concatenate([np.zeros(1), np.cumsum(light)[:-1]])
    return Stretches(before, np.cumsum(room), dict(zip(places, targets.tolist(), strict=True)))


def longest_first(costs: Floats, loads: Floats) -> tuple[Ints, Floats]:
    """Targets of n costs, longest first to the least loaded (Graham 1969), and the loads afterwards. O(n log n)."""
    heap = [(load, b) for b, load in enumerate(loads.tolist())]
    heapify(heap)
    targets = np.zeros(len(costs), np.int64)
    for i in np.argsort(-costs, kind="stable").tolist():
        load, b = heap[0]
        targets[i] = b
        heapreplace(heap, (load + float(costs[i]), b))
    loads = loads.copy()
    for load, b in heap:
        loads[b] = load
    return targets, loads


def level(loads: Floats, light: float) -> float:
    """The height to which ``light`` divisible cost fills bins that hold ``loads`` already."""
    heights = np.sort(loads)
    filled = np.arange(1, len(heights) + 1)
    reached = (light + np.cumsum(heights)) / filled
    fits = reached <= np.append(heights[1:], np.inf)
    return float(reached[int(np.argmax(fits))])
