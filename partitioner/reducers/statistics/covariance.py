"""``covariance`` of the columns of what the program returned; ``correlation`` is made of the same sums."""

from __future__ import annotations

from collections.abc import Sequence
from math import nan as not_a_number
from typing import Any

import numpy as np

from partitioner.errors import ConfigError, ProgramError
from partitioner.model.given import check_number
from partitioner.model.naming import column_names
from partitioner.reducers.base import Reducer
from partitioner.reducers.columns import check_missing
from partitioner.reducers.observations import Observations, observations
from partitioner.reducers.statistics.products import Centred, Products


class Covariance(Reducer):
    """Tables (all columns, or those in ``columns``) or arrays float64[n, d]; over n - ``ddof`` as in ``variance``.

    ``exact``: sums of products without rounding, rounded once, d (d + 1) / 2 of them; False keeps doubles about the mean
    (Chan, Golub and LeVeque 1979), which is faster for many columns and as accurate as numpy. ``nan``: ``"raise"``, or
    ``"omit"`` for leaving out rows with a missing value anywhere.
    """

    name = "covariance"
    takes = "data"
    commutative = mergeable = True

    def __init__(
        self, columns: str | Sequence[str] | None = None, ddof: int = 1, nan: str = "raise", exact: bool = True
    ) -> None:
        check_number("ddof", ddof, whole=True)
        if ddof < 0:
            raise ConfigError(f"ddof = {ddof}; it is 0 (population) or 1 (sample).")
        self.columns = column_names(columns)
        self.ddof, self.nan, self.exact = ddof, check_missing(nan), exact

    def create_accumulator(self) -> Any:
        """Nothing seen."""
        return None

    def add_input(self, accumulator: Any, value: Any) -> Any:
        """With one output. Raises ProgramError for a missing value, unless its row is to be left out."""
        seen = observations(value, self.columns)
        rows = seen.values[self._whole(seen)]
        kind = Products if self.exact else Centred
        return self.merge_accumulators(accumulator, kind.of(rows, seen.names))

    def merge_accumulators(self, left: Any, right: Any) -> Any:
        """Both as one. Raises ProgramError where columns differ."""
        if left is None or right is None:
            return left if right is None else right
        if left.names != right.names or left.width != right.width:
            raise ProgramError(
                f"The program returned columns {left.names or left.width} first and {right.names or right.width} later; "
                "return the same columns."
            )
        return left.merged(right)

    def extract_output(self, accumulator: Any) -> Any:
        """float64[d, d], or for tables a dict of columns of a dict of columns, as pandas' ``DataFrame`` takes it."""
        if accumulator is None:
            return not_a_number
        found = self._matrix(accumulator)
        if accumulator.names is None:
            return found
        rows = (dict(zip(accumulator.names, row.tolist(), strict=True)) for row in found)
        return dict(zip(accumulator.names, rows, strict=True))

    def _matrix(self, sums: Any) -> Any:
        return sums.covariance(self.ddof)

    def _whole(self, seen: Observations) -> Any:
        """bool[n]: the rows that are looked at."""
        finite = np.isfinite(seen.values) & seen.known
        if self.nan == "raise" and not finite.all():
            row, column = np.argwhere(~finite)[0].tolist()
            where = f"column {seen.names[column]!r}" if seen.names else f"number {column}"
            raise ProgramError(
                f"The program returned a null, NaN or an infinity in {where} of row {row} ({int((~finite).sum())} in all). "
                "Fill or drop it in the program, or set nan='omit' to leave those rows out."
            )
        return finite.all(axis=1)
