"""``linear``: a fitted ``LinearRegression`` or ``Ridge`` of all rows, from the triangular factor of centred [X, y].

Nothing is squared (Golub and Van Loan, Matrix Computations, section 5.3), and the mean of each part is taken out before
its factor is made, so that a large mean costs no digits: two parts are joined by one more row, the difference of their
means (Chan, Golub and LeVeque 1979).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from partitioner.errors import ConfigError, ProgramError
from partitioner.model.data import Floats
from partitioner.model.given import check_number
from partitioner.reducers.models.estimator import EstimatorReducer, with_features
from partitioner.reducers.models.rows import Layout, same_columns
from partitioner.reducers.tsqr import triangle


@dataclass(frozen=True, slots=True, eq=False)
class Factor:
    """``r``, the triangular factor of ``rows`` rows less their mean, float64[at most width, width]; ``names`` of features.

    The mean is ``shift + offset``, float64[width] each: a number as large as the column's, and what is left of it, so that
    the difference of two means keeps its digits. ``mass``: the weights of the rows together. ``targets``: how many of the
    columns, the last ones, are labels; None for one that came as a vector.
    """

    r: Floats
    rows: int
    names: tuple[str, ...] | None
    shift: Floats
    offset: Floats
    mass: float
    targets: int | None = 0

    @property
    def width(self) -> int:
        """How many columns the matrix has."""
        return int(self.r.shape[1])

    @property
    def mean(self) -> Floats:
        """Of each column."""
        return self.shift + self.offset

    @classmethod
    def of(
        cls, matrix: Floats, names: tuple[str, ...] | None, weights: Floats | None, targets: int | None = 0
    ) -> Factor | None:
        """Of the rows of one output whose weight is above 0; None of none."""
        if weights is not None:
            matrix, weights = matrix[weights > 0], weights[weights > 0]
        if not len(matrix):
            return None
        constant = (matrix == matrix[0]).all(axis=0)
        shift = np.where(constant, matrix[0], matrix.mean(axis=0))
        near = matrix - shift
        offset = np.average(near, axis=0, weights=weights)
        body = near - offset
        if weights is not None:
            body *= np.sqrt(weights)[:, None]
        mass = float(len(matrix) if weights is None else weights.sum())
        return cls(triangle(body), len(matrix), names, shift, offset, mass, targets)

    def merged(self, later: Factor) -> Factor:
        """Of the rows of both."""
        mass = self.mass + later.mass
        apart = (later.shift - self.shift) + (later.offset - self.offset)
        between = np.sqrt(self.mass / mass * later.mass) * apart
        return replace(
            self,
            r=triangle(np.vstack([self.r, later.r, between])),
            rows=self.rows + later.rows,
            offset=self.offset + later.mass / mass * apart,
            mass=mass,
        )

    def about_zero(self) -> Floats:
        """The factor of the rows with their mean."""
        return triangle(np.vstack([np.sqrt(self.mass) * self.mean, self.r]))


class FactorReducer(EstimatorReducer):
    """Models that are made of the factor of centred X or [X, y]: exact up to rounding, whatever the condition of X."""

    layout: Layout

    def create_accumulator(self) -> Factor | None:
        """No rows."""
        return None

    def add_input(self, accumulator: Factor | None, value: Any) -> Factor | None:
        """With the rows of one output. Raises ProgramError for what is no number."""
        rows = self.layout.read(value, self.name)
        if not len(rows.x):
            return accumulator
        if self.layout.label is None:
            return self.merge_accumulators(accumulator, Factor.of(rows.x, rows.names, rows.weights))
        y = _numbers(rows.y, self.layout)
        targets = None if y.ndim == 1 else y.shape[1]
        found = Factor.of(np.column_stack([rows.x, y]), rows.names, rows.weights, targets)
        return self.merge_accumulators(accumulator, found)

    def merge_accumulators(self, left: Factor | None, right: Factor | None) -> Factor | None:
        """The factor of both. Raises ProgramError where columns differ."""
        if left is None or right is None:
            return left if right is None else right
        if left.targets != right.targets:
            first, later = ("a vector" if part.targets is None else f"{part.targets} columns" for part in (left, right))
            raise ProgramError(
                f"The program returned labels as {first} first and as {later} later; return one of them."
            )
        same_columns(left, right, besides=1 if left.targets is None else left.targets)
        return left.merged(right)


class Linear(FactorReducer):
    """The program returns tables with the column ``label``, or (X, y). With ``alpha`` above 0 a ``Ridge``.

    ``label`` may be a list of columns, or a column of vectors, and y a matrix: a model of several targets. Of several
    solutions it is the shortest, as in scikit-learn. ``features`` as in ``Layout``. ``weight``: the column of the weights of
    rows, or (X, y, weights), as ``sample_weight`` there.
    """

    name = "linear"

    def __init__(
        self,
        label: str | Sequence[str] = "label",
        features: str | Sequence[str] | None = None,
        alpha: float = 0.0,
        fit_intercept: bool = True,
        weight: str | None = None,
    ) -> None:
        check_number("alpha", alpha)
        if not alpha >= 0:
            raise ConfigError(f"alpha is {alpha}; the penalty of ridge regression is at least 0.")
        self.alpha, self.fit_intercept = float(alpha), fit_intercept
        first, several = label_names(label)
        layouts = [Layout.of(features, name) for name in several or (first,)]
        self.layout = replace(layouts[0], weight=weight, wide=True, labels=several)

    def extract_output(self, accumulator: Factor | None) -> Any:
        """The fitted model; None of no rows."""
        if accumulator is None:
            return None
        at, wide = _split(accumulator)
        body = accumulator.r if self.fit_intercept else accumulator.about_zero()
        model = self._fitted(body[:, :wide], body[:, at], accumulator.rows)
        mean = accumulator.mean
        model.intercept_ = mean[at] - model.coef_ @ mean[:wide] if self.fit_intercept else 0.0
        return with_features(model, accumulator.names, wide)

    def _fitted(self, x: Floats, y: Floats, rows: int) -> Any:
        from sklearn.linear_model import LinearRegression, Ridge

        wide = x.shape[1]
        if self.alpha == 0:
            model = LinearRegression(fit_intercept=self.fit_intercept)
            rounding = max(rows, wide) * float(
                np.finfo(np.float64).eps
            )  # scikit-learn's bound for a column that adds nothing
            coef, _, rank, model.singular_ = np.linalg.lstsq(x, y, rcond=rounding)
            model.coef_, model.rank_ = coef.T, int(rank)
            return model
        penalty = np.sqrt(self.alpha) * np.eye(wide)
        model = Ridge(self.alpha, fit_intercept=self.fit_intercept)
        zeros = np.zeros((wide, *y.shape[1:]))
        coef = np.linalg.lstsq(np.vstack([x, penalty]), np.concatenate([y, zeros]), rcond=None)[0].T
        model.coef_ = (
            coef[0] if len(coef) == 1 and coef.ndim == 2 else coef
        )  # scikit-learn's ridge makes no matrix of one row
        model.n_iter_, model.solver_ = None, "svd"
        return model

    def figures(self, factor: Factor, model: Any) -> dict[str, float]:
        """How well a fitted model tells the rows that the factor is of: ``r2`` (NaN where labels are constant), ``rmse``.

        Both by the weights of rows, where they have some; of several targets the mean of each one's.
        """
        at, wide = _split(factor)
        body = factor.r if self.fit_intercept else factor.about_zero()
        said = body[:, :wide] @ model.coef_.reshape(-1, wide).T
        rest = ((body[:, at].reshape(said.shape) - said) ** 2).sum(axis=0)
        whole = (factor.r[:, at].reshape(len(factor.r), -1) ** 2).sum(axis=0)
        r2 = [1.0 - left / all_ if all_ > 0 else float("nan") for left, all_ in zip(rest, whole, strict=True)]
        return {"r2": float(np.mean(r2)), "rmse": float(np.sqrt(rest / factor.mass).mean())}


def label_names(label: str | Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """The first column of labels, and all of them where they are a list. Raises ConfigError for none, and for one twice."""
    if isinstance(label, str):
        return label, ()
    names = tuple(label)
    if not names or len(set(names)) < len(names):
        raise ConfigError(f"label is {label!r}; give the name of a column, or a list of different ones.")
    return names[0], names


def _split(factor: Factor) -> tuple[Any, int]:
    """Which columns of a factor are labels, and how many are features."""
    wide = factor.width - (1 if factor.targets is None else factor.targets)
    return (wide if factor.targets is None else slice(wide, None)), wide


def _numbers(labels: Any, layout: Layout) -> Floats:
    """float64[n], or [n, k] of several targets."""
    names = layout.labels or (layout.label,)
    try:
        y = np.asarray(labels, np.float64)
    except (TypeError, ValueError) as error:
        raise ProgramError(f"Column {names[0]!r} holds {labels[0]!r}; linear models need numbers as labels.") from error
    if not np.isfinite(y).all():
        row, *column = np.argwhere(~np.isfinite(y))[0].tolist()
        name = names[column[0]] if column and layout.labels else names[0]
        raise ProgramError(
            f"Column {name!r} is {y[row, *column]} in row {row} of an output; fill or drop it in the program."
        )
    return y
