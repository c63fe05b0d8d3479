"""The last rungs of the failure ladder inside an attempt: find the rows that fail alone, and keep those that are poison."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from partitioner.attempt.formats import table_to_batch
from partitioner.attempt.surroundings import TimedOut
from partitioner.errors import PartitionerError, text_of
from partitioner.known_secrets import masked
from partitioner.model import Attempt
from partitioner.model.execution import is_gpu_memory
from partitioner.storage import Directory

ERROR_COLUMN = "_error"
"""The column of quarantined rows that says what went wrong."""


@dataclass(frozen=True, slots=True)
class Alone:
    """A row that failed on its own: why, and whether the surroundings may be the cause (disk, network, a service)."""

    reason: str
    surroundings: bool


def alone(error: Exception) -> Alone:
    """What to keep of the error of one row."""
    return Alone(f"{type(error).__name__}: {text_of(error)}", isinstance(error, OSError))


def about_rows(error: BaseException) -> bool:
    """Whether a row may be to blame: not for errors that no retry mends, nor where memory ran out."""
    if isinstance(error, PartitionerError) and error.fatal:
        return False
    return not isinstance(error, MemoryError | TimedOut) and not is_gpu_memory(error)


def call_isolating(
    program: Callable[[pa.RecordBatch], Any], batch: pa.RecordBatch, suspects: Collection[int] = ()
) -> tuple[Any, dict[int, Alone]]:
    """The program's value on all rows it can bear (None for none), and row index to error of the others.

    A batch of n rows with k poison rows takes about 2 k log2(n / k) + 1 calls; where ``suspects`` names those rows, k + 1.
    Errors that are not about rows (a missing column, a wrong return type, no memory) are raised at once.
    """
    poison: dict[int, Alone] = {}
    known = sorted(suspects)
    for i in known:
        _bisect(program, batch.slice(i, 1), i, poison)
    good = [i for i in range(batch.num_rows) if i not in poison]
    if not good:
        return None, poison
    rest = batch if not poison else batch.take(pa.array(good, pa.int64()))
    try:
        return program(rest), poison
    except Exception as error:
        if not about_rows(error):
            raise
        found: dict[int, Alone] = {}
        _bisect(program, rest, 0, found)
    poison |= {good[i]: why for i, why in found.items()}
    good = [i for i in good if i not in poison]
    return program(batch.take(pa.array(good, pa.int64()))) if good else None, poison


def _bisect(
    program: Callable[[pa.RecordBatch], Any], batch: pa.RecordBatch, offset: int, found: dict[int, Alone]
) -> None:
    """Find the rows of a batch that fail on their own."""
    try:
        program(batch)
        return
    except Exception as error:
        if not about_rows(error):
            raise
        if batch.num_rows == 1:
            found[offset] = alone(error)
            return
    half = batch.num_rows // 2
    _bisect(program, batch.slice(0, half), offset, found)
    _bisect(program, batch.slice(half), offset + half, found)


def poison_table(poison: list[tuple[pa.RecordBatch, list[str]]]) -> pa.Table:
    """The poison rows of one attempt with their errors in the column ``ERROR_COLUMN``."""
    tables = []
    for rows, reasons in poison:
        table = pa.Table.from_batches([rows])
        tables.append(table.append_column(ERROR_COLUMN, pa.array([masked(reason) for reason in reasons], pa.string())))
    return pa.Table.from_batches([table_to_batch(pa.concat_tables(tables))])


def rows_digest(quarantined: pa.Table) -> str:
    """sha256 of quarantined rows without their errors, whose text may hold an address: the same for every like attempt."""
    rows = quarantined.drop_columns([ERROR_COLUMN]).combine_chunks().replace_schema_metadata(None)
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
