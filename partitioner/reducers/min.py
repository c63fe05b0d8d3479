"""``min`` of everything the program returned, per column, and what it shares with ``max``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from partitioner.errors import ProgramError
from partitioner.model.naming import column_names
from partitioner.reducers.base import Reducer
from partitioner.reducers.observations import Observations, observations
from partitioner.reducers.totals import check_nan_policy, under_policy

Extreme = tuple[Any, tuple[int, ...], tuple[str, ...] | None]
"""float64[d] extremes, shape of one observation, names of columns."""


class Min(Reducer):
    """Numbers, arrays (by their first axis) or tables (by column); nulls are left out, NaN as in ``mean``."""

    name = "min"
    takes = "data"
    commutative = exact = mergeable = True
    nothing = np.inf
    group_parts: tuple[str, ...] | None = ("low",)

    def __init__(self, columns: str | Sequence[str] | None = None, nan: str = "raise") -> None:
        self.columns = column_names(columns)
        self.nan = check_nan_policy(nan)
        self.allows_nan = nan == "propagate"
        self.looks_at = (self.columns, nan)

    def create_accumulator(self) -> Extreme | None:
        """Nothing seen."""
        return None

    def add_input(self, accumulator: Extreme | None, value: Any) -> Extreme | None:
        """With the observations of one output."""
        seen = self.seen(value)
        values = np.where(seen.known, seen.values, self.nothing)
        found = self._combined().reduce(values, axis=0, initial=self.nothing)
        return self.merge_accumulators(accumulator, (found, seen.shape, seen.names))

    def seen(self, value: Any) -> Observations:
        """The observations of one output. Raises ProgramError for NaN, unless told what becomes of it."""
        return under_policy(observations(value, self.columns), self.nan)

    def merge_accumulators(self, left: Extreme | None, right: Extreme | None) -> Extreme | None:
        """Both as one. Raises ProgramError where columns differ."""
        if left is None or right is None:
            return left if right is None else right
        if left[1:] != right[1:]:
            raise ProgramError(f"The program returned {left[1:]} first and {right[1:]} later; return the same columns.")
        return self._combined()(left[0], right[0]), left[1], left[2]

    def extract_groups(self, rows: Any, names: tuple[str, ...], parts: Mapping[str, Any]) -> dict[str, Any]:
        """A column of results for each column of the tables."""
        (found,) = (parts[name] for name in self.group_parts or ())
        return dict(zip(names, np.where(found == self.nothing, np.nan, found).T, strict=True))

    def extract_output(self, accumulator: Extreme | None) -> Any:
        """A float, an array or a dict by column; NaN where nothing was seen."""
        if accumulator is None:
            return float("nan")
        found, shape, names = accumulator
        found = np.where(found == self.nothing, np.nan, found)
        if names is not None:
            return dict(zip(names, found.tolist(), strict=True))
        return found.reshape(shape) if shape else float(found[0])

    def _combined(self) -> Any:
        """The function of two numbers; with ``nan="propagate"`` NaN wins."""
        return np.minimum if self.nan == "propagate" else np.fmin
