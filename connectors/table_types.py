"""Rows into tables that have types of their own: each value exactly as it is, or a refusal that names the column.

Databases and table formats round, truncate or take the bits of one type for another's where they are given another than
theirs: 1.5 into a whole number of DuckDB is 2, and of PostgreSQL, by COPY, 4609434218613702656.
"""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from partitioner.errors import DataError
from partitioner.frames import UNFIT

_KEPT = "They are kept in the run directory; mend the program, or name another table."


def plain(schema: pa.Schema, *, uuid: bool = True, null: bool = False) -> pa.Schema:
    """The types that tables have for those of ``schema``.

    Unsigned numbers become signed ones that hold them, times have microseconds and the zone UTC, half floats are floats;
    dictionaries, views and extension types are what they store (``uuid``: but that one).
    ``null``: a column of nulls is text.
    """
    return pa.schema([f.with_type(_plain(f.type, uuid, null)).remove_metadata() for f in schema])


def _plain(kind: pa.DataType, uuid: bool, null: bool) -> pa.DataType:
    if isinstance(kind, pa.BaseExtensionType):
        kept = uuid and kind == pa.uuid()
        return kind if kept else _plain(kind.storage_type, uuid, null)
    if pa.types.is_dictionary(kind):
        return _plain(kind.value_type, uuid, null)
    if pa.types.is_timestamp(kind):
        return pa.timestamp("us", None if kind.tz is None else "UTC")
    return pa.string() if null and pa.types.is_null(kind) else _SIMPLE.get(kind, kind)


_SIMPLE = {
    pa.uint8(): pa.int16(),
    pa.uint16(): pa.int32(),
    pa.uint32(): pa.int64(),
    pa.uint64(): pa.int64(),
    pa.float16(): pa.float32(),
    pa.string_view(): pa.large_string(),
    pa.binary_view(): pa.large_binary(),
}


def wanted(table: str, there: pa.Schema, schema: pa.Schema) -> pa.Schema:
    """The types in which rows of ``schema`` go into a table whose columns are ``there``.

    A column that ``there`` has not keeps its type, and so does one of an extension type there, which the table checks
    itself. Raises DataError naming a column whose values have no place there: text among numbers, decimals as doubles.
    """
    known = {f.name: f.type for f in there}
    fields = []
    for field in schema:
        kind = known.get(field.name, field.type)
        if isinstance(kind, pa.BaseExtensionType):
            kind = field.type
        if not _goes(field.type, kind):
            raise DataError(
                f"{table} does not take the rows: its column {field.name!r} is {kind}, and the rows have {field.type}. "
                f"{_KEPT}"
            )
        kind = _together(field.type, kind) if _has_fields(field.type) else kind
        fields.append(pa.field(field.name, kind.value_type if pa.types.is_dictionary(kind) else kind))
    return pa.schema(fields)


def _has_fields(kind: pa.DataType) -> bool:
    """Whether there is a struct in it: one that has more fields loses them where it is cast to one that has fewer."""
    if pa.types.is_struct(kind):
        return True
    return any(_has_fields(kind.field(i).type) for i in range(kind.num_fields))


def _together(mine: pa.DataType, there: pa.DataType) -> pa.DataType:
    pair = [pa.schema([("x", there)]), pa.schema([("x", mine)])]
    return pa.unify_schemas(pair, promote_options="permissive").field("x").type


def _goes(mine: pa.DataType, there: pa.DataType) -> bool:
    """Whether values of ``mine`` may be ones of ``there``; each is looked at when it is cast."""
    mine, there = (_plain(kind, True, False) for kind in (mine, there))
    if mine == there or pa.types.is_null(mine) or (pa.types.is_date(mine) and pa.types.is_timestamp(there)):
        return True
    text = pa.types.is_string(mine) or pa.types.is_large_string(mine)
    if text != (pa.types.is_string(there) or pa.types.is_large_string(there)):
        return False
    if pa.types.is_decimal(there) and pa.types.is_floating(mine):
        return False
    try:
        _together(mine, there)
    except UNFIT:
        return False
    return True


def exactly(table: str, rows: Iterator[pa.Table], schema: pa.Schema) -> Iterator[pa.Table]:
    """The rows in the types of ``schema``. Raises DataError naming the column of a value that does not fit exactly."""
    for part in rows:
        yield pa.table([_cast(table, part[f.name], f) for f in schema], schema=schema)


def _width(kind: pa.DataType) -> int:
    """Bits of a float, 0 of anything else: whole numbers are looked at by Arrow."""
    return kind.bit_width if pa.types.is_floating(kind) else 0


class Held:
    """Rows on their way into another library, and the error of ours that ended them, which comes out as one of its own."""

    def __init__(self, rows: Iterator[pa.Table]) -> None:
        self.error: DataError | None = None
        self._rows = rows

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The rows; an error is kept, and raised."""
        try:
            for part in self._rows:
                yield from part.to_batches()
        except DataError as error:
            self.error = error
            raise


def _cast(table: str, column: pa.ChunkedArray, field: pa.Field) -> pa.ChunkedArray:
    if isinstance(column.type, pa.BaseExtensionType) and column.type != field.type:
        column = pa.chunked_array([chunk.storage for chunk in column.chunks], column.type.storage_type)
    if column.type == field.type:
        return column
    try:
        if pa.types.is_decimal(field.type) and pa.types.is_integer(column.type):
            column = column.cast(pa.decimal128(20, 0))  # Arrow asks for room for the largest number of the type
        found = column.cast(field.type)
        if pa.types.is_floating(field.type) and field.type.bit_width < _width(column.type):
            other = pc.and_(pc.not_equal(found.cast(column.type), column), pc.invert(pc.is_nan(column)))
            if pc.any(other).as_py():
                raise pa.ArrowInvalid("a number has more digits")
    except UNFIT as error:
        raise DataError(
            f"{table} does not take the rows: its column {field.name!r} is {field.type}, and a value of the rows, "
            f"{column.type}, does not fit exactly: {str(error).partition(chr(10))[0]}. {_KEPT}"
        ) from error
    return found
