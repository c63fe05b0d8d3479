"""What an async program makes of one batch: rows or small batches in flight together, results in order, failures by row."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa

from partitioner.attempt.asynchronous import Concurrency, call_all, pieces
from partitioner.attempt.formats import FORMATS
from partitioner.attempt.isolate import Alone, about_rows, alone, call_isolating


def call_concurrently(
    call: Callable[[Any], Any], how: Concurrency, batch_format: str, batch: pa.RecordBatch, isolate: bool
) -> tuple[list[Any], dict[int, Alone]]:
    """What the calls returned, in order, and row index to error of the rows that failed, where ``isolate`` says so.

    Row by row the values are one list of one entry per row that did not fail; else one entry per call. Without
    ``isolate``, and for errors that no row is to blame for, the first error is raised.
    """
    parts = list(pieces(batch.num_rows, how.rows or 1))
    convert = FORMATS[batch_format]
    units = batch.to_pylist() if how.rows == 0 else [convert(batch.slice(p.start, p.stop - p.start)) for p in parts]
    found = call_all(call, units, how)
    values: list[Any] = []
    bad: dict[int, Alone] = {}
    for part, value in zip(parts, found, strict=True):
        if not isinstance(value, Exception):
            values.append(value)
        elif not isolate or not about_rows(value):
            raise value
        elif part.stop - part.start == 1:
            bad[part.start] = alone(value)
        else:
            rows = batch.slice(part.start, part.stop - part.start)
            saved, reasons = call_isolating(lambda some: _one_call(call, how, convert(some)), rows)
            bad |= {part.start + i: reason for i, reason in reasons.items()}
            values += [] if len(reasons) == rows.num_rows else [saved]
    return ([values] if how.rows == 0 and values else values), bad


def _one_call(call: Callable[[Any], Any], how: Concurrency, unit: Any) -> Any:
    (value,) = call_all(call, [unit], how)
    if isinstance(value, Exception):
        raise value
    return value
