"""One schema for all fragments of a text format: given, or inferred once from samples over the whole input."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa

from partitioner.errors import ConfigError, listed, nearest

Types = Mapping[str, Any]


_DECIMAL = re.compile(r"decimal128\((3[0-8]|[12]\d|[1-9])(?:, ?(\d{1,2}))?\)")


def parse_types(types: Types | pa.Schema | None) -> dict[str, pa.DataType]:
    """Column to Arrow type, from types or their names (``int64``, ``string``, ``timestamp[us]``, ...)."""
    if types is None:
        return {}
    named = dict(zip(types.names, types.types, strict=True)) if isinstance(types, pa.Schema) else dict(types)
    return {str(column): _parse(column, given) for column, given in named.items()}


def _parse(column: str, given: Any) -> pa.DataType:
    if isinstance(given, pa.DataType):
        return given
    if (decimal := _DECIMAL.fullmatch(str(given))) is not None:
        return pa.decimal128(int(decimal[1]), int(decimal[2] or 0))
    try:
        return pa.type_for_alias(str(given))
    except ValueError as error:
        raise ConfigError(
            f"Column {column!r} has no type {given!r}; give an Arrow type or its name, such as int64, double, string, "
            "bool, date32 or timestamp[us]."
        ) from error


def with_types(schema: pa.Schema, types: Mapping[str, pa.DataType]) -> pa.Schema:
    """``schema`` with the types given for some of its columns. Raises ConfigError for a column it lacks."""
    for column in types:
        if column not in schema.names:
            raise ConfigError(
                f"types names a column {column!r} that the input lacks; it has {listed(schema.names)}."
                f"{nearest(column, schema.names)}"
            )
    return pa.schema([pa.field(f.name, types.get(f.name, f.type)) for f in schema])


def unify(schemas: Iterable[pa.Schema]) -> pa.Schema:
    """The columns of all, in order of first appearance, each with the narrowest type that holds what all saw.

    Null gives way to anything, integers to doubles, dates to timestamps, and all else to strings; structs are united
    field by field. What is null everywhere becomes string.
    """
    fields: dict[str, pa.DataType] = {}
    for schema in schemas:
        for field in schema:
            fields[field.name] = _wider(fields.get(field.name, pa.null()), field.type)
    return pa.schema([pa.field(name, _settled(kind)) for name, kind in fields.items()])


def _wider(left: pa.DataType, right: pa.DataType) -> pa.DataType:
    if left == right or pa.types.is_null(right):
        return left
    if pa.types.is_null(left):
        return right
    if pa.types.is_struct(left) and pa.types.is_struct(right):
        return _struct([list(left), list(right)])
    if pa.types.is_list(left) and pa.types.is_list(right):
        return pa.list_(_wider(left.value_type, right.value_type))
    numbers = pa.types.is_integer, pa.types.is_floating
    if all(any(test(kind) for test in numbers) for kind in (left, right)):
        return pa.float64()
    if all(pa.types.is_date(kind) or pa.types.is_timestamp(kind) for kind in (left, right)):
        return right if pa.types.is_timestamp(right) else left
    return pa.string()


def _struct(members: list[list[pa.Field]]) -> pa.DataType:
    fields: dict[str, pa.DataType] = {}
    for field in (f for fields in members for f in fields):
        fields[field.name] = _wider(fields.get(field.name, pa.null()), field.type)
    return pa.struct(list(fields.items()))


def _settled(kind: pa.DataType) -> pa.DataType:
    """Null as string, at any depth, so that a value seen later has a type to go to."""
    if pa.types.is_null(kind):
        return pa.string()
    if pa.types.is_struct(kind):
        return pa.struct([(f.name, _settled(f.type)) for f in kind])
    if pa.types.is_list(kind):
        return pa.list_(_settled(kind.value_type))
    return kind
