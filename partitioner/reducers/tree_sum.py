"""``tree_sum``: numbers, arrays and trees of them added up: gradients, counts, Gram matrices."""

from __future__ import annotations

from typing import Any

from partitioner.reducers.base import Reducer
from partitioner.reducers.trees import added, added_into


class TreeSum(Reducer):
    """The program returns a number, an array, or dicts, lists, tuples and dataclasses of them, of one shape every time."""

    name = "tree_sum"
    commutative = True
    mergeable = True
    in_place = True
    per_key = False

    def create_accumulator(self) -> Any:
        """Nothing yet."""
        return None

    def add_input(self, accumulator: Any, value: Any) -> Any:
        """Plus one output."""
        return self.merge_accumulators(accumulator, value)

    def merge_accumulators(self, left: Any, right: Any) -> Any:
        """The sum, element by element. Raises ProgramError where structures or shapes differ."""
        if left is None or right is None:
            return left if right is None else right
        return added(left, right)

    def merge_into(self, left: Any, right: Any) -> Any:
        """The sum, in the memory of ``left``."""
        return self.merge_accumulators(left, right) if left is None or right is None else added_into(left, right)

    def extract_output(self, accumulator: Any) -> Any:
        """The sum; None of no outputs."""
        return accumulator
