"""``forest``: the trees of random forests that were grown on parts of the data, as one forest."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from partitioner.errors import ProgramError
from partitioner.reducers.ensemble import Vote


class Forest(Vote):
    """The program returns a fitted forest of scikit-learn (random forest, extra trees), one per sub-task, of equal classes.

    The result is one fitted forest with all the trees. Weights are not taken: a tree is a tree.
    """

    name = "forest"
    needs = ("estimators_", "n_features_in_")

    def extract_output(self, accumulator: tuple[Any, ...]) -> Any:
        """The forest; None of no forests. Raises ProgramError where their classes or features differ."""
        if not accumulator:
            return None
        forests = [model for model, _ in accumulator]
        first = forests[0]
        for other in forests[1:]:
            alike = type(other) is type(first) and other.n_features_in_ == first.n_features_in_
            if not alike or not np.array_equal(_classes(other), _classes(first)):
                raise ProgramError(
                    f"Forests differ: a {type(first).__name__} of {first.n_features_in_} features and classes "
                    f"{_classes(first)}, and a {type(other).__name__} of {other.n_features_in_} and {_classes(other)}. "
                    "Use split='stratified' so that every part holds every class, or soft_vote."
                )
        merged = copy.copy(first)
        merged.estimators_ = [tree for forest in forests for tree in forest.estimators_]
        return merged.set_params(n_estimators=len(merged.estimators_))


def _classes(forest: Any) -> Any:
    return vars(forest).get("classes_")
