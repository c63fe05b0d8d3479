"""``mean`` of everything the program returned, per column."""

from __future__ import annotations

from collections.abc import Sequence
from math import nan
from typing import Any

import numpy as np

from partitioner.reducers.base import Reducer
from partitioner.reducers.moments import Moments
from partitioner.reducers.observations import observations


class Mean(Reducer):
    """Numbers, arrays (by their first axis) or tables (by column); nulls are left out. Stable, see ``moments``.

    ``columns`` of tables to look at; all by default.
    """

    name = "mean"
    commutative = True
    exact = False
    mergeable = True
    whole_task = False

    def __init__(self, columns: Sequence[str] | None = None) -> None:
        self.columns = None if columns is None else tuple(columns)

    def create_accumulator(self) -> Moments | None:
        """Nothing seen."""
        return None

    def add_input(self, accumulator: Moments | None, value: Any) -> Moments | None:
        """With the observations of one output."""
        return self.merge_accumulators(accumulator, Moments.of(observations(value, self.columns)))

    def merge_accumulators(self, left: Moments | None, right: Moments | None) -> Moments | None:
        """Both as one."""
        if left is None or right is None:
            return left if right is None else right
        return left.merged(right)

    def extract_output(self, accumulator: Moments | None) -> Any:
        """A float, an array or a dict by column; NaN where nothing was seen."""
        if accumulator is None:
            return nan
        return accumulator.shaped(np.where(accumulator.count > 0, accumulator.mean, nan))
