"""Targets row by row: heavy rows longest first, light ones in contiguous stretches that fill all partitions to level."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    at which each target is full; ``heavy``: input partition -> cost -> targets of its rows of just that cost. Nothing rests
    on the order of rows within an input partition, which a shuffle does not repeat.
    """

    light_before: Floats
    ends: Floats
    heavy: Mapping[int, Mapping[float, Sequence[int]]]

    def router(self, partition: int) -> Router:
        """What decides for the rows of one input partition."""
        before = float(self.light_before[partition]) if partition < len(self.light_before) else 0.0
        return Router(before, self.ends, {cost: list(t) for cost, t in self.heavy.get(partition, {}).items()})


class Router:
    """Targets of the rows of one input partition, batch after batch."""

    def __init__(self, light: float, ends: Floats, heavy: dict[float, list[int]]) -> None:
        self._light, self._ends, self._heavy = light, ends, heavy

    def targets(self, costs: Floats) -> Ints:
        """int64[rows] for the costs of the next rows."""
        light = costs.copy()
        single: dict[int, int] = {}
        for i in np.flatnonzero(np.isin(costs, list(self._heavy))).tolist():
            if waiting := self._heavy[float(costs[i])]:
                single[i] = waiting.pop()
                light[i] = 0.0
        until = self._light + np.cumsum(light)
        found = np.searchsorted(self._ends, until - light / 2, "left")
        targets = np.minimum(found, len(self._ends) - 1).astype(np.int64)
        for i, target in single.items():
            targets[i] = target
        self._light = float(until[-1]) if len(until) else self._light
        return targets


def candidates(costs: Floats, partitions: int) -> Floats:
    """Costs of the rows of one input partition that may be heavy in the whole, whatever the others hold."""
    found: Floats = costs[costs > costs.sum() / (HEAVY * partitions)]
    return found


def stretches(sums: Floats, parts: Ints, costs: Floats, partitions: int) -> Stretches:
    """From the summed cost of every input partition, and the candidates: their input partitions and costs."""
    really = costs > float(sums.sum()) / (HEAVY * partitions)
    parts, costs = parts[really], costs[really]
    targets, loads = longest_first(costs, np.zeros(partitions))
    light = sums.copy()
    np.subtract.at(light, parts, costs)
    light = np.maximum(light, 0.0)
    room = np.maximum(0.0, level(loads, float(light.sum())) - loads)
    before = np.concatenate([np.zeros(1), np.cumsum(light)[:-1]])
    heavy: dict[int, dict[float, list[int]]] = {}
    for part, cost, target in zip(parts.tolist(), costs.tolist(), targets.tolist(), strict=True):
        heavy.setdefault(part, {}).setdefault(cost, []).append(target)
    return Stretches(before, np.cumsum(room), heavy)


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
