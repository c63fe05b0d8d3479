"""``linear``: a fitted ``LinearRegression`` or ``Ridge`` of all rows, from the triangular factor of [1, X, y].

Its first row takes out the mean, so the rest of it is the factor of the centred data: nothing is squared, and nothing
cancels (Golub and Van Loan, Matrix Computations, section 5.3).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from partitioner.errors import ConfigError, ProgramError
from partitioner.model.data import Floats
from partitioner.reducers.models.estimator import EstimatorReducer, with_features
from partitioner.reducers.models.rows import Layout, same_columns
from partitioner.reducers.tsqr import triangle


@dataclass(frozen=True, slots=True, eq=False)
class Factor:
    """``r``, the triangular factor of the matrix of all ``rows``, float64[at most width, width]; ``names`` of features."""

    r: Floats
    rows: int
    names: tuple[str, ...] | None

    @property
    def width(self) -> int:
        """How many columns the matrix has."""
        return int(self.r.shape[1])


CONSTANT = 16 * float(np.finfo(np.float64).eps)
"""Of the length of a column, and of the levels of the merge tree: what is left of a constant one where its mean is taken
out, from rounding alone (Higham, Accuracy and Stability of Numerical Algorithms, section 19.3)."""


def centred(factor: Factor) -> Floats:
    """The factor of all columns but the first with their means taken out; constant columns are 0, not rounding errors."""
    r = factor.r[:, 1:]
    body, bound = r[1:].copy(), CONSTANT * max(1.0, np.log2(factor.rows)) * np.linalg.norm(r, axis=0)
    body[:, np.linalg.norm(body, axis=0) <= bound] = 0.0
    return body


class FactorReducer(EstimatorReducer):
    """Models that are made of the factor of [1, X] or [1, X, y]: exact up to rounding, whatever the condition of X."""

    layout: Layout

    def create_accumulator(self) -> Factor | None:
        """No rows."""
        return None

    def add_input(self, accumulator: Factor | None, value: Any) -> Factor | None:
        """With the rows of one output. Raises ProgramError for what is no number."""
        rows = self.layout.read(value, self.name)
        if not len(rows.x):
            return accumulator
        columns = [np.ones((len(rows.x), 1)), rows.x]
        if self.layout.label is not None:
            columns.append(_numbers(rows.y, self.layout.label)[:, None])
        matrix, count = np.hstack(columns), len(rows.x)
        if rows.weights is not None:
            matrix = (matrix * np.sqrt(rows.weights)[:, None])[rows.weights > 0]
            count = len(matrix)
        return (
            self.merge_accumulators(accumulator, Factor(triangle(matrix), count, rows.names)) if count else accumulator
        )

    def merge_accumulators(self, left: Factor | None, right: Factor | None) -> Factor | None:
        """The factor of both. Raises ProgramError where columns differ."""
        if left is None or right is None:
            return left if right is None else right
        same_columns(left, right)
        return Factor(triangle(np.vstack([left.r, right.r])), left.rows + right.rows, left.names)


class Linear(FactorReducer):
    """The program returns tables with the column ``label``, or (X, y). With ``alpha`` above 0 a ``Ridge``.

    Of several solutions it is the shortest, as in scikit-learn. ``features`` as in ``Layout``. ``weight``: the column of the
    weights of rows, or (X, y, weights), as ``sample_weight`` there.
    """

    name = "linear"

    def __init__(
        self,
        label: str = "label",
        features: str | Sequence[str] | None = None,
        alpha: float = 0.0,
        fit_intercept: bool = True,
        weight: str | None = None,
    ) -> None:
        if not alpha >= 0:
            raise ConfigError(f"alpha is {alpha}; the penalty of ridge regression is at least 0.")
        self.alpha, self.fit_intercept = float(alpha), fit_intercept
        self.layout = replace(Layout.of(features, label), weight=weight)

    def extract_output(self, accumulator: Factor | None) -> Any:
        """The fitted model; None of no rows."""
        if accumulator is None:
            return None
        r, wide = accumulator.r, accumulator.width - 2
        body = centred(accumulator) if self.fit_intercept else r[:, 1:]
        x, y = body[:, :wide], body[:, wide]
        model = self._fitted(x, y, wide)
        means = r[0, 1:] / r[0, 0]
        model.intercept_ = means[wide] - means[:wide] @ model.coef_ if self.fit_intercept else 0.0
        return with_features(model, accumulator.names, wide)

    def _fitted(self, x: Floats, y: Floats, wide: int) -> Any:
        from sklearn.linear_model import LinearRegression, Ridge

        if self.alpha == 0:
            model = LinearRegression(fit_intercept=self.fit_intercept)
            model.coef_, _, rank, model.singular_ = np.linalg.lstsq(x, y, rcond=None)
            model.rank_ = int(rank)
            return model
        penalty = np.sqrt(self.alpha) * np.eye(wide)
        model = Ridge(self.alpha, fit_intercept=self.fit_intercept)
        model.coef_ = np.linalg.lstsq(np.vstack([x, penalty]), np.append(y, np.zeros(wide)), rcond=None)[0]
        model.n_iter_, model.solver_ = None, "svd"
        return model


def _numbers(labels: Any, name: str) -> Floats:
    try:
        y = np.asarray(labels, np.float64)
    except (TypeError, ValueError) as error:
        raise ProgramError(f"Column {name!r} holds {labels[0]!r}; linear models need numbers as labels.") from error
    if not np.isfinite(y).all():
        row = int(np.argmin(np.isfinite(y)))
        raise ProgramError(f"Column {name!r} is {y[row]} in row {row} of an output; fill or drop it in the program.")
    return y
