"""``top_k``: the rows with the largest (or smallest) values of a column."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from partitioner.errors import ConfigError, ProgramError, clause
from partitioner.frames import UNFIT
from partitioner.model.given import check_number
from partitioner.model.naming import column_names
from partitioner.reducers.base import Reducer
from partitioner.reducers.columns import column_of, table_of


class TopK(Reducer):
    """``k`` rows by ``by``, the largest first, or with ``largest=False`` the smallest; of equal ones the earlier in input
    order, as pandas' ``nlargest``. Nulls and NaN are left out. ``columns`` of the rows to keep; all by default.

    Arrays and lists of numbers have the one column ``by``.
    """

    name = "top_k"
    takes = "data"
    exact = mergeable = True

    def __init__(
        self, by: str = "value", k: int = 10, largest: bool = True, columns: str | Sequence[str] | None = None
    ) -> None:
        check_number("k", k, whole=True)
        if k < 1:
            raise ConfigError(f"k is {k}; give 1 or more rows to keep.")
        self.by, self.k, self.largest = by, k, largest
        kept = column_names(columns)
        self.columns = None if kept is None else [by, *(c for c in kept if c != by)]

    def create_accumulator(self) -> pa.Table | None:
        """No rows."""
        return None

    def add_input(self, accumulator: pa.Table | None, value: Any) -> pa.Table | None:
        """With the rows of one output. Raises ProgramError where the column is not there or has no order."""
        plain = isinstance(value, list | tuple | np.ndarray | pa.Array | pa.ChunkedArray)
        table = pa.table({self.by: value}) if plain else table_of(value, self.name)
        for name in self.columns or ():
            column_of(table, name)
        table = table if self.columns is None else table.select(self.columns)
        return self.merge_accumulators(accumulator, self._best(table))

    def merge_accumulators(self, left: pa.Table | None, right: pa.Table | None) -> pa.Table | None:
        """The best of both. Raises ProgramError where their columns have different types."""
        if left is None or right is None:
            return left if right is None else right
        try:
            return self._best(pa.concat_tables([left, right], promote_options="permissive"))
        except UNFIT as error:
            raise ProgramError(
                f"The program returned columns {left.schema.names} first and {right.schema.names} later, which do not go "
                f"into one table: {clause(error)}. Return the same columns and types."
            ) from error

    def extract_output(self, accumulator: pa.Table | None) -> pa.Table:
        """A table of at most ``k`` rows, the best first."""
        return pa.table({}) if accumulator is None else accumulator

    def _best(self, table: pa.Table) -> pa.Table:
        column = column_of(table, self.by)
        known = pc.is_valid(column)
        if pa.types.is_floating(column.type):
            known = pc.and_(known, pc.invert(pc.fill_null(pc.is_nan(column), False)))
        table = table.filter(known).append_column(_PLACE, pa.array(np.arange(pc.sum(known).as_py() or 0)))
        order = [(self.by, "descending" if self.largest else "ascending"), (_PLACE, "ascending")]
        try:
            best = pc.sort_indices(table, order)[: self.k]
        except UNFIT as error:
            raise ProgramError(f"Column {self.by!r} is {column.type}, which has no order; top_k needs one.") from error
        found: pa.Table = table.take(best).drop_columns([_PLACE]).combine_chunks()
        return found.replace_schema_metadata(None)


_PLACE = "__place"
