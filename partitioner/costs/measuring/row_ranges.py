"""Which rows of fragments make the pieces of a pilot: single ones over all sizes, blocks of them, and a reserve."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from partitioner.model.data import Floats, Ints

RESERVE = 256
"""Pieces for the spell in which every slot is busy, at most."""

SINGLES = 18
FEW_SINGLES = 3
BLOCKS = 12
LEAST_PIECES = 6

SPAN = 4.0
"""Largest over smallest size from which on the line through pieces is believed where it meets no work at all."""

TINY = 8
"""One in so many rows of the first stratum is smaller than the one taken: the smallest of all may be empty, and fail."""

FEW_BLOCK = 4
"""Rows of the one block in a pilot of ``LEAST_PIECES`` far apart: it pays once for the call, four times for a row."""


def row_ranges(
    sizes: list[Floats],
    lengths: Ints,
    free: list[npt.NDArray[np.bool_]],
    budget: int,
    budget_bytes: float,
    rng: np.random.Generator,
) -> tuple[Ints, Ints, Ints]:
    """(parent, first row, past the last row) of the pieces: single rows, then blocks, none overlapping.

    Rows that are taken are no longer ``free``.
    """
    out: list[tuple[int, int, int]] = []

    def take(parent: int, start: int, stop: int) -> None:
        if free[parent][start:stop].all():
            free[parent][start:stop] = False
            out.append((parent, start, stop))

    parent = np.repeat(np.arange(len(lengths)), lengths)
    row = np.concatenate([np.arange(n) for n in lengths])
    size = np.concatenate(sizes)
    # Single rows tell the cost over sizes of rows: where all are alike a few will do, and the budget goes to blocks.
    most = SINGLES if float(size.std()) > 0.2 * float(size.mean()) else FEW_SINGLES
    small = np.flatnonzero(size <= max(budget_bytes / 8, float(np.median(size))))
    ordered = small[np.argsort(size[small], kind="stable")]
    apart = size[ordered[-1]] >= SPAN * size[ordered[len(ordered) // LEAST_PIECES // TINY]]
    block = min(FEW_BLOCK, int(lengths.max(initial=1))) if apart and 2 < budget <= LEAST_PIECES else 1
    singles = max(min(most, budget // 3), 1) if budget > LEAST_PIECES else budget - (block > 1)
    for i, stratum in enumerate(np.array_split(ordered, min(singles, len(ordered)))):
        # Of few the first is one of the smallest: what a call costs by itself shows where it holds next to nothing.
        at = stratum[rng.integers(len(stratum)) if i or budget > LEAST_PIECES else len(stratum) // TINY]
        take(int(parent[at]), int(row[at]), int(row[at]) + 1)
    if block > 1 and (place := _lightest(sizes, free, block, float(size[ordered[-1]]))) is not None:
        take(*place)
    for length in _geometric(budget - singles, int(lengths.max())):
        fits = np.flatnonzero(lengths >= length)
        for _ in range(4):  # a few tries for a place that is still free
            before = len(out)
            j = int(fits[rng.integers(len(fits))])
            start = int(rng.integers(lengths[j] - length + 1))
            take(j, start, start + length)
            if len(out) > before:
                break
    triples = np.array(out, np.int64).reshape(-1, 3)
    return triples[:, 0], triples[:, 1], triples[:, 2]


def _lightest(
    sizes: list[Floats], free: list[npt.NDArray[np.bool_]], length: int, most: float
) -> tuple[int, int, int] | None:
    """(parent, first row, past the last row) of the ``length`` free rows, one after another, that hold least; of fewer, but
    two, where these hold more than ``most``.
    """
    found: list[tuple[float, int, int]] = []
    for j, (size, open_here) in enumerate(zip(sizes, free, strict=True)):
        if len(size) < length:
            continue
        sums = np.convolve(np.where(open_here, size, np.inf), np.ones(length), "valid")
        if np.isfinite(least := float(sums.min())):
            found.append((least, j, int(np.argmin(sums))))
    least, parent, start = min(found, default=(np.inf, -1, 0))
    if least > most and length > 2:
        return _lightest(sizes, free, length - 1, most)
    return None if parent < 0 else (parent, start, start + length)


def reserved(
    lengths: Ints, free: list[npt.NDArray[np.bool_]], budget: int, rng: np.random.Generator
) -> tuple[Ints, Ints, Ints]:
    """(parent, first row, past the last row) of equal blocks of rows that are still free, at most ``RESERVE``, shuffled."""
    length = max(min(budget // 48, int(lengths.max(initial=1))), 1)
    places = [
        (parent, start, start + length)
        for parent, n in enumerate(lengths.tolist())
        for start in range(0, n - length + 1, length)
        if free[parent][start : start + length].all()
    ]
    picked = rng.permutation(len(places))[:RESERVE]
    triples = np.array([places[i] for i in picked], np.int64).reshape(-1, 3)
    return triples[:, 0], triples[:, 1], triples[:, 2]


def _geometric(total: int, largest: int) -> list[int]:
    """At most ``BLOCKS`` lengths >= 2 with a sum of about ``total``, growing geometrically, none above ``largest``."""
    count = min(BLOCKS, max(total // 8, min(LEAST_PIECES, total // 3)))
    if count <= 0 or largest < 2:
        return []
    low, high = 1.0, float(max(total, 2)) ** (1 / max(count - 1, 1))
    for _ in range(60):  # bisection for the ratio whose series has the sum
        ratio = (low + high) / 2
        series = 2 * ratio ** np.arange(count)
        low, high = (ratio, high) if series.sum() < total else (low, ratio)
    return [int(min(max(round(s), 2), largest)) for s in 2 * low ** np.arange(count)]
