"""Sums of the products of all pairs of columns: without rounding, or in doubles about the mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from partitioner.model.data import Floats
from partitioner.reducers.exact import UNIT, exact_products, exact_sums, ratio

CELLS = 1 << 20  # products worked on at once: 8 MiB for each of a few arrays


@dataclass(frozen=True, slots=True, eq=False)
class Products:
    """``rows`` seen, ``sums`` of d columns and of the products of their d (d + 1) / 2 pairs, in units of 2^-1127."""

    rows: int
    sums: tuple[int, ...]
    pairs: tuple[int, ...]
    names: tuple[str, ...] | None

    @classmethod
    def of(cls, values: Floats, names: tuple[str, ...] | None) -> Products:
        """Of finite float64[n, d]."""
        i, j = np.triu_indices(values.shape[1])
        pairs = [0] * len(i)
        step = max(1, CELLS // max(1, len(i)))
        for start in range(0, len(values), step):
            block = values[start : start + step]
            found = exact_products(block[:, i], block[:, j])
            pairs = [a + b for a, b in zip(pairs, found, strict=True)]
        return cls(len(values), tuple(exact_sums(values)), tuple(pairs), names)

    @property
    def width(self) -> int:
        """How many columns."""
        return len(self.sums)

    def merged(self, later: Products) -> Products:
        """Both as one."""
        sums = tuple(a + b for a, b in zip(self.sums, later.sums, strict=True))
        pairs = tuple(a + b for a, b in zip(self.pairs, later.pairs, strict=True))
        return Products(self.rows + later.rows, sums, pairs, self.names)

    def covariance(self, ddof: int) -> Floats:
        """float64[d, d], each rounded once; NaN of not more than ``ddof`` rows."""
        found = np.full((self.width, self.width), np.nan)
        n, left = self.rows, self.rows - ddof
        if left > 0:
            for (i, j), pair in zip(np.transpose(np.triu_indices(self.width)).tolist(), self.pairs, strict=True):
                apart = (pair << UNIT) * n - self.sums[i] * self.sums[j]
                found[i, j] = found[j, i] = ratio(apart, n * left << 2 * UNIT)
        return found


@dataclass(frozen=True, slots=True, eq=False)
class Centred:
    """``rows`` seen, their mean ``mean + rest``, float64[d] each, ``moments`` float64[d, d] of deviations from it."""

    rows: int
    mean: Floats
    rest: Floats
    moments: Floats
    names: tuple[str, ...] | None

    @classmethod
    def of(cls, values: Floats, names: tuple[str, ...] | None) -> Centred:
        """Of finite float64[n, d]."""
        width = values.shape[1]
        if not len(values):
            return cls(0, np.zeros(width), np.zeros(width), np.zeros((width, width)), names)
        mean = values.mean(axis=0)
        apart = values - mean
        rest = apart.mean(axis=0)  # what the rounding of the mean left
        apart -= rest
        return cls(len(values), mean, rest, apart.T @ apart, names)

    @property
    def width(self) -> int:
        """How many columns."""
        return len(self.mean)

    def merged(self, later: Centred) -> Centred:
        """Both as one."""
        rows = self.rows + later.rows
        if not self.rows or not later.rows:
            return self if self.rows else later
        apart = (later.mean - self.mean) + (later.rest - self.rest)
        moments = self.moments + later.moments + np.outer(apart, apart) * (self.rows * later.rows / rows)
        return Centred(rows, self.mean, self.rest + apart * (later.rows / rows), moments, self.names)

    def covariance(self, ddof: int) -> Any:
        """float64[d, d]; NaN of not more than ``ddof`` rows."""
        left = self.rows - ddof
        return self.moments / left if left > 0 else np.full(self.moments.shape, np.nan)
