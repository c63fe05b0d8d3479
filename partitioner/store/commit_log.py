"""Commit records in bulk: segments of many, so that a resume reads a few files and not one for each sub-task.

A worker lays one small file per commit, which is the truth together with the output's footer. The driver gathers records
into segments as it goes and then removes the small files; a segment that is lost or torn is rebuilt from footers, as a lost
record is.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from partitioner.model import CommitRecord
from partitioner.storage import read_parquet

SEGMENT = 10_000
"""Records of a segment: some 2 MB of Parquet, and the small files that are left over are read within a second."""

_NESTED = ("segments", "inputs", "left_out", "contents", "part", "measured")
_LATER = frozenset({"contents", "left_out"})
_NAMES = tuple(f.name for f in fields(CommitRecord))


def encoded(records: Sequence[CommitRecord]) -> bytes:
    """A segment as Parquet: a column per field, nested ones as JSON."""
    columns: dict[str, Any] = {}
    for name in _NAMES:
        values: list[Any] = [getattr(record, name) for record in records]
        columns[name] = [json.dumps(v) for v in values] if name in _NESTED else values
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer, compression="zstd", write_page_checksum=True)
    return buffer.getvalue()


def decoded(data: bytes) -> Iterable[CommitRecord]:
    """The records of a segment. Raises ArrowException, OSError, ValueError or KeyError where it is torn."""
    return records_of(read_parquet(data))


def records_of(table: pa.Table) -> Iterable[CommitRecord]:
    """The records in the columns of segments."""
    lacking = pa.chunked_array([pa.array(["[]"] * table.num_rows)])  # written before records had contents
    columns = [_values(name, lacking if name in _LATER - set(table.column_names) else table[name]) for name in _NAMES]
    return (CommitRecord(*row) for row in zip(*columns, strict=True))


def _values(name: str, column: pa.ChunkedArray) -> list[Any]:
    if name not in _NESTED:
        return list(column.to_pylist())
    known: dict[str, Any] = {}  # most are alike: one object for all of these
    return [known.setdefault(text, _nested(text)) if text not in known else known[text] for text in column.to_pylist()]


def _nested(text: str) -> Any:
    value = json.loads(text)
    return tuple(tuple(v) if isinstance(v, list) else v for v in value) if isinstance(value, list) else value
