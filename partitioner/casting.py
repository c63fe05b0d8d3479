"""Rows in the columns of a schema: the one place where columns are put in order, cast and filled up with null."""

from __future__ import annotations

from typing import TypeVar

import pyarrow as pa

from partitioner.errors import DataError
from partitioner.frames import UNFIT

Rows = TypeVar("Rows", pa.Table, pa.RecordBatch)


class Misfit(DataError):
    """A value of ``column``, whose type is its ``own``, does not go into the ``wanted`` one, and ``why``."""

    def __init__(self, column: str, own: pa.DataType, wanted: pa.DataType, why: str) -> None:
        super().__init__(f"column {column!r} is {own} and does not fit exactly into {wanted}: {why}.")
        self.column, self.own, self.wanted, self.why = column, own, wanted, why

    def __reduce__(self) -> tuple[type[Misfit], tuple[str, pa.DataType, pa.DataType, str]]:
        return Misfit, (self.column, self.own, self.wanted, self.why)


def cast_into(rows: Rows, schema: pa.Schema) -> Rows:
    """``rows`` with exactly the columns of ``schema``, in its order; null where they lack one. Raises Misfit."""
    if not len(schema):
        return rows.select([])
    return type(rows).from_arrays([_column(rows, field) for field in schema], schema=schema)


def _column(rows: pa.Table | pa.RecordBatch, field: pa.Field) -> pa.Array | pa.ChunkedArray:
    if field.name not in rows.schema.names:
        return pa.nulls(rows.num_rows, field.type)
    column = rows.column(field.name)
    try:
        return column.cast(field.type)
    except UNFIT as error:
        why = str(error).partition("\n")[0].rstrip(".")
        raise Misfit(field.name, column.type, field.type, why) from error
