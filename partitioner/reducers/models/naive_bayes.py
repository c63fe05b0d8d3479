"""``naive_bayes``: a fitted ``GaussianNB``, ``MultinomialNB``, ``BernoulliNB`` or ``ComplementNB`` of all rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

import numpy as np

from partitioner.errors import ConfigError, ProgramError
from partitioner.model.data import Floats
from partitioner.reducers.models.estimator import EstimatorReducer, check_kind, unfitted, with_features
from partitioner.reducers.models.rows import Layout, class_labels
from partitioner.reducers.observations import Observations
from partitioner.reducers.sparse import sparse_totals, sparse_weighted_totals
from partitioner.reducers.totals import Totals
from partitioner.reducers.weighted_totals import WeightedTotals


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """The exact totals of the rows of one label: as many as they are, and ``weighted`` where rows have weights."""

    totals: Totals
    weighted: WeightedTotals | None = None

    def merged(self, later: Group) -> Group:
        """Both as one. Raises ProgramError where columns differ."""
        return Group(
            self.totals.merged(later.totals),
            self.weighted.merged(later.weighted) if self.weighted and later.weighted else None,
        )

    def mass(self) -> float:
        """How many rows, or their weights together."""
        return float(self.totals.count[0] if self.weighted is None else self.weighted.masses()[0])

    def mean(self) -> Floats:
        """Of each column."""
        return self.totals.mean() if self.weighted is None else self.weighted.mean()

    def variance(self) -> Floats:
        """Of each column."""
        return self.totals.variance(0) if self.weighted is None else self.weighted.variance()

    def total(self) -> Floats:
        """Of each column."""
        return self.totals.total() if self.weighted is None else self.weighted.total()


Classes = Mapping[Any, Group]
"""By label."""

KINDS = {
    "gaussian": "naive_bayes:GaussianNB",
    "multinomial": "naive_bayes:MultinomialNB",
    "bernoulli": "naive_bayes:BernoulliNB",
    "complement": "naive_bayes:ComplementNB",
}
COUNTS = ("multinomial", "complement")


class NaiveBayes(EstimatorReducer):
    """The program returns tables with the column ``label``, or (X, y). ``kind``: ``"gaussian"``, ``"multinomial"``,
    ``"bernoulli"`` or ``"complement"``; other options are those of scikit-learn's class. ``features`` as in ``Layout``.

    ``weight``: the column of the weights of rows, or (X, y, weights), as ``sample_weight`` there. X may be a sparse matrix,
    and stays one: what is kept of it is as large as its entries (``gaussian`` makes it dense).
    """

    name = "naive_bayes"
    exact = True

    def __init__(
        self,
        kind: str = "gaussian",
        label: str = "label",
        features: str | Sequence[str] | None = None,
        weight: str | None = None,
        **options: Any,
    ) -> None:
        self.kind, self.options = check_kind(kind, KINDS), options
        self.model = unfitted(KINDS[kind], options).get_params()
        self.layout = replace(Layout.of(features, label), weight=weight, sparse=kind != "gaussian")
        if self.model.get("alpha") is not None and not np.all(np.asarray(self.model["alpha"]) > 0):
            raise ConfigError(f"alpha is {self.model['alpha']}; smoothing is above 0.")

    def create_accumulator(self) -> Classes:
        """No classes."""
        return {}

    def add_input(self, accumulator: Classes, value: Any) -> Classes:
        """With the rows of one output. Raises ProgramError for counts below 0."""
        rows = self.layout.read(value, self.name)
        x = self._counted(rows.x)
        labels, squares = class_labels(rows.y, self.layout.label), self.kind == "gaussian"
        found = {}
        for label in np.unique(labels):
            here = labels == label
            weights = None if rows.weights is None else rows.weights[here]
            name = label.item() if isinstance(label, np.generic) else label
            if isinstance(x, np.ndarray):
                found[name] = _dense(x[here], rows.names, weights, squares)
            else:
                found[name] = _of_zeros(x[here], weights)
        return self.merge_accumulators(accumulator, found)

    def merge_accumulators(self, left: Classes, right: Classes) -> Classes:
        """Class by class. Raises ProgramError where columns differ."""
        shared = {label: left[label].merged(right[label]) for label in left if label in right}
        return {**left, **right, **shared}

    def extract_output(self, accumulator: Classes) -> Any:
        """The fitted model; None of no rows."""
        if not accumulator:
            return None
        try:
            classes = {label: accumulator[label] for label in sorted(accumulator)}
        except TypeError as error:
            kinds = " and ".join(sorted({type(label).__name__ for label in accumulator}))
            raise ProgramError(f"Labels are {kinds} in different outputs; return one type.") from error
        self._check_priors(list(classes))
        first = next(iter(classes.values())).totals
        model = _FITTED[self.kind](unfitted(KINDS[self.kind], self.options), classes)
        model.classes_ = np.array(list(classes))
        return with_features(model, first.names, len(first.count))

    def _check_priors(self, classes: list[Any]) -> None:
        option = "priors" if self.kind == "gaussian" else "class_prior"
        priors = self.model[option]
        if priors is not None and len(priors) != len(classes):
            raise ConfigError(
                f"{option} holds {len(priors)} numbers and there are {len(classes)} classes: {', '.join(map(str, classes))}."
            )

    def _counted(self, x: Any) -> Any:
        numbers = x if isinstance(x, np.ndarray) else x.data
        if self.kind in COUNTS and (numbers < 0).any():
            raise ProgramError(f"{self.kind} naive Bayes counts, and a feature is below 0; use kind='gaussian'.")
        if self.kind == "bernoulli" and self.model["binarize"] is not None:
            seen = np.asarray(numbers > self.model["binarize"], np.float64)
            return seen if isinstance(x, np.ndarray) else type(x)((seen, x.indices, x.indptr), x.shape)
        return x


def _dense(x: Floats, names: tuple[str, ...] | None, weights: Floats | None, squares: bool) -> Group:
    seen = Observations(x, np.ones(x.shape, bool), (x.shape[1],), names)
    return Group(Totals.of(seen, squares), None if weights is None else WeightedTotals.of(seen, weights, squares))


def _of_zeros(x: Any, weights: Floats | None) -> Group:
    """The same of a sparse matrix, mostly zeros."""
    return Group(sparse_totals(x), None if weights is None else sparse_weighted_totals(x, weights))


def _gaussian(model: Any, classes: Classes) -> Any:
    everything = reduce(Totals.merged, (group.totals for group in classes.values()))
    model.epsilon_ = model.var_smoothing * float(everything.variance(0).max())
    model.theta_ = np.array([t.mean() for t in classes.values()])
    model.var_ = np.array([t.variance() for t in classes.values()]) + model.epsilon_
    model.class_count_ = _counts(classes)
    priors = model.class_count_ / model.class_count_.sum()
    model.class_prior_ = priors if model.priors is None else np.asarray(model.priors)
    return model


def _discrete(model: Any, classes: Classes) -> Any:
    """A model of counts: what it makes of them is scikit-learn's own."""
    from sklearn import naive_bayes

    model.class_count_ = _counts(classes)
    model.feature_count_ = np.array([t.total() for t in classes.values()])
    if isinstance(model, naive_bayes.ComplementNB):
        model.feature_all_ = model.feature_count_.sum(axis=0)
    model.classes_ = np.array(list(classes))
    model._update_feature_log_prob(model.alpha)
    model._update_class_log_prior(class_prior=model.class_prior)
    return model


def _counts(classes: Classes) -> Floats:
    return np.array([group.mass() for group in classes.values()])


_FITTED: dict[str, Callable[[Any, Classes], Any]] = {
    "gaussian": _gaussian,
    "multinomial": _discrete,
    "bernoulli": _discrete,
    "complement": _discrete,
}
