"""How fast worker classes are, from the same pilot pieces on each."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from partitioner.costs.fitting.regression import floor_of
from partitioner.costs.measuring.measurements import Measurements
from partitioner.errors import CostError
from partitioner.model.data import Floats


@dataclass(frozen=True, slots=True)
class Speed:
    """``speed`` relative to the reference class (2.0 halves the time), its 90 % bounds, and the pieces it rests on."""

    speed: float
    low: float
    high: float
    pieces: int


def relative_speeds(measured: Mapping[str, Measurements], reference: str | None = None) -> dict[str, Speed]:
    """Speed of each worker class; ``measured`` holds the same pieces in the same order for every class.

    The weighted median over pieces of reference seconds / class seconds, loading and each process's first piece left out;
    a piece weighs as its duration, for short ones are mostly noise. ``reference`` is the first class by default. Raises
    CostError where the pieces differ or none is left.
    """
    if not measured:
        return {}
    reference = next(iter(measured)) if reference is None else reference
    if reference not in measured:
        raise CostError(f"no measurement of the reference worker class {reference!r}; there are {', '.join(measured)}.")
    base = measured[reference]
    speeds = {}
    for name, m in measured.items():
        same = len(m) == len(base) and all(
            c in base.columns and np.array_equal(m.columns[c], base.columns[c]) for c in m.columns
        )
        if not same:
            raise CostError(f"worker class {name!r} ran other pieces than {reference!r}: speeds need the same on each.")
        kept = ~(m.first | base.first) & (m.seconds > floor_of(m.seconds)) & (base.seconds > 0)
        if not kept.any():
            raise CostError(f"no piece of worker class {name!r} ran long enough to tell its speed; take larger ones.")
        speeds[name] = _speed(np.log(base.seconds[kept] / m.seconds[kept]), base.seconds[kept])
    return speeds


def _speed(logs: Floats, weight: Floats) -> Speed:
    order = np.argsort(logs, kind="stable")
    half = np.cumsum(weight[order]) >= weight.sum() / 2
    median = float(logs[order][int(np.argmax(half))])
    spread = 1.4826 * float(np.median(np.abs(logs - median)))
    effective = float(weight.sum() ** 2 / (weight**2).sum())
    error = 1.645 * spread * math.sqrt(math.pi / 2 / effective)
    return Speed(math.exp(median), math.exp(median - error), math.exp(median + error), len(logs))
