"""How many partial results one merge takes: from their size, the memory of a slot, the slots, and the cost of the link.

The binary tree that the number of partial results fixes (``tree``) is cut into stages: a merge of fan-in 2^d does d levels
of it at once. So every fan-in gives the same bits; it decides only what is written between the stages, how many
work at a time, and how much one of them holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

LINK = 1e9
"""Bytes per second from where partial results lie to a worker, digest checked (``benchmarks.reduce_memory`` prints it)."""
MERGING = 2e9
"""Bytes per second of merging in memory: an addition reads two numbers for each that it writes."""
HANDING_OVER = 0.05
"""Seconds until an attempt that was handed over begins and its end is heard of."""
DEEPEST = 6
"""Levels of the tree in one merge at most: a fan-in of 64."""


@dataclass(frozen=True, slots=True)
class FanIn:
    """``levels`` of the binary tree in one merge; ``stages``: the levels at which results are committed, ascending.

    ``held`` partial results in memory at once; ``seconds`` estimated for all of it; ``merges`` how many.
    """

    levels: int
    stages: tuple[int, ...]
    held: int
    merges: int
    seconds: float

    @property
    def inputs(self) -> int:
        """Partial results of one merge at most."""
        return int(2**self.levels)


def held_by(levels: int, in_place: bool) -> int:
    """Partial results in memory at once: one waits on each level, beside the two that are merged into one, or a third."""
    return levels + (1 if in_place else 2)


def fan_in(count: int, size: float, slots: int, memory: float, in_place: bool, deepest: int = DEEPEST) -> FanIn:
    """The fastest by estimate of those whose merges fit in ``memory`` bytes; 2 where none does.

    ``count`` partial results of up to ``size`` bytes, ``slots`` that work at once; ``deepest``: levels in one merge at most.
    """
    top = max(1, (count - 1).bit_length())
    fitting = [d for d in range(1, min(top, deepest) + 1) if held_by(d, in_place) * size <= memory] or [1]
    return min((_of(d, top, count, size, slots, in_place) for d in fitting), key=lambda f: (f.seconds, f.levels))


def of_levels(levels: int, count: int, size: float, slots: int, in_place: bool) -> FanIn:
    """The one with so many levels in one merge."""
    return _of(levels, max(1, (count - 1).bit_length()), count, size, slots, in_place)


def _of(levels: int, top: int, count: int, size: float, slots: int, in_place: bool) -> FanIn:
    stages = (*range(levels, top, levels), top)
    seconds, merges, below = 0.0, 0, 0
    for stage in stages:
        pieces, made = width(count, below), width(count, stage)
        inputs = pieces / made
        one = HANDING_OVER + (inputs + 1) * size / LINK + (inputs - 1) * size / MERGING
        seconds += ceil(made / slots) * one
        merges += made
        below = stage
    return FanIn(levels, stages, held_by(levels, in_place), merges, seconds)


def width(count: int, level: int) -> int:
    """Nodes of the tree over ``count`` leaves at a level."""
    return -(-count >> level) if count else 0


def span(count: int, level: int, place: int) -> Sequence[int]:
    """The leaves below a node."""
    return range(place << level, min(count, (place + 1) << level))
