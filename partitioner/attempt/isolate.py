"""The last rungs of the failure ladder: bisect the rows of a batch until the poison rows are alone, and keep them."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from partitioner.attempt.formats import table_to_batch
from partitioner.errors import ConfigError, DataError, ProgramError
from partitioner.masking import masked
from partitioner.model import Attempt
from partitioner.storage import Directory

NOT_ABOUT_ROWS = (ConfigError, DataError, ProgramError)
"""Errors that no row is to blame for, at any depth of the bisection."""


def call_isolating(program: Callable[[pa.RecordBatch], Any], batch: pa.RecordBatch) -> tuple[Any, dict[int, str]]:
    """The program's value on all rows it can bear (None for none), and row index to error of the others.

    A batch of n rows with k poison rows takes about 2 k log2(n / k) + 1 calls. Errors that are not about rows (a missing
    column, a wrong return type) are raised at once.
    """
    try:
        return program(batch), {}
    except NOT_ABOUT_ROWS:
        raise
    except Exception:
        poison: dict[int, str] = {}
        _bisect(program, batch, 0, poison)
    good = [i for i in range(batch.num_rows) if i not in poison]
    return program(batch.take(pa.array(good, pa.int64()))) if good else None, poison


def _bisect(
    program: Callable[[pa.RecordBatch], Any], batch: pa.RecordBatch, offset: int, reasons: dict[int, str]
) -> None:
    """Find the rows of a batch that fail on their own."""
    try:
        program(batch)
        return
    except NOT_ABOUT_ROWS:
        raise
    except Exception as error:
        if batch.num_rows == 1:
            reasons[offset] = f"{type(error).__name__}: {error}"
            return
    half = batch.num_rows // 2
    _bisect(program, batch.slice(0, half), offset, reasons)
    _bisect(program, batch.slice(half), offset + half, reasons)


def poison_table(poison: list[tuple[pa.RecordBatch, list[str]]]) -> pa.Table:
    """The poison rows of one attempt with their errors in the column ``_error``."""
    tables = []
    for rows, reasons in poison:
        table = pa.Table.from_batches([rows])
        tables.append(table.append_column("_error", pa.array([masked(reason) for reason in reasons], pa.string())))
    return pa.Table.from_batches([table_to_batch(pa.concat_tables(tables))])


def rows_digest(quarantined: pa.Table) -> str:
    """sha256 of quarantined rows without their errors, whose text may hold an address: the same for every like attempt."""
    rows = quarantined.drop_columns(["_error"]).combine_chunks().replace_schema_metadata(None)
    out = pa.BufferOutputStream()
    with pa.ipc.new_stream(out, rows.schema) as writer:
        writer.write_table(rows)
    return hashlib.sha256(out.getvalue()).hexdigest()


def quarantine_name(attempt_id: str, digest: str) -> str:
    """Named by the attempt, so that none overwrites another's, and by its rows, so that a footer finds them again."""
    return f"quarantine/{attempt_id}-{digest[:16]}.parquet"


def store_quarantined(files: Directory, attempt: Attempt, quarantined: pa.Table, digest: str) -> str:
    """Keep poison rows with their errors; the file's name. They count only once a commit record lists that name."""
    buffer = io.BytesIO()
    pq.write_table(quarantined, buffer, write_page_checksum=True)
    name = quarantine_name(attempt.attempt_id, digest)
    files.put(name, buffer.getvalue())
    return name
