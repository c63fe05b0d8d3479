"""``mean`` of everything the program returned, per column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import nan as not_a_number
from typing import Any

import numpy as np

from partitioner.model.naming import column_names
from partitioner.reducers.base import Reducer
from partitioner.reducers.observations import Observations, observations
from partitioner.reducers.totals import Totals, check_nan_policy, under_policy


class Mean(Reducer):
    """Numbers, arrays (by their first axis) or tables (by column); nulls are left out. Rounded once, see ``exact``.

    ``columns`` of tables to look at; all by default. ``nan``: ``"raise"``, ``"omit"`` or ``"propagate"``.
    """

    name = "mean"
    takes = "data"
    commutative = True
    exact = True
    mergeable = True
    whole_task = False
    squares = False
    group_parts: tuple[str, ...] | None = ("count", "sum", "rest")

    def __init__(self, columns: str | Sequence[str] | None = None, nan: str = "raise") -> None:
        self.columns = column_names(columns)
        self.nan = check_nan_policy(nan)
        self.allows_nan = nan == "propagate"
        self.looks_at = (self.columns, nan)

    def create_accumulator(self) -> Totals | None:
        """Nothing seen."""
        return None

    def add_input(self, accumulator: Totals | None, value: Any) -> Totals | None:
        """With the observations of one output."""
        return self.merge_accumulators(accumulator, Totals.of(self.seen(value), self.squares))

    def seen(self, value: Any) -> Observations:
        """The observations of one output. Raises ProgramError for NaN, unless told what becomes of it."""
        return under_policy(observations(value, self.columns), self.nan)

    def merge_accumulators(self, left: Totals | None, right: Totals | None) -> Totals | None:
        """Both as one."""
        if left is None or right is None:
            return left if right is None else right
        return left.merged(right)

    def extract_groups(self, rows: Any, names: tuple[str, ...], parts: Mapping[str, Any]) -> dict[str, Any]:
        """A column of results for each column of the tables."""
        return dict(zip(names, self._of_groups(parts).T, strict=True))

    def _of_groups(self, parts: Mapping[str, Any]) -> Any:
        with np.errstate(invalid="ignore"):
            return (parts["sum"] + parts["rest"]) / np.where(parts["count"] > 0, parts["count"], not_a_number)

    def extract_output(self, accumulator: Totals | None) -> Any:
        """A float, an array or a dict by column; NaN where nothing was seen."""
        return not_a_number if accumulator is None else accumulator.shaped(accumulator.mean())
