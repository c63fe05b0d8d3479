"""Seconds as whole ticks for solvers that know integers only, exact where a decimal or binary step allows it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from partitioner.model.data import Floats, Ints

_STEPS = (1, 2, 4, 8, 16, 3, 6, 12, 24, 10, 20, 40, 60, 100, 120, 200, 400, 1_000, 3_600, 10_000, 100_000, 1_000_000)
_ROUND = 1e-7
_FINE = 1e8


@dataclass(frozen=True, slots=True)
class Ticks:
    """``per_second`` ticks make a second; ``exact``: every duration of the problem is a whole number of them."""

    per_second: float
    exact: bool

    def down(self, seconds: Floats) -> Ints:
        """int64 ticks, rounded down where they are not whole, so that bounds of the ticks are bounds of the seconds."""
        scaled = seconds * self.per_second
        return np.floor(scaled + _ROUND if self.exact else scaled).astype(np.int64)

    def up(self, seconds: float) -> int:
        """Ticks of one moment, rounded up where they are not whole."""
        return int(np.ceil(seconds * self.per_second - _ROUND))

    def seconds(self, ticks: float) -> float:
        """The seconds of a number of ticks."""
        return ticks / self.per_second


def ticks_of(columns: Iterable[Floats], horizon: float, finest: float = _FINE) -> Ticks:
    """The coarsest step in which every finite number of ``columns`` is whole, else ``horizon`` in ``finest`` ticks.

    ``horizon`` is in seconds and not below any start or finish of interest.
    """
    values = np.unique(np.concatenate([np.asarray(c, np.float64).ravel() for c in columns]))
    values = values[np.isfinite(values)]
    for step in _STEPS:
        scaled = values * step
        if horizon * step > finest:
            break
        if np.all(np.abs(scaled - np.round(scaled)) <= _ROUND):
            return Ticks(float(step), True)
    return Ticks(finest / horizon if horizon > 0 else 1.0, False)
