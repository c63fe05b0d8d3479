"""Two workers share their tasks anew, as evenly as a dynamic programme can: a block of the ``block_exchange`` search."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from partitioner.model.data import Floats

Bools = npt.NDArray[np.bool_]
_LEVELS = 20_000
_TABLE = 4_000


def split_alike(times: Floats) -> Bools:
    """bool[k]: tasks for the first of two equal workers, such that the larger of the two loads is least.

    Subset sums as bits of one long integer, O(k L / 64) for L load levels; exact for whole numbers below 20,000 in all,
    to the nearest 1/20,000 of the total otherwise.
    """
    whole = _levels(times, _LEVELS)
    reach = [1]
    for amount in whole:
        reach.append(reach[-1] | reach[-1] << amount)
    total = sum(whole)
    half = total // 2
    left = (reach[-1] & ((1 << (half + 1)) - 1)).bit_length() - 1
    chosen = np.zeros(len(whole), np.bool_)
    for k in range(len(whole) - 1, -1, -1):
        if not reach[k] >> left & 1:
            chosen[k] = True
            left -= whole[k]
    return chosen


def split_unlike(first: Floats, second: Floats, limit: float) -> Bools | None:
    """bool[k]: tasks for the first of two workers with different times, least larger load; None: none below ``limit``.

    f[x] = least load of the second for load x of the first, O(k L). Infinite times mean that it cannot run there.
    """
    scale = _TABLE / limit if limit > _TABLE or np.any(first[np.isfinite(first)] % 1) else 1.0
    size = int(np.ceil(limit * scale)) + 1
    cost = np.full(size, np.inf)
    cost[0] = 0.0
    taken = np.zeros((len(first), size), np.bool_)
    for k, (here, there) in enumerate(zip(first.tolist(), second.tolist(), strict=True)):
        stay = cost + there
        step = round(here * scale) if np.isfinite(here) else size
        if step < size:
            move = np.full(size, np.inf)
            move[step:] = cost[: size - step]
            taken[k] = move < stay
            cost = np.minimum(stay, move)
        else:
            cost = stay
    worst = np.maximum(np.arange(size) / scale, cost)
    left = int(worst.argmin())
    if not worst[left] < limit:
        return None
    chosen = np.zeros(len(first), np.bool_)
    for k in range(len(first) - 1, -1, -1):
        if taken[k, left]:
            chosen[k] = True
            left -= round(float(first[k]) * scale)
    return chosen


def _levels(times: Floats, most: int) -> list[int]:
    """Whole numbers in proportion to ``times``; the times themselves where they are whole and not too large."""
    total = float(times.sum())
    if total <= most * 50 and not np.any(times % 1):
        return [int(t) for t in times.tolist()]
    scale = most / total if total > 0 else 1.0
    return [round(t * scale) for t in times.tolist()]
