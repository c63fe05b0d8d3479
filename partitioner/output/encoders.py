"""Rows as the bytes of one file: CSV, JSON lines, Arrow, Parquet; equal rows give equal bytes."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any

import pyarrow as pa


def _csv(table: pa.Table) -> bytes:
    import pyarrow.csv as pv

    out = io.BytesIO()
    pv.write_csv(pa.table({n: _flat(table[n]) for n in table.column_names}), out)
    return out.getvalue()


def _flat(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """CSV has no nested values: lists and structs become JSON, bytes hexadecimal digits."""
    kind = column.type
    if kind == pa.uuid():
        return pa.chunked_array([pa.array([None if v is None else str(v) for v in column.to_pylist()], pa.string())])
    if isinstance(kind, pa.BaseExtensionType):
        return _flat(pa.chunked_array([c.storage for c in column.chunks], kind.storage_type))
    if kind in (pa.string_view(), pa.binary_view()):
        return _flat(column.cast(pa.large_string() if kind == pa.string_view() else pa.large_binary()))
    if pa.types.is_nested(kind):
        return pa.chunked_array([pa.array([None if v is None else _json(v) for v in column.to_pylist()])])
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
        return pa.chunked_array([pa.array([None if v is None else v.hex() for v in column.to_pylist()], pa.string())])
    return column


def _jsonl(table: pa.Table) -> bytes:
    return "".join(f"{_json(row)}\n" for row in table.to_pylist()).encode()


def _json(value: Any) -> str:
    """JSON that every reader takes: it knows no NaN and no infinity, which become null."""
    try:
        return json.dumps(value, default=_plain, ensure_ascii=False, allow_nan=False)
    except ValueError:
        return json.dumps(_finite(value), default=_plain, ensure_ascii=False)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not isfinite(value) else value


def _plain(value: Any) -> Any:
    return value.hex() if isinstance(value, bytes) else str(value)


def _arrow(table: pa.Table) -> bytes:
    out = pa.BufferOutputStream()
    with pa.ipc.new_file(out, table.schema) as writer:
        writer.write_table(table)
    return bytes(out.getvalue().to_pybytes())


def _parquet(table: pa.Table) -> bytes:
    import pyarrow.parquet as pq

    out = io.BytesIO()
    pq.write_table(table, out, compression="zstd")
    return out.getvalue()


ENCODERS: Mapping[str, Callable[[pa.Table], bytes]] = {
    "csv": _csv,
    "jsonl": _jsonl,
    "arrow": _arrow,
    "parquet": _parquet,
}
