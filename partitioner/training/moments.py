"""Naive Bayes, scaling, imputing, encoding and neighbours in one pass: one result, however the rows are cut."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from partitioner.reducers.models.encoder import Encoder
from partitioner.reducers.models.imputer import Imputer
from partitioner.reducers.models.naive_bayes import NaiveBayes
from partitioner.reducers.models.neighbors import Neighbors
from partitioner.reducers.models.scaler import Scaler
from partitioner.training.design import Design
from partitioner.training.one_pass import Trained, as_it_is, one_pass

Parameters = Mapping[str, Any]
"""Of the constructor of scikit-learn's class."""


def fit_naive_bayes(
    dataset: Any,
    label: str,
    features: Any = None,
    *,
    kind: str = "gaussian",
    alpha: float = 1.0,
    parameters: Parameters | None = None,
    weight: str | None = None,
    width: int | None = None,
    **options: Any,
) -> Trained:
    """``GaussianNB``, ``MultinomialNB``, ``BernoulliNB`` or ``ComplementNB`` of all the data, as scikit-learn fits it.

    ``alpha``: smoothing of the counts. ``weight``: the column of the weights of rows. ``label``, ``features`` and ``width``
    as in ``Design``, options as for ``pt.run``. Raises ConfigError for settings that cannot be, DataError for an empty
    dataset.
    """
    smoothing = {} if kind == "gaussian" and alpha == 1.0 else {"alpha": alpha}
    reducer = NaiveBayes(kind, label, weight=weight, **{**smoothing, **(parameters or {})})
    return one_pass(dataset, Design.of(features, label, width, weight), reducer, options)


def fit_scaler(
    dataset: Any,
    features: Any = None,
    *,
    kind: str = "standard",
    parameters: Parameters | None = None,
    weight: str | None = None,
    width: int | None = None,
    **options: Any,
) -> Trained:
    """A ``StandardScaler`` (or ``"min_max"``, ``"max_abs"``, ``"robust"``) of all the data in one pass.

    Nulls and NaN are left out, as scikit-learn leaves them out. ``weight`` (``"standard"``): the column of the weights.
    """
    design = replace(Design.of(features, None, width, weight), missing=True)
    return one_pass(dataset, design, Scaler(kind, weight=weight, **(parameters or {})), options)


def fit_imputer(
    dataset: Any,
    features: str | Sequence[str] | None = None,
    *,
    strategy: str = "mean",
    parameters: Parameters | None = None,
    **options: Any,
) -> Trained:
    """A ``SimpleImputer`` of all the data in one pass; columns may hold nulls and NaN."""
    return one_pass(dataset, None, Imputer(strategy, features, **(parameters or {})), options, as_it_is)


def fit_encoder(
    dataset: Any,
    features: str | Sequence[str] | None = None,
    *,
    kind: str = "one_hot",
    label: str | None = None,
    parameters: Parameters | None = None,
    **options: Any,
) -> Trained:
    """A ``OneHotEncoder`` (or ``"ordinal"``, ``"label"``, ``"target"``) of all the data in one pass; columns may be text."""
    return one_pass(dataset, None, Encoder(kind, features, label, **(parameters or {})), options, as_it_is)


def find_neighbors(
    dataset: Any,
    queries: Any,
    k: int = 5,
    features: Any = None,
    *,
    metric: str = "euclidean",
    width: int | None = None,
    **options: Any,
) -> Trained:
    """The ``k`` nearest rows of each of the ``queries``, float64[m, f], as ``NearestNeighbors`` finds them in all the data.

    ``model`` is a dict of ``distances`` and ``indices``, [m, k] each; an index is a row's place in the dataset.
    """
    return one_pass(dataset, Design.of(features, None, width), Neighbors(queries, k, metric), options)
