"""Sums of numbers times the weights of their rows, without rounding: a weight of 2 is the row twice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from partitioner.model.data import Floats
from partitioner.reducers.exact import UNIT, exact_products, exact_sums, ratio
from partitioner.reducers.observations import Observations

Sums = tuple[int, ...]
"""Of d columns, in units of 2^-1127."""


@dataclass(frozen=True, slots=True, eq=False)
class WeightedTotals:
    """Of d columns of finite numbers: the ``mass`` (weights of what is known), weighted ``sums`` and ``squares``."""

    mass: Sums
    sums: Sums
    squares: Sums | None

    @classmethod
    def of(cls, seen: Observations, weights: Floats, squares: bool) -> WeightedTotals:
        """Of one output with float64[n] ``weights``, 0 or more."""
        mass = np.where(seen.known, weights[:, None], 0.0)
        values = np.where(seen.known, seen.values, 0.0)
        squared = exact_products(mass, values, values) if squares else None
        return cls(
            tuple(exact_sums(mass)), tuple(exact_products(mass, values)), None if squared is None else tuple(squared)
        )

    def merged(self, later: WeightedTotals) -> WeightedTotals:
        """Both as one."""
        both = self.squares is not None and later.squares is not None
        return WeightedTotals(
            _added(self.mass, later.mass),
            _added(self.sums, later.sums),
            _added(self.squares, later.squares) if both else None,
        )

    def masses(self) -> Floats:
        """The weights of each column together, rounded once."""
        return np.array([ratio(w, 1 << UNIT) for w in self.mass])

    def total(self) -> Floats:
        """The weighted sum of each column, rounded once."""
        return np.array([ratio(s, 1 << UNIT) for s in self.sums])

    def mean(self) -> Floats:
        """The weighted mean of each column, rounded once; 0 where nothing has weight."""
        return np.array([ratio(s, w) if w else 0.0 for s, w in zip(self.sums, self.mass, strict=True)])

    def variance(self) -> Floats:
        """Weighted squared deviations from the mean over the weights, rounded once; 0 where nothing has weight."""
        assert self.squares is not None, "variance keeps squares"
        held = zip(self.mass, self.sums, self.squares, strict=True)
        return np.array([ratio(max(q * w - s * s, 0), w * w) if w else 0.0 for w, s, q in held])


def _added(left: Any, right: Any) -> Sums:
    return tuple(a + b for a, b in zip(left, right, strict=True))
