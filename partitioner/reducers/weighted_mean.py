"""``weighted_mean`` of parameters: federated averaging and its like (McMahan et al. 2017, eq. 1)."""

from __future__ import annotations

from math import isfinite
from typing import Any

import numpy as np

from partitioner.errors import ProgramError
from partitioner.reducers.base import Reducer
from partitioner.reducers.parameters import as_known, check_one_kind, restored, rewrapped, to_float, unwrapped
from partitioner.reducers.trees import added, added_into, of_tensor, walk

Accumulator = tuple[Any, Any, float]
"""The weighted sum in float64, the first parameters seen (for their types), the total weight."""


def checked_pair(value: Any, reducer: str) -> tuple[Any, float]:
    """(parameters, weight). Raises ProgramError where ``value`` is no such pair, or its weight not above 0."""
    if not (isinstance(value, tuple) and len(value) == 2):
        raise ProgramError(f"The program returned {type(value).__name__}; {reducer} needs (parameters, weight).")
    parameters, weight = value[0], of_tensor(value[1])
    weight = weight[()] if isinstance(weight, np.ndarray) and weight.ndim == 0 else weight
    if not (isinstance(weight, int | float | np.number) and isfinite(weight) and weight > 0):
        raise ProgramError(f"The program returned weight {weight}; {reducer} needs a finite weight above 0.")
    return as_known(parameters), float(weight)


class WeightedMean(Reducer):
    """The program returns ``(parameters, weight)``: numbers, arrays, tensors or trees of them, or an estimator; weight > 0.

    Trees are nested dicts (a torch ``state_dict``), lists (Keras weights), tuples, named tuples and dataclasses; of a fitted
    scikit-learn estimator its numeric attributes are averaged. Sums are kept in float64; the result has the structure and
    types of the first parameters: float32 stays float32, integer buffers stay integers (rounded to the nearest).
    """

    name = "weighted_mean"
    commutative = True
    exact = False
    mergeable = True
    whole_task = True
    in_place = True
    per_key = False
    takes = "models"

    def create_accumulator(self) -> Accumulator:
        """Nothing, of weight 0."""
        return None, None, 0.0

    def add_input(self, accumulator: Accumulator, value: Any) -> Accumulator:
        """With one set of parameters. Raises ProgramError where ``value`` is no pair or its weight not above 0."""
        parameters, weight = checked_pair(value, self.name)
        weighted = walk(lambda leaf: _times(to_float(leaf), weight), unwrapped(parameters))
        return self.merge_accumulators(accumulator, (weighted, parameters, weight))

    def merge_accumulators(self, left: Accumulator, right: Accumulator) -> Accumulator:
        """Sums and weights added."""
        if left[2] == 0.0 or right[2] == 0.0:
            return right if left[2] == 0.0 else left
        check_one_kind(left[1], right[1])
        return added(left[0], right[0]), left[1], left[2] + right[2]

    def merge_into(self, left: Accumulator, right: Accumulator) -> Accumulator:
        """The same, the sum in the memory of ``left``."""
        if left[2] == 0.0 or right[2] == 0.0:
            return self.merge_accumulators(left, right)
        check_one_kind(left[1], right[1])
        return added_into(left[0], right[0]), left[1], left[2] + right[2]

    def extract_output(self, accumulator: Accumulator) -> Any:
        """Parameters of the same structure; None where there were none."""
        total, first, weight = accumulator
        return None if weight == 0.0 else rewrapped(restored(total, weight, unwrapped(first)), first)


def _times(leaf: Any, weight: float) -> Any:
    return leaf if leaf is None or isinstance(leaf, str) else leaf * weight
