"""Robust regression of a positive quantity with non-negative coefficients.

Noise of a timing grows with what is timed, so residuals are taken relative to the prediction (with an absolute floor) and
weighted by Huber's function (Ann. Math. Stat. 35, 1964), by iteratively reweighted non-negative least squares.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from partitioner.costs.fitting.nnls import nnls
from partitioner.model.data import Floats

HUBER = 1.345
"""95 % efficient where the noise is normal."""


@dataclass(frozen=True, slots=True, eq=False)
class Regression:
    """``coefficients`` float64[p] >= 0 and the relative residual ``scale`` (robust standard deviation)."""

    coefficients: Floats
    scale: float


def floor_of(target: Floats) -> float:
    """Below which differences do not count: 2 % of the median, and never below 20 microseconds of a clock."""
    return max(0.02 * float(np.median(target)), 2e-5) if len(target) else 2e-5


def robust(design: Floats, target: Floats, floor: float | None = None, iterations: int = 8) -> Regression:
    """The fit of ``target`` float64[n] by ``design`` float64[n, p], both non-negative."""
    n, p = design.shape
    if n == 0 or p == 0:
        return Regression(np.zeros(p), 0.0)
    floor = floor_of(target) if floor is None else floor
    size = np.maximum(design.max(axis=0), 1e-300)
    x = design / size
    base = target + floor
    huber = np.ones(n)
    previous = np.full(p, np.nan)  # no two are alike
    for _ in range(iterations):
        weight = huber / base**2
        scaled = x * weight[:, None]
        gram = scaled.T @ x
        beta = nnls(gram + 1e-9 * np.diag(np.diag(gram)), scaled.T @ target)
        predicted = x @ beta
        base = predicted + floor
        residual = (target - predicted) / base
        scale = max(1.4826 * _median(np.abs(residual)), 1e-4)
        huber = np.minimum(1.0, HUBER * scale / np.maximum(np.abs(residual), 1e-300))
        if (np.abs(beta - previous) <= 1e-4 * np.abs(previous) + 1e-12 * beta.max()).all():
            break
        previous = beta
    return Regression(beta / size, scale)


def _median(values: Floats) -> float:
    """As numpy's, which takes ten times as long for the few dozen values of a pilot."""
    ordered, n = np.sort(values), len(values)
    return float(ordered[(n - 1) // 2] + ordered[n // 2]) / 2


def errors(predicted: Floats, actual: Floats, floor: float) -> Floats:
    """float64[n]: absolute log ratio of predicted to actual, symmetric in over- and under-prediction."""
    return np.abs(np.log((predicted + floor) / (actual + floor)))
