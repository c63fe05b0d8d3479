"""``weighted_mean`` of parameters: federated averaging and its like (McMahan et al. 2017, eq. 1)."""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite
from typing import Any

import numpy as np

from partitioner.errors import ProgramError
from partitioner.reducers.base import Reducer

Accumulator = tuple[Any, Any, float]
"""The weighted sum in float64, the first parameters seen (for their types), the total weight."""


class WeightedMean(Reducer):
    """The program returns ``(parameters, weight)``: an array, a number, or dicts and lists of them; weight above 0.

    Sums are kept in float64; the result has the types of the first parameters (float32 stays float32).
    """

    name = "weighted_mean"
    commutative = True
    exact = False
    mergeable = True
    whole_task = True

    def create_accumulator(self) -> Accumulator:
        """Nothing, of weight 0."""
        return None, None, 0.0

    def add_input(self, accumulator: Accumulator, value: Any) -> Accumulator:
        """With one set of parameters. Raises ProgramError where ``value`` is no pair or its weight not above 0."""
        if not (isinstance(value, tuple) and len(value) == 2):
            raise ProgramError(
                f"The program returned {type(value).__name__}; weighted_mean needs (parameters, weight)."
            )
        parameters, weight = value
        if not (isfinite(weight) and weight > 0):
            raise ProgramError(f"The program returned weight {weight}; weighted_mean needs a finite weight above 0.")
        weighted = _walk(lambda leaf: np.asarray(leaf, np.float64) * weight, parameters)
        return self.merge_accumulators(accumulator, (weighted, parameters, float(weight)))

    def merge_accumulators(self, left: Accumulator, right: Accumulator) -> Accumulator:
        """Sums and weights added."""
        if left[2] == 0.0 or right[2] == 0.0:
            return right if left[2] == 0.0 else left
        return _walk(_add, left[0], right[0]), left[1], left[2] + right[2]

    def extract_output(self, accumulator: Accumulator) -> Any:
        """Parameters of the same structure; None where there were none."""
        total, first, weight = accumulator
        return None if weight == 0.0 else _walk(lambda leaf, like: _typed(leaf / weight, like), total, first)


def _walk(function: Callable[..., Any], *trees: Any) -> Any:
    """``function`` on the matching leaves of nested dicts, lists and tuples."""
    first = trees[0]
    if not isinstance(first, dict | list | tuple):
        return function(*trees)
    for other in trees[1:]:
        same = type(other) is type(first) and len(other) == len(first)
        if not same or (isinstance(first, dict) and other.keys() != first.keys()):
            raise ProgramError(f"Parameters differ in structure: {_outline(first)} and {_outline(other)}.")
    if isinstance(first, dict):
        return {key: _walk(function, *(tree[key] for tree in trees)) for key in first}
    return type(first)([_walk(function, *leaves) for leaves in zip(*trees, strict=True)])


def _outline(tree: Any) -> str:
    if isinstance(tree, dict):
        return f"a dict with keys {', '.join(map(str, tree))}"
    return f"a {type(tree).__name__} of {len(tree)}" if isinstance(tree, list | tuple) else type(tree).__name__


def _add(left: Any, right: Any) -> Any:
    if np.shape(left) != np.shape(right):
        raise ProgramError(f"Parameters differ in shape: {np.shape(left)} and {np.shape(right)}.")
    return left + right


def _typed(value: Any, like: Any) -> Any:
    """A float for a plain number, else an array of the floating type that ``like`` has."""
    if not isinstance(like, np.ndarray) and np.ndim(value) == 0:
        return float(value)
    kind = getattr(like, "dtype", None)
    floating = kind is not None and isinstance(kind, np.dtype) and np.issubdtype(kind, np.floating)
    return np.asarray(value, kind if floating else np.float64)
