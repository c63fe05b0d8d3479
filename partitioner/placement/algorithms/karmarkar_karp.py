"""Largest differencing: commit the two most uneven partial partitions to opposite sides, again and again."""

from __future__ import annotations

import heapq
from typing import NamedTuple

import numpy as np

from partitioner.model.data import Floats, Ints
from partitioner.placement.base import Algorithm, Supports, above
from partitioner.placement.objectives import Objective
from partitioner.placement.problem import Problem
from partitioner.placement.schedule import Schedule
from partitioner.placement.schedules.sequence import longest_first, run_in_order, slots_of

_MOST_CELLS = 20_000_000


class _Merge(NamedTuple):
    """Two parts joined: position k holds ``left``'s position ``order[k]`` and ``right``'s mirrored one."""

    left: int
    right: int
    order: Ints


class KarmarkarKarp(Algorithm):
    """The multi-way largest differencing method on equal slots."""

    name = "karmarkar_karp"
    supports = Supports(max_tasks=50_000)
    guarantee = "4/3 - 1/(3 (m - 1)) on identical workers; in practice far below"
    complexity = "O(n (log n + m log m)) time, O(n m) memory"
    source = "N. Karmarkar, R. M. Karp, The differencing method of set partitioning, UCB/CSD 82/113 (1982)"

    def refusals(self, problem: Problem) -> list[str]:
        """See ``Algorithm.refusals``."""
        cells = problem.n * (0 if problem.slots is None else len(problem.slots))
        return super().refusals(problem) + above(cells, "pairs of task and slot", _MOST_CELLS)

    def solve(self, problem: Problem, objective: Objective, seed: int, deadline: float) -> Schedule:
        """See ``Algorithm.solve``."""
        slot = differencing(problem.times_on(0), len(slots_of(problem)))
        return run_in_order(problem, slot, longest_first(problem))


def differencing(times: Floats, parts: int) -> Ints:
    """int64[n]: the part, of ``parts``, of each task."""
    n = len(times)
    loads: dict[int, Floats] = {}
    heap: list[tuple[float, int]] = []
    for i, seconds in enumerate(times.tolist()):
        heap.append((-seconds if parts > 1 else 0.0, i))
        loads[i] = np.zeros(parts)
        loads[i][0] = seconds
    heapq.heapify(heap)
    merges: list[_Merge] = []
    while len(heap) > 1:
        left, right = heapq.heappop(heap)[1], heapq.heappop(heap)[1]
        joined = loads.pop(left) + loads.pop(right)[::-1]
        order = np.argsort(-joined, kind="stable")
        joined = joined[order]
        joined -= joined[-1]
        loads[n + len(merges)] = joined
        heapq.heappush(heap, (-float(joined[0]), n + len(merges)))
        merges.append(_Merge(left, right, order.astype(np.int32)))
    return _unfold(n, parts, merges)


def _unfold(n: int, parts: int, merges: list[_Merge]) -> Ints:
    """From the last merge back: which part each task ended in."""
    label: dict[int, Ints] = {n + len(merges) - 1: np.arange(parts)}
    if not merges:
        return np.zeros(n, np.int64)
    slot = np.empty(n, np.int64)
    for at in range(len(merges) - 1, -1, -1):
        merge, mine = merges[at], label.pop(n + at)
        left = np.empty(parts, np.int64)
        left[merge.order] = mine
        for node, positions in ((merge.left, left), (merge.right, left[::-1])):
            if node < n:
                slot[node] = positions[0]
            else:
                label[node] = positions
    return slot
