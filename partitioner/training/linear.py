"""Least squares, ridge regression and PCA in one pass, by the reducers ``linear`` and ``pca``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from partitioner.errors import ConfigError
from partitioner.reducers.models.linear import Factor, Linear, label_names
from partitioner.reducers.models.pca import Pca
from partitioner.training.design import Design
from partitioner.training.one_pass import Trained, one_pass


def fit_linear(
    dataset: Any,
    label: str | Sequence[str],
    features: Any = None,
    *,
    alpha: float = 0.0,
    weight: str | None = None,
    width: int | None = None,
    metrics: bool = False,
    **options: Any,
) -> Trained:
    """``LinearRegression``, or with ``alpha`` above 0 ``Ridge``, of all the data in one pass; the intercept is free.

    ``label``: a column, or a list of them for a model of several targets; ``features`` and ``width`` as in ``Design``;
    ``weight``: the column of the weights of rows; ``options`` as for ``pt.run``. ``metrics``: R2 and root mean squared error
    on the same rows, from the same pass, of several targets the mean. Of several solutions it is the shortest, as in
    scikit-learn. Raises ConfigError for a negative ``alpha``, DataError for an empty dataset.
    """
    first, targets = label_names(label)
    for name in targets:
        Design.of(features, name)
    design = replace(Design.of(features, first, width, weight), targets=targets)
    if not metrics:
        return one_pass(dataset, design, Linear(label, alpha=alpha, weight=weight), options)
    found = one_pass(dataset, design, JudgedLinear(label, alpha=alpha, weight=weight), options)
    return replace(found, model=found.model["model"], metrics=found.model["metrics"])


class JudgedLinear(Linear):
    """A linear model, and how well it tells the rows it was made of."""

    def extract_output(self, accumulator: Factor | None) -> Any:
        """``model`` and ``metrics``; None of no rows."""
        model = super().extract_output(accumulator)
        return None if accumulator is None else {"model": model, "metrics": self.figures(accumulator, model)}


def fit_pca(
    dataset: Any, components: int, features: Any = None, *, width: int | None = None, **options: Any
) -> Trained:
    """``PCA`` of all the data in one pass: the singular vectors of the centred factor.

    Raises ConfigError for more components than features or rows.
    """
    if not isinstance(components, int):
        raise ConfigError(f"components is {components!r}; give a whole number of 1 or more.")
    return one_pass(dataset, Design.of(features, None, width), Pca(components), options)
