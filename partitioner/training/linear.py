"""Least squares, ridge regression and PCA in one pass, from the triangular factor of [1, X, y].

Its first row takes out the mean, so the rest of it is the factor of the centred data: nothing is squared, and nothing
cancels (Golub and Van Loan, Matrix Computations, section 5.3).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from partitioner.errors import ConfigError, DataError
from partitioner.model.data import Floats
from partitioner.running import run
from partitioner.runs.run import Run
from partitioner.training.design import Design


class Columns:
    """[1, X, y] of a batch as one matrix; without labels [1, X]."""

    def __init__(self, design: Design) -> None:
        self.design = design

    def __call__(self, batch: Any) -> Floats:
        """float64[n, 1 + f (+ 1)]."""
        x = self.design.matrix(batch)
        x = x if isinstance(x, np.ndarray) else x.toarray()
        labels = [] if self.design.label is None else [np.asarray(self.design.labels(batch), np.float64)[:, None]]
        return np.hstack([np.ones((len(x), 1)), x, *labels])


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """A fitted scikit-learn ``model`` and the ``run`` that made it."""

    model: Any
    run: Run


def fit_linear(
    dataset: Any, label: str, features: Any = None, *, alpha: float = 0.0, width: int | None = None, **options: Any
) -> Trained:
    """``LinearRegression``, or with ``alpha`` above 0 ``Ridge``, of all the data in one pass; the intercept is free.

    ``label``, ``features`` and ``width`` as in ``Design``; ``options`` as for ``pt.run``. Of several solutions it is the
    shortest, as in scikit-learn. Raises ConfigError for a negative ``alpha``, DataError for an empty dataset.
    """
    if not alpha >= 0:
        raise ConfigError(f"alpha is {alpha}; the penalty of ridge regression is at least 0.")
    finished, factor = _factored(dataset, Design.of(features, label, width), options)
    r, top = factor["r"], factor["r"][0]
    wide = r.shape[1] - 2
    body = np.zeros((max(len(r) - 1, 0), wide + 1)) if len(r) < 2 else r[1:, 1:]
    x, y = body[:, :wide], body[:, wide]
    if alpha > 0:
        x, y = np.vstack([x, np.sqrt(alpha) * np.eye(wide)]), np.append(y, np.zeros(wide))
    coefficients = np.linalg.lstsq(x, y, rcond=None)[0]
    means = top[1:] / top[0]
    return Trained(_linear(coefficients, float(means[wide] - means[:wide] @ coefficients), alpha), finished)


def fit_pca(
    dataset: Any, components: int, features: Any = None, *, width: int | None = None, **options: Any
) -> Trained:
    """``PCA`` of all the data in one pass: the singular vectors of the centred factor.

    Raises ConfigError for more components than features or rows.
    """
    finished, factor = _factored(dataset, Design.of(features, None, width), options)
    r, rows = factor["r"], factor["rows"]
    if not 1 <= components <= min(rows, r.shape[1] - 1):
        raise ConfigError(
            f"components is {components}; give from 1 to the smaller of {rows} rows and {r.shape[1] - 1} features."
        )
    _, values, vectors = np.linalg.svd(r[1:, 1:], full_matrices=False)
    signs = np.sign(vectors[np.arange(len(vectors)), np.argmax(np.abs(vectors), axis=1)])
    return Trained(_pca(values, vectors * signs[:, None], r[0, 1:] / r[0, 0], rows, components), finished)


def _factored(dataset: Any, design: Design, options: dict[str, Any]) -> tuple[Run, dict[str, Any]]:
    program: dict[str, Any] = {"arguments": {"design": design}, "batch_format": "arrow", "reducer": "tsqr"}
    finished = run(dataset, Columns, **{**program, **options})
    if finished.result is None:
        raise DataError("the dataset is empty; there is nothing to fit.")
    return finished, finished.result


def _linear(coefficients: Floats, intercept: float, alpha: float) -> Any:
    from sklearn.linear_model import LinearRegression, Ridge

    model = Ridge(alpha=alpha) if alpha > 0 else LinearRegression()
    model.coef_, model.intercept_, model.n_features_in_ = coefficients, intercept, len(coefficients)
    return model


def _pca(values: Floats, vectors: Floats, mean: Floats, rows: int, components: int) -> Any:
    from sklearn.decomposition import PCA

    model = PCA(components)
    variances = values**2 / (rows - 1)
    model.components_, model.singular_values_ = vectors[:components], values[:components]
    model.explained_variance_ = variances[:components]
    model.explained_variance_ratio_ = variances[:components] / variances.sum()
    model.noise_variance_ = float(variances[components:].mean()) if len(variances) > components else 0.0
    model.mean_, model.n_samples_, model.n_features_in_ = mean, rows, vectors.shape[1]
    model.n_components_ = components
    return model
