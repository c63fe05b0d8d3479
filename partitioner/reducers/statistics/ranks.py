"""Numbers in order with how often each is there, exact while there are not too many different ones.

A double's bits, read as a whole number with the sign turned, have the order of the doubles. Where more than ``limit``
different numbers were seen the last bits are dropped, one after the other, until they fit: numbers that differ in those
alone share a bucket. How many bits go depends on all numbers together, not on how they were cut into parts, so merging is
associative to the bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from partitioner.model.data import Floats

_SIGN = np.uint64(1 << 63)
_ALL = np.uint64(2**64 - 1)


@dataclass(frozen=True, slots=True, eq=False)
class Ranks:
    """``keys`` uint64[g], ascending: the order of the numbers without their last ``shift`` bits; ``counts`` [g, c]."""

    keys: Any
    counts: Any
    shift: int

    @classmethod
    def of(cls, values: Floats, counts: Any, limit: int) -> Ranks:
        """Of float64[n] without NaN and ``counts`` [n, c], int64 or float64."""
        return _gathered(_keys(values), counts, 0, limit)

    @classmethod
    def nothing(cls, kinds: int, dtype: Any = np.int64) -> Ranks:
        """No numbers, with counts of ``kinds`` kinds."""
        return cls(np.empty(0, np.uint64), np.empty((0, kinds), dtype), 0)

    def merged(self, later: Ranks, limit: int) -> Ranks:
        """Both as one."""
        shift = max(self.shift, later.shift)
        parts = [part.keys >> np.uint64(shift - part.shift) for part in (self, later)]
        return _gathered(np.concatenate(parts), np.concatenate([self.counts, later.counts]), shift, limit)

    @property
    def exact(self) -> bool:
        """Whether each bucket is one number."""
        return self.shift == 0

    def lows(self) -> Floats:
        """float64[g]: the smallest number that each bucket can hold."""
        return _numbers(self.keys << np.uint64(self.shift))

    def highs(self) -> Floats:
        """float64[g]: the largest."""
        return _numbers((self.keys << np.uint64(self.shift)) | np.uint64((1 << self.shift) - 1))

    def median(self) -> float:
        """The middle number, or the mean of the two in the middle; NaN of nothing. Counts have one kind."""
        total = int(self.counts.sum())
        if not total:
            return float("nan")
        middle = np.searchsorted(np.cumsum(self.counts[:, 0]), [(total - 1) // 2, total // 2], "right")
        return float(self._values()[middle].mean())

    def most_frequent(self) -> float:
        """The number that is there most often, of equal ones the smallest; NaN of nothing. Counts have one kind."""
        return float(self._values()[np.argmax(self.counts[:, 0])]) if len(self.keys) else float("nan")

    def _values(self) -> Floats:
        """float64[g]: each number, or the middle of what its bucket can hold."""
        low, high = self.lows(), self.highs()
        return low if self.exact else np.clip(low / 2 + high / 2, low, high)

    def quantiles(self, at: Floats) -> tuple[Floats, Floats]:
        """Quantiles at the shares ``at``, linear between neighbours as numpy's, and how wrong each can be at most.

        NaN of nothing. Counts have one kind.
        """
        total = int(self.counts.sum())
        if not total:
            return np.full(len(at), np.nan), np.zeros(len(at))
        ends = np.cumsum(self.counts[:, 0])
        high, middle = self.highs(), self._values()
        place = np.asarray(at, np.float64) * (total - 1)
        before = np.floor(place).astype(np.int64)
        i, j = (np.searchsorted(ends, np.minimum(b, total - 1), "right") for b in (before, before + 1))
        error = np.maximum(high[i] - middle[i], high[j] - middle[j])
        return _between(middle[i], middle[j], place - before), np.where(self.exact, 0.0, error)


def _keys(values: Floats) -> Any:
    bits = (np.ascontiguousarray(values, np.float64) + 0.0).view(np.uint64)  # + 0.0 makes -0.0 the same as 0.0
    return np.where(bits & _SIGN, ~bits, bits | _SIGN)


def _numbers(keys: Any) -> Floats:
    bits: Any = np.where(keys & _SIGN, keys & ~_SIGN, ~keys & _ALL)
    return np.asarray(bits.astype(np.uint64).view(np.float64))


def _gathered(keys: Any, counts: Any, shift: int, limit: int) -> Ranks:
    """Equal keys as one, with as many bits as leave not more than ``limit`` of them."""
    order = np.argsort(keys, kind="stable")
    keys, counts = keys[order], counts[order]
    if not len(keys):
        return Ranks(keys, counts, shift)
    apart = _lengths(keys[1:] ^ keys[:-1])  # bits by which neighbours differ: 0 where they are equal
    extra = int(np.searchsorted(-np.cumsum(np.bincount(apart, minlength=65)[::-1])[::-1][1:], 1 - limit))
    new = np.concatenate([[True], apart > extra])
    starts = np.flatnonzero(new)
    return Ranks(keys[starts] >> np.uint64(extra), np.add.reduceat(counts, starts, axis=0), shift + extra)


def _lengths(numbers: Any) -> Any:
    """int64[n]: the number of bits of each uint64."""
    upper, lower = (numbers >> np.uint64(32)).astype(np.float64), (numbers & np.uint64(2**32 - 1)).astype(np.float64)
    return np.where(upper > 0, 32 + np.frexp(upper)[1], np.frexp(lower)[1]).astype(np.int64)


def _between(low: Floats, high: Floats, share: Floats) -> Floats:
    """As numpy's ``quantile`` computes it, to the bit."""
    apart = high - low
    found = low + apart * share
    return np.where(share >= 0.5, high - apart * (1 - share), found)
