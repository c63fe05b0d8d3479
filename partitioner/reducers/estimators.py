"""Ensembles as estimators of scikit-learn: ``clone``, ``get_params``, scorers and searches know what to do with them.

An ensemble that a reducer made holds fitted ``members``. ``fit`` fits clones of ``estimators`` on the data given, so that
a clone of an ensemble can be trained again anywhere.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, clone
from sklearn.pipeline import Pipeline
from sklearn.utils import column_or_1d, get_tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from partitioner.errors import ConfigError
from partitioner.model.data import Floats
from partitioner.reducers.ensemble import Ensemble, weights_of


def _take_after(ensemble: Any, member: Any) -> None:
    """What scikit-learn remembers of the columns that a member was fitted to, where it does."""
    for name in ("n_features_in_", "feature_names_in_"):
        if name in dir(member):
            setattr(ensemble, name, getattr(member, name))


def _fitted(estimators: Any, X: Any, y: Any, sample_weight: Any) -> tuple[Any, ...]:
    """Clones, fitted; weights of rows go to members where they are given, and ``y`` of one column is taken as a vector."""
    if not len(estimators):
        raise ConfigError("an ensemble without estimators has nothing to fit; give estimators=[...].")
    held = np.asarray(y)
    y = column_or_1d(held, warn=True) if held.ndim == 2 and held.shape[1] == 1 else y
    return tuple(clone(e).fit(X, y, **_weights_for(e, sample_weight)) for e in estimators)


def _weights_for(estimator: Any, sample_weight: Any) -> dict[str, Any]:
    """The argument of ``fit`` for weights of rows; in a pipeline they are those of its last step."""
    if sample_weight is None:
        return {}
    path = []
    while isinstance(estimator, Pipeline):
        name, estimator = estimator.steps[-1]
        path.append(name)
    return {"__".join([*path, "sample_weight"]): sample_weight}


def _as_members(tags: Any, estimators: Any) -> Any:
    """What all members take: sparse matrices, NaN."""
    takes = [get_tags(e).input_tags if isinstance(e, BaseEstimator) else None for e in estimators]
    tags.input_tags.sparse = bool(takes) and all(taken is not None and taken.sparse for taken in takes)
    tags.input_tags.allow_nan = bool(takes) and all(taken is not None and taken.allow_nan for taken in takes)
    return tags


class _Voting(Ensemble, ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Classifiers that vote; ``weights``: of each, all alike by default."""

    def __init__(self, estimators: Any = (), weights: Any = None) -> None:
        self.estimators = estimators
        self.weights = weights

    def joined(self, members: tuple[Any, ...], weights: Any = None) -> Any:
        """This ensemble, fitted: of these members, clones of which ``fit`` would train."""
        self.estimators = self.estimators or tuple(members)
        self.weights = weights if self.weights is None else self.weights
        _take_after(self, members[0])
        return super().joined(members, self.weights)

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """Clones of ``estimators`` on all of the data."""
        return self.joined(_fitted(self.estimators, X, y, sample_weight), self.weights)

    def __sklearn_tags__(self) -> Any:
        """Sparse matrices and NaN are for ensembles whose members all take them."""
        return _as_members(super().__sklearn_tags__(), self.estimators)

    def predict_proba(self, X: Any) -> Floats:
        """Shares of the vote, float64[rows, classes]."""
        check_is_fitted(self, "members")
        return super().predict_proba(X)

    def predict(self, X: Any) -> Any:
        """The class with the largest share of each row."""
        check_is_fitted(self, "members")
        return super().predict(X)


class SoftVoting(_Voting):
    """Members' probabilities averaged."""

    def shares(self, member: Any, X: Any) -> Floats:
        """The member's probabilities."""
        return np.asarray(member.predict_proba(X), np.float64)


class HardVoting(_Voting):
    """One vote per member."""

    def shares(self, member: Any, X: Any) -> Floats:
        """1 for the class the member predicts."""
        predicted = np.asarray(member.predict(X))
        return np.asarray(predicted[:, None] == np.asarray(member.classes_)[None, :], np.float64)


class Averaging(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Regressors whose predictions are averaged, by ``weights`` where given."""

    def __init__(self, estimators: Any = (), weights: Any = None) -> None:
        self.estimators = estimators
        self.weights = weights

    def joined(self, members: tuple[Any, ...], weights: Any = None) -> Averaging:
        """This ensemble, fitted: of these members."""
        self.estimators, self.members_ = self.estimators or tuple(members), tuple(members)
        _take_after(self, members[0])
        self.weights = weights if self.weights is None else self.weights
        self.weights_ = weights_of(members, self.weights)
        return self

    @property
    def members(self) -> tuple[Any, ...]:
        """The fitted models. AttributeError of an ensemble that is not fitted."""
        return self.members_

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Averaging:
        """Clones of ``estimators`` on all of the data."""
        return self.joined(_fitted(self.estimators, X, y, sample_weight), self.weights)

    def __sklearn_tags__(self) -> Any:
        """Sparse matrices and NaN are for ensembles whose members all take them."""
        return _as_members(super().__sklearn_tags__(), self.estimators)

    def predict(self, X: Any) -> Floats:
        """The weighted mean of the members' predictions."""
        check_is_fitted(self, "members")
        return np.average([np.asarray(m.predict(X), np.float64) for m in self.members], axis=0, weights=self.weights_)


class Stacking(BaseEstimator):  # type: ignore[misc]
    """Fitted ``members`` of an ensemble, and a ``final`` estimator that learns from their predictions on data held back.

    ``fit`` trains the final estimator alone: give it rows that no member has seen. A clone keeps the members as they are,
    and has a final estimator that is not fitted, so that scorers and searches judge what ``fit`` does.
    """

    def __init__(self, ensemble: Any, final: Any) -> None:
        self.ensemble = ensemble
        self.final = final

    def fit(self, X: Any, y: Any) -> Stacking:
        """The final estimator, on what the members say of ``X``."""
        self.final_ = clone(self.final).fit(self.transform(X), y)
        if isinstance(self.ensemble, Ensemble):
            self.classes_ = self.final_.classes_
        return self

    def __sklearn_clone__(self) -> Stacking:
        return Stacking(self.ensemble, clone(self.final))

    def transform(self, X: Any) -> Floats:
        """What the members say of each row: probabilities, votes where they have none, or what regressors predict."""
        return np.column_stack([self._said(member, X) for member in self.ensemble.members])

    def _said(self, member: Any, X: Any) -> Any:
        if not isinstance(self.ensemble, Ensemble):
            return member.predict(X)
        return member.predict_proba(X) if "predict_proba" in dir(member) else self.ensemble.shares(member, X)

    def predict(self, X: Any) -> Any:
        """Of the final estimator."""
        check_is_fitted(self, "final_")
        return self.final_.predict(self.transform(X))

    @available_if(lambda self: "predict_proba" in dir(self.final))  # type: ignore[untyped-decorator]
    def predict_proba(self, X: Any) -> Floats:
        """Of the final estimator, where it has probabilities."""
        check_is_fitted(self, "final_")
        return np.asarray(self.final_.predict_proba(self.transform(X)))

    def __sklearn_tags__(self) -> Any:
        """A classifier or a regressor, as the final estimator is."""
        tags, final = super().__sklearn_tags__(), get_tags(self.final)
        tags.estimator_type = final.estimator_type
        tags.classifier_tags, tags.regressor_tags = final.classifier_tags, final.regressor_tags
        return tags

    def score(self, X: Any, y: Any) -> float:
        """Of the final estimator: accuracy, or R2."""
        return float(self.final_.score(self.transform(X), y))
