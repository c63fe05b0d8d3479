"""The different values of each column, in the types of the columns: what encoders are fitted to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from partitioner.errors import ProgramError
from partitioner.frames import UNFIT, decoded, is_frame
from partitioner.reducers.columns import table_of
from partitioner.reducers.models.rows import Layout


@dataclass(frozen=True, slots=True, eq=False)
class Categories:
    """``values`` of each column, Arrow arrays without repetition; ``names`` of a table's columns, None of an array's."""

    values: tuple[pa.Array, ...]
    names: tuple[str, ...] | None

    @property
    def width(self) -> int:
        """How many columns."""
        return len(self.values)

    @classmethod
    def of(cls, table: pa.Table, names: tuple[str, ...] | None) -> Categories:
        """Of the columns of one output."""
        return cls(tuple(_different(table[name]) for name in table.column_names), names)

    def merged(self, later: Categories) -> Categories:
        """Both as one. Raises ProgramError where the types of a column do not go together."""
        pairs = zip(self.values, later.values, strict=True)
        return Categories(tuple(_together(a, b) for a, b in pairs), self.names)

    def as_rows(self) -> Any:
        """A data frame, or an array, in which every value of every column is there: shorter columns repeat their first."""
        longest = max((len(values) for values in self.values), default=0)
        places = [np.minimum(np.arange(longest), len(v)) % max(len(v), 1) for v in self.values]
        columns = [v.take(pa.array(place)) for v, place in zip(self.values, places, strict=True)]
        if self.names is not None:
            return pa.table(dict(zip(self.names, columns, strict=True))).to_pandas()
        return np.column_stack([_plain(column) for column in columns])


def output_columns(value: Any, layout: Layout, reducer: str) -> tuple[pa.Table, tuple[str, ...] | None]:
    """The features of an output as a table of any types, with their names where it was one already."""
    if isinstance(value, tuple) and len(value) == 2 and layout.label is not None:
        value = value[0]
    if isinstance(value, pa.Table | pa.RecordBatch | dict) or is_frame(value):
        table = table_of(value, reducer)
        names = layout.columns(table)
        return table.select(names), tuple(names)
    array = np.asarray(value)
    array = array[:, None] if array.ndim == 1 else array
    if array.ndim != 2:
        raise ProgramError(
            f"The program returned an array of shape {array.shape}; {reducer} needs rows of columns, (n, f)."
        )
    return pa.table({str(i): pa.array(column) for i, column in enumerate(array.T)}), None


def _different(column: pa.ChunkedArray) -> pa.Array:
    column = decoded(column)
    if pa.types.is_nested(column.type):
        raise ProgramError(f"A column of the program's output is {column.type}; categories are numbers, text or dates.")
    return column.unique()


def _together(left: pa.Array, right: pa.Array) -> pa.Array:
    if left.equals(right):
        return left
    try:
        tables = [pa.table({"x": left}), pa.table({"x": right})]
        return pa.concat_tables(tables, promote_options="permissive")["x"].unique()
    except UNFIT as error:
        raise ProgramError(
            f"A column of the program's output is {left.type} first and {right.type} later; return one type."
        ) from error


def _plain(column: pa.Array) -> Any:
    """As numpy has it: text as fixed-width text, as in the array that it came from."""
    text = pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
    if text and not column.null_count:
        return np.array(column.to_pylist())
    return np.asarray(column.to_numpy(zero_copy_only=False))
