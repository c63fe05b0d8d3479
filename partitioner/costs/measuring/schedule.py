"""What a pilot runs and in which order: rounds of pieces, and calls of many of them."""

from __future__ import annotations

import numpy as np

from partitioner.costs.fitting.fitted import Fitted
from partitioner.costs.measuring.pilot import Pilot
from partitioner.costs.measuring.row_ranges import LEAST_PIECES, SPAN
from partitioner.model import Fragments
from partitioner.model.data import Floats, Ints

ROUNDS = 5

WARMING = 2
"""Calls after the first of a process that are not told: code and data reach the caches, libraries what they put off."""

EVEN = 1.25
"""Largest over smallest size, or seconds, up to which pieces are alike."""

CALLS = 3
"""Calls of a slot that this spell is cut into."""


def evenly(by_size: Ints, slots: int) -> Ints:
    """Pieces dealt to slots there and back, so that all are done at about the same time: what runs alone runs faster."""
    deals = [by_size[i : i + slots] for i in range(0, len(by_size), slots)]
    return np.concatenate([by_size[:0], *(deal[:: -1 if k % 2 else 1] for k, deal in enumerate(deals))])


def schedule(pilot: Pilot, slots: int = 1) -> tuple[list[Ints], int]:
    """Indices of the pieces of each round, and how many calls after the first of a slot warm it.

    Many pieces: the smallest runs that often more before the others, for what warms up would be counted to small calls. Of
    few it warms the slots alone; where it holds next to nothing it runs once more, to tell what a call costs by itself.
    Few of one size are two rounds after it: where those of the second take as long as one another, the third tells nothing.
    """
    rounds, size = _rounds(len(pilot.pieces)), pilot.columns["bytes"]
    if len(rounds) > 1:
        return [np.append(np.repeat(rounds[0][:1], WARMING), rounds[0]), *rounds[1:]], WARMING
    again = 0 if size.max(initial=0.0) >= SPAN * size.min(initial=np.inf) else 1
    rest = rounds[0][again:]
    enough = max(slots, 2) if alike(size) else len(rest)
    return [part for part in (rounds[0][:1], rest[:enough], rest[enough:]) if len(part)], 0


def alike(values: Floats) -> bool:
    """Whether several values differ by no more than chance and the machine let them."""
    return len(values) > 1 and bool(values.max() <= EVEN * values.min())


def _rounds(n: int) -> list[Ints]:
    """Indices 0..n-1, sorted by size, dealt to ``ROUNDS`` that each span all sizes.

    The first holds the largest, which tells most where each call costs much, and enough others to fit.
    """
    every = max(min(ROUNDS, -(-n // (LEAST_PIECES + 1))), 1)
    return [np.arange(n - 1 - k, -1, -every)[::-1] for k in range(every)]


def calls(reserve: Pilot | None, so_far: Fitted, window: float, slots: int) -> tuple[Pilot, Ints]:
    """Pieces and how many make each call of ``slots`` slots in a ``window`` of seconds; none where it holds too few.

    As many as a third of the window holds by the fit so far. Where that would be more than there are, calls that double:
    the fit may be wrong, and who runs them looks at the clock.
    """
    none = np.zeros(0, np.int64)
    if reserve is None or not len(reserve.pieces):
        return Pilot(Fragments.of([]), none, {}, 0.0), none
    wanted = window / CALLS - so_far.fixed_seconds
    ahead = so_far.predict(reserve.columns)[0]
    fits = np.flatnonzero(ahead <= max(wanted, 0.0))
    ends = np.floor(np.cumsum(ahead[fits]) / max(wanted, 1e-9))
    sizes = np.unique(ends, return_counts=True)[1][: int(2 * CALLS * slots)]
    if len(sizes) < 2 * slots and len(fits) == len(ahead):
        sizes = doubling(len(fits), slots)
    if len(sizes) < 2 * slots:
        return reserve.take(none), none
    return reserve.take(fits[: int(sizes.sum())]), sizes.astype(np.int64)


def doubling(n: int, slots: int) -> Ints:
    """Sizes of calls of all ``n`` pieces: one in every slot, two, four, and so on; of the last, all are as large."""
    doubled = np.repeat(2 ** np.arange(max(n, 1).bit_length()), slots)
    return doubled[: int((np.cumsum(doubled) <= n).sum()) // slots * slots]
