"""Coordinates in which a sum of losses of linear scores is about equally curved in all directions.

L-BFGS begins with a multiple of the unit matrix, so features of unlike scale, or that nearly depend on each other, cost it
hundreds of evaluations: rounds over all data. MLlib and others divide features by their deviations; where they are few,
their covariances take care of the dependence too (a preconditioner: Nocedal and Wright 2006, section 5.1). The objective is
the same, and so is its minimum.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from partitioner.model.data import Floats

FULL = 1024
"""Features up to which all covariances are summed, float64[f, f] of a partition (8 MiB), in one matrix product; of more of
them only the variances are. It takes the time of a few evaluations and saves hundreds (784 pixels: 244 instead of 558)."""

PIECE_ROWS = 4096
"""Rows of a dense partition that are centred together."""

RIDGE = 1e-10
"""Of a variance, onto each: directions in which features depend on each other to so many digits are not told apart."""


@dataclass(frozen=True, slots=True, eq=False)
class Spread:
    """``rows`` of a partition, ``mean`` of its features float64[f], and sums of squared deviations from it.

    ``squares`` float64[f]; ``products`` float64[f, f] of pairs, None where features are many or not asked for.
    """

    rows: int
    mean: Floats
    squares: Floats
    products: Floats | None

    @classmethod
    def of(cls, x: Any, full: bool) -> Spread:
        """Of n x f features, dense or sparse."""
        rows, width = x.shape
        if not rows:
            return cls(0, np.zeros(width), np.zeros(width), np.zeros((width, width)) if full else None)
        mean = np.asarray(x.mean(axis=0), np.float64).ravel()
        if isinstance(x, np.ndarray):
            products, squares = (np.zeros((width, width)) if full else None), np.zeros(width)
            for start in range(0, rows, PIECE_ROWS):  # no second matrix beside the partition's
                apart = x[start : start + PIECE_ROWS] - mean
                if products is None:
                    squares += np.einsum("ij,ij->j", apart, apart)
                else:
                    products += apart.T @ apart
            squares = squares if products is None else products.diagonal().copy()
        else:
            products = (x.T @ x).toarray() - rows * np.outer(mean, mean) if full else None
            squares = np.asarray(x.multiply(x).sum(axis=0)).ravel() - rows * mean * mean
        return cls(rows, mean, np.maximum(squares, 0.0), products)

    @property
    def width(self) -> int:
        """How many features."""
        return len(self.mean)

    def widened(self, width: int) -> Spread:
        """With features that are 0 in all rows."""
        more = width - self.width
        if not more:
            return self
        products = None if self.products is None else np.pad(self.products, (0, more))
        return Spread(self.rows, np.pad(self.mean, (0, more)), np.pad(self.squares, (0, more)), products)

    def merged(self, later: Spread) -> Spread:
        """Both as one (Chan, Golub and LeVeque 1979); the wider of two is as wide as they are together."""
        width = max(self.width, later.width)
        one, other = self.widened(width), later.widened(width)
        rows = one.rows + other.rows
        if not one.rows or not other.rows:
            return one if one.rows else other
        apart, share = other.mean - one.mean, one.rows * other.rows / rows
        squares = one.squares + other.squares + share * apart * apart
        if one.products is None or other.products is None:
            products = None
        else:
            products = one.products + other.products + share * np.outer(apart, apart)
        return Spread(rows, one.mean + apart * (other.rows / rows), squares, products)


@dataclass(frozen=True, slots=True, eq=False)
class Coordinates:
    """Weights of f features and an intercept, float64[f + 1, k], as others, and their gradients.

    ``mean`` float64[f]: the intercept is that at the mean of the features. ``scale`` float64[f + 1] divides, ``factor``
    float64[f, f] is a lower triangle, or None for the unit matrix.
    """

    mean: Floats
    scale: Floats
    factor: Floats | None

    @classmethod
    def of(cls, spread: Spread, curvature: float, strength: float) -> Coordinates:
        """Where the loss of a row has this second derivative, and the squares of weights count ``strength`` / 2 each."""
        each = curvature * spread.squares / max(spread.rows, 1) + strength
        scale = np.sqrt(np.where(each > 0, each, 1.0))
        factor = None
        if spread.products is not None:
            alike = curvature * spread.products / max(spread.rows, 1) / np.outer(scale, scale)
            np.fill_diagonal(alike, 1.0 + RIDGE)
            factor = _lower(alike)
        return cls(spread.mean, np.append(scale, np.sqrt(curvature)), factor)

    def weights(self, moved: Floats) -> Floats:
        """What the coordinates ``moved`` mean, float64[f + 1, k]."""
        found = np.array(moved, np.float64)
        if self.factor is not None:
            found[:-1] = _solved(self.factor, found[:-1], True)
        found /= self.scale[:, None]
        found[-1] -= self.mean @ found[:-1]
        return found

    def gradient(self, gradient: Floats) -> Floats:
        """The gradient in these coordinates, of that by weights."""
        found = np.array(gradient, np.float64)
        found[:-1] -= np.outer(self.mean, found[-1])
        found /= self.scale[:, None]
        if self.factor is not None:
            found[:-1] = _solved(self.factor, found[:-1], False)
        return found


def _lower(matrix: Floats) -> Floats | None:
    """The triangle of Cholesky; None where rounding left no room for one."""
    try:
        return np.asarray(np.linalg.cholesky(matrix), np.float64)
    except np.linalg.LinAlgError:
        return None


def _solved(lower: Floats, right: Floats, transposed: bool) -> Any:
    from scipy.linalg import solve_triangular

    return solve_triangular(lower, right, trans="T" if transposed else "N", lower=True) if len(right) else right
