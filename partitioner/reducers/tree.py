"""A merge tree whose shape depends on the number of sub-tasks alone.

Rounding depends on how a sum is grouped. Merging neighbours in pairs, level by level, in task order gives the same bits
whatever the engine and the order of completion, and a rounding error that grows with log n (Higham 1993).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from partitioner.errors import ConfigError
from partitioner.reducers.base import Reducer


class MergeTree:
    """Takes the accumulators of ``count`` sub-tasks in any order; merges two as soon as both are there.

    Holds at most one accumulator per gap: O(log n) of them when they arrive in order. ``owned``: nobody else holds what is
    put, so that it may be merged in place.
    """

    __slots__ = ("_count", "_merge", "_missing", "_reducer", "_waiting")

    def __init__(self, reducer: Reducer, count: int, owned: bool = False) -> None:
        self._reducer = reducer
        self._merge = reducer.merge_into if owned else reducer.merge_accumulators
        self._count = count
        self._missing = set(range(count))
        self._waiting: dict[tuple[int, int], Any] = {}

    def put(self, index: int, accumulator: Any) -> None:
        """The accumulator of sub-task ``index``. Raises ConfigError for one that is unknown or was there before."""
        if index not in self._missing:
            raise ConfigError(
                f"Sub-task {index} is not one of the {len(self._missing)} of {self._count} still to merge."
            )
        self._missing.remove(index)
        level, place, width = 0, index, self._count
        while width > 1:
            if place == width - 1 and place % 2 == 0:  # the odd one out moves up alone
                level, place, width = level + 1, place // 2, (width + 1) // 2
                continue
            sibling = self._waiting.pop((level, place ^ 1), self)
            if sibling is self:
                break
            accumulator = self._merge(*((sibling, accumulator) if place % 2 else (accumulator, sibling)))
            del sibling
            level, place, width = level + 1, place // 2, (width + 1) // 2
        self._waiting[level, place] = accumulator

    def result(self) -> Any:
        """The merged accumulator; that of no sub-tasks is the empty one. Raises ConfigError while some are missing."""
        if self._missing:
            shown = ", ".join(map(str, sorted(self._missing)[:5]))
            raise ConfigError(
                f"{len(self._missing)} of {self._count} sub-tasks have not been merged yet: {shown}"
                f"{', ...' if len(self._missing) > 5 else ''}."
            )
        return next(iter(self._waiting.values())) if self._waiting else self._reducer.create_accumulator()


def merge_tree(reducer: Reducer, accumulators: Iterable[Any], count: int | None = None, owned: bool = False) -> Any:
    """All accumulators, given in task order, as one; with their ``count`` they are taken from an iterator one by one."""
    if count is None:
        accumulators = list(accumulators)
        count = len(accumulators)
    tree = MergeTree(reducer, count, owned)
    for index, part in enumerate(accumulators):
        tree.put(index, part)
        del part
    return tree.result()
