"""Fitted classifiers that vote: what the ``soft_vote`` and ``hard_vote`` reducers return, and what they share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from partitioner.errors import ProgramError
from partitioner.model.data import Floats
from partitioner.reducers.base import Reducer
from partitioner.reducers.partials import check_serializer


@dataclass(frozen=True, slots=True, eq=False)
class Ensemble:
    """``members`` in input order, each with ``classes_``; they need not know the same classes. Picklable.

    ``classes_`` are all classes any member knows, sorted.
    """

    members: tuple[Any, ...]
    classes_: npt.NDArray[Any] = field(init=False)

    def __post_init__(self) -> None:
        known = np.unique(np.concatenate([np.asarray(m.classes_) for m in self.members]))
        object.__setattr__(self, "classes_", known)

    def shares(self, member: Any, X: Any) -> Floats:
        """What ``member`` says of each row, float64[rows, its own classes]."""
        raise NotImplementedError

    def predict_proba(self, X: Any) -> Floats:
        """The mean of the members' shares, float64[rows, classes]; a class a member does not know gets 0 from it."""
        total: Floats | None = None
        for member in self.members:
            shares = self.shares(member, X)
            if total is None:
                total = np.zeros((len(shares), len(self.classes_)))
            total[:, np.searchsorted(self.classes_, member.classes_)] += shares
        assert total is not None, "an ensemble has members"
        return total / len(self.members)

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """The class with the largest share of each row; of equal ones the first in ``classes_``."""
        chosen: npt.NDArray[Any] = self.classes_[np.argmax(self.predict_proba(X), axis=1)]
        return chosen

    def score(self, X: Any, y: npt.ArrayLike) -> float:
        """Accuracy: the share of rows whose prediction equals ``y``."""
        return float(np.mean(self.predict(X) == np.asarray(y)))


class SoftVoting(Ensemble):
    """Members' probabilities averaged."""

    __slots__ = ()

    def shares(self, member: Any, X: Any) -> Floats:
        """The member's probabilities."""
        return np.asarray(member.predict_proba(X), np.float64)


class HardVoting(Ensemble):
    """One vote per member."""

    __slots__ = ()

    def shares(self, member: Any, X: Any) -> Floats:
        """1 for the class the member predicts."""
        predicted = np.asarray(member.predict(X))
        return np.asarray(predicted[:, None] == np.asarray(member.classes_)[None, :], np.float64)


class Vote(Reducer):
    """What both votes have in common: an accumulator is the tuple of fitted models, in input order."""

    commutative = False
    exact = True
    mergeable = False
    whole_task = True
    needs: tuple[str, ...] = ()
    ensemble: type[Ensemble] = Ensemble

    def __init__(self, serializer: str = "safe") -> None:
        self.serializer = serializer
        check_serializer(self)

    def create_accumulator(self) -> tuple[Any, ...]:
        """No models."""
        return ()

    def add_input(self, accumulator: tuple[Any, ...], value: Any) -> tuple[Any, ...]:
        """One more fitted model. Raises ProgramError where the program returned something else."""
        missing = [name for name in self.needs if not hasattr(value, name)]
        if missing:
            raise ProgramError(
                f"The program returned {type(value).__name__}, which has no {', '.join(missing)}; "
                f"a vote needs a fitted classifier with {', '.join(self.needs)} from every sub-task."
            )
        return (*accumulator, value)

    def merge_accumulators(self, left: tuple[Any, ...], right: tuple[Any, ...]) -> tuple[Any, ...]:
        """The models of ``left``, then those of ``right``."""
        return left + right

    def extract_output(self, accumulator: tuple[Any, ...]) -> Ensemble | None:
        """The fitted ensemble; None of no models (an empty dataset)."""
        return self.ensemble(accumulator) if accumulator else None
