"""Least squares, ridge regression and PCA in one pass, by the reducers ``linear`` and ``pca``."""

from __future__ import annotations

from typing import Any

from partitioner.errors import ConfigError
from partitioner.reducers.models.linear import Linear
from partitioner.reducers.models.pca import Pca
from partitioner.training.design import Design
from partitioner.training.one_pass import Trained, one_pass


def fit_linear(
    dataset: Any,
    label: str,
    features: Any = None,
    *,
    alpha: float = 0.0,
    weight: str | None = None,
    width: int | None = None,
    **options: Any,
) -> Trained:
    """``LinearRegression``, or with ``alpha`` above 0 ``Ridge``, of all the data in one pass; the intercept is free.

    ``label``, ``features`` and ``width`` as in ``Design``; ``weight``: the column of the weights of rows; ``options`` as for
    ``pt.run``. Of several solutions it is the shortest, as in scikit-learn. Raises ConfigError for a negative ``alpha``,
    DataError for an empty dataset.
    """
    return one_pass(dataset, Design.of(features, label, width, weight), Linear(alpha=alpha, weight=weight), options)


def fit_pca(
    dataset: Any, components: int, features: Any = None, *, width: int | None = None, **options: Any
) -> Trained:
    """``PCA`` of all the data in one pass: the singular vectors of the centred factor.

    Raises ConfigError for more components than features or rows.
    """
    if not isinstance(components, int):
        raise ConfigError(f"components is {components!r}; give a whole number of 1 or more.")
    return one_pass(dataset, Design.of(features, None, width), Pca(components), options)
