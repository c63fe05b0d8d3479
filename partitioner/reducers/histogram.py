"""``histogram``: how many numbers fall into each of some bins, per column."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from partitioner.errors import ConfigError, ProgramError
from partitioner.model.naming import column_names
from partitioner.reducers.base import Reducer
from partitioner.reducers.observations import observations
from partitioner.reducers.totals import check_nan_policy, under_policy

Counts = tuple[Any, tuple[str, ...] | None]
"""int64[d, bins + 2] (below, the bins, above) and the names of columns."""


class Histogram(Reducer):
    """``edges``: ascending, n + 1 for n bins; a bin holds its lower edge, the last one both. Nulls are left out.

    The result is ``{"counts": int64[n], "below": int, "above": int}``, by column where the program returned tables.
    """

    name = "histogram"
    takes = "data"
    commutative = exact = mergeable = True

    def __init__(
        self, edges: Sequence[float] = (0.0, 1.0), columns: str | Sequence[str] | None = None, nan: str = "raise"
    ) -> None:
        try:
            self.edges = np.asarray(edges, np.float64)
        except (TypeError, ValueError) as error:
            raise ConfigError(f"edges are {edges!r}; give numbers, at least two, in ascending order.") from error
        if self.edges.ndim != 1 or len(self.edges) < 2 or not (np.diff(self.edges) > 0).all():
            raise ConfigError(f"edges are {edges!r}; give at least two, in ascending order.")
        self.columns = column_names(columns)
        self.nan = check_nan_policy(nan)

    def create_accumulator(self) -> Counts | None:
        """Nothing seen."""
        return None

    def add_input(self, accumulator: Counts | None, value: Any) -> Counts | None:
        """With one output."""
        seen = under_policy(observations(value, self.columns), self.nan)
        counts = []
        for column, known in zip(seen.values.T, seen.known.T, strict=True):
            numbers = column[known & ~np.isnan(column)]
            place = np.searchsorted(self.edges, numbers, "right")
            place[numbers == self.edges[-1]] -= 1
            counts.append(np.bincount(place, minlength=len(self.edges) + 1))
        return self.merge_accumulators(accumulator, (np.array(counts), seen.names))

    def merge_accumulators(self, left: Counts | None, right: Counts | None) -> Counts | None:
        """The counts added. Raises ProgramError where columns differ."""
        if left is None or right is None:
            return left if right is None else right
        if left[1] != right[1] or left[0].shape != right[0].shape:
            raise ProgramError(f"The program returned columns {left[1]} first and {right[1]} later; return the same.")
        return left[0] + right[0], left[1]

    def extract_output(self, accumulator: Counts | None) -> Any:
        """Counts of each bin, and of what lies outside; a list of them for arrays of several numbers."""
        if accumulator is None:
            return {"counts": np.zeros(len(self.edges) - 1, np.int64), "below": 0, "above": 0}
        found = [{"counts": row[1:-1], "below": int(row[0]), "above": int(row[-1])} for row in accumulator[0]]
        if accumulator[1] is not None:
            return dict(zip(accumulator[1], found, strict=True))
        return found[0] if len(found) == 1 else found
