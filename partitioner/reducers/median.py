"""``median`` of parameters, coordinate by coordinate: a few bad clients do not move it.

Yin, Chen, Ramchandran and Bartlett, "Byzantine-robust distributed learning" (2018).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from partitioner.reducers.base import Reducer
from partitioner.reducers.parameters import check_one_kind, restored, rewrapped, to_float, unwrapped
from partitioner.reducers.trees import walk
from partitioner.reducers.weighted_mean import checked_pair

Accumulator = tuple[tuple[Any, ...], Any]
"""The parameters of every client as float64 trees, and the first as they were given."""


class Median(Reducer):
    """The program returns ``(parameters, weight)`` as for ``weighted_mean``; the weight only has to be above 0.

    The accumulator keeps every client's parameters, for a median has no smaller sum.
    """

    name = "median"
    commutative = True
    exact = True
    mergeable = True
    whole_task = True
    gathers = True
    per_key = False
    takes = "models"

    def create_accumulator(self) -> Accumulator:
        """Nobody."""
        return (), None

    def add_input(self, accumulator: Accumulator, value: Any) -> Accumulator:
        """With one client."""
        parameters, _ = checked_pair(value, self.name)
        return self.merge_accumulators(accumulator, ((walk(to_float, unwrapped(parameters)),), parameters))

    def merge_accumulators(self, left: Accumulator, right: Accumulator) -> Accumulator:
        """The clients of both. Raises ProgramError for models that number their classes differently."""
        if left[0] and right[0]:
            check_one_kind(left[1], right[1])
        return left[0] + right[0], right[1] if left[1] is None else left[1]

    def extract_output(self, accumulator: Accumulator) -> Any:
        """Parameters of the same structure; None where there were none."""
        clients, first = accumulator
        if not clients:
            return None
        merged = walk(lambda *leaves: self._middle(np.stack(leaves)), *clients)
        return rewrapped(restored(merged, 1.0, unwrapped(first)), first)

    def _middle(self, values: Any) -> Any:
        return np.median(values, axis=0)
