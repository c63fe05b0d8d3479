"""``mean`` of everything the program returned, per column."""

from __future__ import annotations

from collections.abc import Sequence
from math import nan as not_a_number
from typing import Any

from partitioner.reducers.base import Reducer
from partitioner.reducers.observations import observations
from partitioner.reducers.totals import Totals, check_nan_policy


class Mean(Reducer):
    """Numbers, arrays (by their first axis) or tables (by column); nulls are left out. Rounded once, see ``exact``.

    ``columns`` of tables to look at; all by default. ``nan``: ``"raise"``, ``"omit"`` or ``"propagate"``.
    """

    name = "mean"
    commutative = True
    exact = True
    mergeable = True
    whole_task = False
    squares = False

    def __init__(self, columns: Sequence[str] | None = None, nan: str = "raise") -> None:
        self.columns = None if columns is None else tuple(columns)
        self.nan = check_nan_policy(nan)
        self.allows_nan = nan == "propagate"

    def create_accumulator(self) -> Totals | None:
        """Nothing seen."""
        return None

    def add_input(self, accumulator: Totals | None, value: Any) -> Totals | None:
        """With the observations of one output."""
        found = Totals.of(observations(value, self.columns), self.nan, self.squares)
        return self.merge_accumulators(accumulator, found)

    def merge_accumulators(self, left: Totals | None, right: Totals | None) -> Totals | None:
        """Both as one."""
        if left is None or right is None:
            return left if right is None else right
        return left.merged(right)

    def extract_output(self, accumulator: Totals | None) -> Any:
        """A float, an array or a dict by column; NaN where nothing was seen."""
        return not_a_number if accumulator is None else accumulator.shaped(accumulator.mean())
