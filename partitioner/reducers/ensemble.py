"""Fitted models side by side: what ``soft_vote``, ``hard_vote`` and ``average`` share, without scikit-learn.

The ensembles themselves, which are estimators of scikit-learn, are in ``estimators``, and are loaded for the result alone.
"""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Sequence
from math import isfinite
from typing import Any

import numpy as np
import numpy.typing as npt

from partitioner.errors import ConfigError, ProgramError, shortened
from partitioner.model.data import Floats
from partitioner.reducers.base import Reducer
from partitioner.reducers.partials import check_serializer

Member = tuple[Any, float]
"""A fitted model and the weight of its vote."""


class Ensemble(ABC):
    """``members`` in input order, each with ``classes_``; they need not know the same classes. Picklable.

    ``classes_`` are all classes any member knows, sorted; ``weights_`` float64[members] say how much each counts.
    """

    members_: tuple[Any, ...]
    classes_: npt.NDArray[Any]
    weights_: Floats

    @property
    def members(self) -> tuple[Any, ...]:
        """The fitted models. AttributeError of an ensemble that is not fitted."""
        return self.members_

    @abstractmethod
    def shares(self, member: Any, X: Any) -> Floats:
        """What ``member`` says of each row, float64[rows, its own classes]."""

    def joined(self, members: tuple[Any, ...], weights: Any = None) -> Any:
        """This ensemble, fitted: of these members.

        Raises ConfigError for weights that are not one for each; ProgramError where classes are text here and numbers there.
        """
        self.members_ = tuple(members)
        self.weights_ = weights_of(members, weights)
        known = [np.asarray(m.classes_) for m in members]
        kinds = {_kind(classes): classes.tolist() for classes in known}
        if len(kinds) > 1:
            first, second = list(kinds.items())[:2]
            raise ProgramError(
                f"The members' classes are {first[0]} ({shortened(str(first[1]), 80)}) and {second[0]} "
                f"({shortened(str(second[1]), 80)}); return models whose labels are of one type."
            )
        self.classes_ = np.unique(np.concatenate(known))
        return self

    def predict_proba(self, X: Any) -> Floats:
        """The mean of the members' shares, float64[rows, classes]; a class a member does not know gets 0 from it."""
        total: Floats | None = None
        for member, weight in zip(self.members, self.weights_, strict=True):
            shares = self.shares(member, X)
            if total is None:
                total = np.zeros((len(shares), len(self.classes_)))
            total[:, np.searchsorted(self.classes_, member.classes_)] += weight * shares
        assert total is not None, "an ensemble has members"
        return np.asarray(total / self.weights_.sum())

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """The class with the largest share of each row; of equal ones the first in ``classes_``."""
        chosen: npt.NDArray[Any] = self.classes_[np.argmax(self.predict_proba(X), axis=1)]
        return chosen


def weights_of(members: Sequence[Any], weights: Any) -> Floats:
    """float64[members], all alike where none are given. Raises ConfigError for another number of them."""
    found = np.ones(len(members)) if weights is None else np.asarray(weights, np.float64)
    if found.shape != (len(members),):
        raise ConfigError(
            f"weights has the shape {found.shape} for {len(members)} members; give one for each, or None for all alike."
        )
    return found


def _kind(classes: npt.NDArray[Any]) -> str:
    """What labels are, in a word: numbers and truth values are of one kind, for they have one order."""
    if classes.dtype.kind in "biuf":
        return "numbers"
    kinds = {"text" if isinstance(one, str) else type(one).__name__ for one in classes.tolist()}
    return "numbers" if kinds <= {"int", "float", "bool"} else " beside ".join(sorted(kinds))


def is_fitted(model: Any) -> bool:
    """Whether a model of scikit-learn is; what is none of its estimators counts as fitted."""
    base = sys.modules.get("sklearn.base")
    if base is None or not isinstance(model, base.BaseEstimator):
        return True
    from sklearn.exceptions import NotFittedError
    from sklearn.utils.validation import check_is_fitted

    try:
        check_is_fitted(model)
    except NotFittedError:
        return False
    return True


class Vote(Reducer):
    """What the votes have in common: the program returns a fitted model, or (model, weight); kept in input order.

    ``serializer="pickle"`` is for models that are neither of scikit-learn nor made of plain values.
    """

    commutative = False
    exact = True
    mergeable = False
    whole_task = True
    gathers = True
    per_key = False
    takes = "models"
    allows_nan = True  # within a model: missing values of a tree, scores that were not asked for
    needs: tuple[str, ...] = ()

    def __init__(self, serializer: str = "safe") -> None:
        self.serializer = serializer
        check_serializer(self)

    def create_accumulator(self) -> tuple[Member, ...]:
        """No models."""
        return ()

    def add_input(self, accumulator: tuple[Member, ...], value: Any) -> tuple[Member, ...]:
        """One more fitted model. Raises ProgramError where the program returned something else."""
        model, weight = value if isinstance(value, tuple) and len(value) == 2 else (value, 1.0)
        missing = [name for name in self.needs if name not in dir(model)]
        if missing:
            raise ProgramError(
                f"The program returned {type(model).__name__}, which has no {', '.join(missing)}; "
                f"{self.name} needs a fitted model with {', '.join(self.needs)} from every sub-task."
            )
        if not is_fitted(model):
            raise ProgramError(
                f"The program returned {type(model).__name__}, which is not fitted; return it after fit."
            )
        if not (isfinite(weight) and weight > 0):
            raise ProgramError(f"The program returned weight {weight}; {self.name} needs a finite weight above 0.")
        return (*accumulator, (model, float(weight)))

    def merge_accumulators(self, left: tuple[Member, ...], right: tuple[Member, ...]) -> tuple[Member, ...]:
        """The models of ``left``, then those of ``right``."""
        return left + right

    def extract_output(self, accumulator: tuple[Member, ...]) -> Any:
        """The fitted ensemble, an estimator of scikit-learn; None of no models (an empty dataset)."""
        if not accumulator:
            return None
        return self.ensemble().joined(tuple(m for m, _ in accumulator), [w for _, w in accumulator])

    def ensemble(self) -> Any:
        """The estimator, without members; a reducer that overrides ``extract_output`` (a forest) needs none."""
        raise NotImplementedError(f"{type(self).__name__} has neither ensemble nor an extract_output of its own")
