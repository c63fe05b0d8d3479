"""Ensembles as estimators of scikit-learn: ``clone``, ``get_params``, scorers and searches know what to do with them.

An ensemble that a reducer made holds fitted ``members``. ``fit`` fits clones of ``estimators`` on the data given, so that
a clone of an ensemble can be trained again anywhere.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, clone
from sklearn.utils import get_tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from partitioner.errors import ConfigError
from partitioner.model.data import Floats
from partitioner.reducers.ensemble import Ensemble


def _take_after(ensemble: Any, member: Any) -> None:
    """What scikit-learn remembers of the columns that a member was fitted to, where it does."""
    for name in ("n_features_in_", "feature_names_in_"):
        if name in dir(member):
            setattr(ensemble, name, getattr(member, name))


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

    def fit(self, X: Any, y: Any) -> Any:
        """Clones of ``estimators`` on all of the data."""
        if not self.estimators:
            raise ConfigError("an ensemble without estimators has nothing to fit; give estimators=[...].")
        return self.joined(tuple(clone(e).fit(X, y) for e in self.estimators), self.weights)

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
        self.estimators, self.members = self.estimators or tuple(members), tuple(members)
        _take_after(self, members[0])
        self.weights = weights if self.weights is None else self.weights
        self.weights_ = np.ones(len(members)) if self.weights is None else np.asarray(self.weights, np.float64)
        return self

    def fit(self, X: Any, y: Any) -> Averaging:
        """Clones of ``estimators`` on all of the data."""
        if not self.estimators:
            raise ConfigError("an ensemble without estimators has nothing to fit; give estimators=[...].")
        return self.joined(tuple(clone(e).fit(X, y) for e in self.estimators), self.weights)

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
        """What the members say of each row: their probabilities, or the predictions of regressors."""
        said = [
            m.predict_proba(X) if isinstance(self.ensemble, Ensemble) else m.predict(X) for m in self.ensemble.members
        ]
        return np.column_stack(said)

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
