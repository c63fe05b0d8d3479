"""Naive Bayes and scaling in one pass, from exact sums of each class: one result, however the rows are cut."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any

import numpy as np

from partitioner.errors import ConfigError, DataError, nearest
from partitioner.model.data import Floats
from partitioner.reducers.base import Reducer
from partitioner.reducers.observations import Observations
from partitioner.reducers.totals import Totals
from partitioner.running import run
from partitioner.training.design import Design
from partitioner.training.linear import Trained

Classes = Mapping[Any, Totals]
VARIANCE_SHARE = 1e-9  # of the largest variance, added to all, as scikit-learn's var_smoothing does


class ClassTotals(Reducer):
    """The program returns (X, y), float64[n, f] and n labels; the result has the exact totals of every class."""

    name = "class_totals"
    commutative = exact = mergeable = True

    def create_accumulator(self) -> Classes:
        """No classes."""
        return {}

    def add_input(self, accumulator: Classes, value: Any) -> Classes:
        """With the rows of one output."""
        x, y = value
        found = {}
        for label in np.unique(y):
            rows = x[y == label]
            seen = Observations(rows, np.ones(rows.shape, bool), (x.shape[1],))
            found[label.item() if isinstance(label, np.generic) else label] = Totals.of(seen, squares=True)
        return self.merge_accumulators(accumulator, found)

    def merge_accumulators(self, left: Classes, right: Classes) -> Classes:
        """Class by class."""
        shared = {label: left[label].merged(right[label]) for label in left if label in right}
        return {**left, **right, **shared}

    def extract_output(self, accumulator: Classes) -> Classes:
        """The totals, in the order of the labels."""
        return {label: accumulator[label] for label in sorted(accumulator)}


class Rows:
    """Features and labels of a batch; without labels all rows are of class 0. ``kind`` says what features may be."""

    def __init__(self, design: Design, kind: str = "gaussian") -> None:
        self.design, self.kind = design, kind

    def __call__(self, batch: Any) -> tuple[Floats, Any]:
        """(float64[n, f], labels[n])."""
        x = self.design.matrix(batch)
        x = x if isinstance(x, np.ndarray) else x.toarray()
        if self.kind == "multinomial" and (x < 0).any():
            raise DataError("multinomial naive Bayes counts, and a feature is below 0; use kind='gaussian'.")
        x = (x > 0).astype(np.float64) if self.kind == "bernoulli" else x
        return x, np.zeros(len(x), np.int64) if self.design.label is None else self.design.labels(batch)


def fit_naive_bayes(
    dataset: Any,
    label: str,
    features: Any = None,
    *,
    kind: str = "gaussian",
    alpha: float = 1.0,
    width: int | None = None,
    **options: Any,
) -> Trained:
    """``GaussianNB``, ``MultinomialNB`` or ``BernoulliNB`` of all the data in one pass, as scikit-learn fits it.

    ``alpha``: smoothing of the counts. ``label``, ``features`` and ``width`` as in ``Design``, options as for ``pt.run``.
    Raises ConfigError for settings that cannot be, DataError for an empty dataset.
    """
    if kind not in _MODELS:
        raise ConfigError(f"kind is {kind!r}; it is {', '.join(_MODELS)}.{nearest(kind, list(_MODELS))}")
    if not alpha > 0:
        raise ConfigError(f"alpha is {alpha}; smoothing is above 0.")
    found = _totals(dataset, Rows, {"design": Design.of(features, label, width), "kind": kind}, options)
    return Trained(_MODELS[kind](found.result, alpha), found)


def fit_scaler(dataset: Any, features: Any = None, *, width: int | None = None, **options: Any) -> Trained:
    """A ``StandardScaler`` of all the data in one pass; a feature that never changes keeps its scale."""
    from sklearn.preprocessing import StandardScaler

    found = _totals(dataset, Rows, {"design": Design.of(features, None, width)}, options)
    (totals,) = found.result.values()
    model = StandardScaler()
    model.mean_, model.var_ = totals.mean(), totals.variance(0)
    model.scale_ = np.where(model.var_ > 0, np.sqrt(model.var_), 1.0)
    model.n_samples_seen_, model.n_features_in_ = np.int64(totals.count[0]), len(model.mean_)
    return Trained(model, found)


def _totals(dataset: Any, program: Any, arguments: dict[str, Any], options: dict[str, Any]) -> Any:
    settings: dict[str, Any] = {"arguments": arguments, "batch_format": "arrow", "reducer": ClassTotals(), **options}
    finished = run(dataset, program, **settings)
    if not finished.result:
        raise DataError("the dataset is empty; there is nothing to fit.")
    return finished


def _gaussian(classes: Classes, alpha: float) -> Any:
    from sklearn.naive_bayes import GaussianNB

    model = GaussianNB()
    everything = reduce(Totals.merged, classes.values())
    model.epsilon_ = VARIANCE_SHARE * float(everything.variance(0).max())
    model.theta_ = np.array([t.mean() for t in classes.values()])
    model.var_ = np.array([t.variance(0) for t in classes.values()]) + model.epsilon_
    model.class_count_ = _counts(classes)
    model.class_prior_ = model.class_count_ / model.class_count_.sum()
    return _with_classes(model, classes)


def _multinomial(classes: Classes, alpha: float) -> Any:
    from sklearn.naive_bayes import MultinomialNB

    return _counted(MultinomialNB(alpha=alpha), classes)


def _bernoulli(classes: Classes, alpha: float) -> Any:
    from sklearn.naive_bayes import BernoulliNB

    return _counted(BernoulliNB(alpha=alpha), classes)


def _counted(model: Any, classes: Classes) -> Any:
    """A discrete model with its counts: what it makes of them is scikit-learn's own."""
    model.class_count_ = _counts(classes)
    model.feature_count_ = np.array([t.total() for t in classes.values()])
    model._update_feature_log_prob(model.alpha)
    model.class_log_prior_ = np.log(model.class_count_) - np.log(model.class_count_.sum())
    return _with_classes(model, classes)


def _counts(classes: Classes) -> Floats:
    return np.array([float(t.count[0]) for t in classes.values()])


def _with_classes(model: Any, classes: Classes) -> Any:
    model.classes_ = np.array(list(classes))
    model.n_features_in_ = len(next(iter(classes.values())).count)
    return model


_MODELS: dict[str, Callable[[Classes, float], Any]] = {
    "gaussian": _gaussian,
    "multinomial": _multinomial,
    "bernoulli": _bernoulli,
}
