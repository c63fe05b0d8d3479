"""Robust regression of a positive quantity with non-negative coefficients.

Noise of a timing grows with what is timed, so residuals are taken relative to the prediction (with an absolute floor) and
weighted by Huber's function (Ann. Math. Stat. 35, 1964), by iteratively reweighted non-negative least squares.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from partitioner.costs.fitting.nnls import nnls, nnls_many
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


def robust_many(
    design: Floats, target: Floats, kept: npt.NDArray[np.bool_], floor: float, iterations: int = 5
) -> Floats:
    """float64[b, p]: coefficients of b fits of n pieces at once, as ``robust`` finds them one by one.

    ``design`` float64[b, n, p], ``target`` float64[b, n]; what is not ``kept``, bool[b, n], counts for nothing; zeros where
    nothing is kept.
    """
    x = np.where(kept[:, :, None], design, 0.0)
    size = np.maximum(x.max(axis=1, keepdims=True), 1e-300)
    x = x / size
    count = kept.sum(axis=1)
    middle = np.stack([(count - 1) // 2, count // 2], axis=1)
    base, huber = target + floor, np.ones(target.shape)
    previous = np.full((len(x), x.shape[2]), np.nan)
    for _ in range(iterations):
        scaled = x * (kept * huber / base**2)[:, :, None]
        gram = scaled.transpose(0, 2, 1) @ x
        gram = gram + 1e-9 * np.eye(x.shape[2]) * np.diagonal(gram, axis1=1, axis2=2)[:, None, :]
        beta = nnls_many(gram, (scaled * target[:, :, None]).sum(axis=1))
        predicted = (x @ beta[:, :, None])[:, :, 0]
        base = predicted + floor
        residual = np.abs(target - predicted) / base
        ordered = np.sort(np.where(kept, residual, np.inf), axis=1)
        scale = np.maximum(1.4826 * np.take_along_axis(ordered, middle, axis=1).mean(axis=1), 1e-4)
        huber = np.minimum(1.0, HUBER * scale[:, None] / np.maximum(residual, 1e-300))
        settled = 1e-4 * np.abs(previous) + 1e-12 * beta.max(axis=1, keepdims=True)
        if (np.abs(beta - previous) <= settled).all():
            break
        previous = beta
    return np.asarray(beta / size[:, 0, :], np.float64)


def _median(values: Floats) -> float:
    """As numpy's, which takes ten times as long for the few dozen values of a pilot."""
    ordered, n = np.sort(values), len(values)
    return float(ordered[(n - 1) // 2] + ordered[n // 2]) / 2


def errors(predicted: Floats, actual: Floats, floor: float) -> Floats:
    """float64[n]: absolute log ratio of predicted to actual, symmetric in over- and under-prediction."""
    return np.abs(np.log((predicted + floor) / (actual + floor)))
