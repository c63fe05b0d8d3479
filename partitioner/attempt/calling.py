"""Calling the program with one batch, as carefully as the attempt is told to."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa

from partitioner.attempt.batching import Places
from partitioner.attempt.concurrent import call_concurrently
from partitioner.attempt.formats import FORMATS
from partitioner.attempt.isolate import Alone, call_isolating
from partitioner.attempt.job import Job
from partitioner.attempt.returned import is_stream, to_record_batch, to_record_batches
from partitioner.attempt.surroundings import TimedOut
from partitioner.attempt.tally import Tally
from partitioner.errors import ProgramError, ProgramExited, listed, nearest
from partitioner.model import NO_CARE, Care, spans_of
from partitioner.model.data import Ints
from partitioner.model.folders import check_lengths


class RowsFailed(Exception):
    """Rows failed alone here; whether they are poison or this worker is bad, another worker has to say."""

    def __init__(self, positions: list[int], reason: str) -> None:
        super().__init__(f"{len(positions)} rows fail alone here, the first with {reason}")
        self.suspects = spans_of(positions)


class NothingWorks(Exception):
    """Every row failed, each with an error of the surroundings (disk, network, a service): no row is to blame."""


def call_program(
    job: Job,
    call: Callable[[Any], Any],
    batch: pa.RecordBatch,
    places: Places,
    tally: Tally,
    care: Care = NO_CARE,
    base: int = 0,
) -> Iterator[tuple[Any, Places]]:
    """The program's outputs for one batch, each with its rows' places; rows that are set aside are left out.

    ``places`` as in ``batching``, counted from the ``base``-th row of the sub-task.
    """
    positions = tally.rows_in + np.arange(batch.num_rows) if places is None else base + places
    size = max(1, -(-batch.num_rows // (1 if job.reducer.whole_task else care.smaller)))
    for start in range(0, max(1, batch.num_rows), size):
        chosen = slice(start, start + size)
        part = batch.slice(start, size)
        yield from _call(job, call, care, part, None if places is None else places[chosen], positions[chosen], tally)


def _call(
    job: Job,
    call: Callable[[Any], Any],
    care: Care,
    batch: pa.RecordBatch,
    places: Places,
    positions: Ints,
    tally: Tally,
) -> Iterator[tuple[Any, Places]]:
    tally.rows_in += batch.num_rows
    values, bad = _values_and_bad(job, call, care, batch, places, positions)
    _judge(care, positions, bad, tally)
    tally.left_out += [int(positions[i]) for i in sorted(bad)]
    places = None if places is None else np.delete(places, sorted(bad))
    tally.count(batch, {i: bad[i].reason for i in sorted(bad)})
    rows = 0
    for value in values:
        if not (job.reducer.rows and is_stream(value)):
            rows += value.num_rows if job.reducer.rows else 0
            yield value, places
            continue
        for part in to_record_batches(value):
            check_lengths(part, job.names_on_disk)
            rows += part.num_rows
            yield part, None
    if job.reducer.rows:
        _check_rows(job, batch.num_rows - len(bad), rows)


def _values_and_bad(
    job: Job, call: Callable[[Any], Any], care: Care, batch: pa.RecordBatch, places: Places, positions: Ints
) -> tuple[list[Any], dict[int, Alone]]:
    """What the program returned for the rows it can bear, and the others."""
    if care.condemned:
        return [], dict.fromkeys(range(batch.num_rows), Alone(care.condemned, False))
    guarded = partial(_guarded, call)
    if job.concurrency is not None:
        found, bad = call_concurrently(call, job.concurrency, job.batch_format, batch, care.isolate)
        return [_rows_of(job, value) if job.reducer.rows else value for value in found], bad
    if not care.isolate:  # a batch that has to be put back in order is held whole
        return [_value(job, guarded, batch, streamed=places is None)], {}
    suspects = np.flatnonzero(_inside(positions, care.suspects or ())).tolist()
    value, bad = call_isolating(lambda rows: _value(job, guarded, rows), batch, suspects)
    return [value] if len(bad) < batch.num_rows else [], bad


def _inside(positions: Ints, spans: tuple[tuple[int, int], ...]) -> Any:
    inside = np.zeros(len(positions), bool)
    for start, stop in spans:
        inside |= (positions >= start) & (positions < stop)
    return inside


def _judge(care: Care, positions: Ints, bad: dict[int, Alone], tally: Tally) -> None:
    """Note the rows that failed alone here and nowhere else yet."""
    rows = sorted(bad)
    tally.surroundings += sum(bad[i].surroundings for i in rows)
    if care.suspects is None or not rows:
        return
    known = _inside(positions[rows], care.suspects)
    tally.suspects += [
        (int(positions[i]), bad[i].reason) for i, is_known in zip(rows, known, strict=True) if not is_known
    ]


def verdict(care: Care, tally: Tally) -> None:
    """Raise where the rows that failed cannot be set aside on the word of this worker alone."""
    if not care.isolate or not tally.quarantined:
        return
    if tally.surroundings == tally.quarantined == tally.rows_in > 1:
        raise NothingWorks(
            f"all {tally.rows_in} rows failed alone, each with an error of disk, network or a service "
            f"({tally.poison[0][1][0]}); no row is set aside for that"
        )
    if tally.suspects:
        raise RowsFailed(sorted(position for position, _ in tally.suspects), tally.suspects[0][1])


def _value(job: Job, call: Callable[[Any], Any], rows: pa.RecordBatch, streamed: bool = False) -> Any:
    """What the program makes of some rows; ``streamed``: an iterator is given on as it is."""
    try:
        value = call(FORMATS[job.batch_format](rows))
    except KeyError as error:
        _name_the_columns(error, rows.schema.names)
        raise
    if not job.reducer.rows:
        return value
    if streamed and is_stream(value):
        return _unending(value)
    value = _rows_of(job, _unending(value) if is_stream(value) else value)
    _check_rows(job, rows.num_rows, value.num_rows)
    return value


def _rows_of(job: Job, value: Any) -> pa.RecordBatch:
    rows = to_record_batch(value)
    check_lengths(rows, job.names_on_disk)
    return rows


def _name_the_columns(error: KeyError, columns: list[str]) -> None:
    """A name that was looked up in vain is most often that of a column: say which there are."""
    wanted = error.args[0] if error.args else None
    if isinstance(wanted, str) and wanted not in columns and not vars(error).get("__notes__"):
        error.add_note(f"(The batch has the columns {listed(columns)}.{nearest(wanted, columns)})")


def _check_rows(job: Job, given: int, returned: int) -> None:
    if returned != given and not job.allow_row_change:
        raise ProgramError(
            f"the program got {given} rows and returned {returned}; return one row per input row, "
            "or set allow_row_change=True if it filters or expands on purpose."
        )


def _unending(values: Iterator[Any]) -> Iterator[Any]:
    """The same items; an exception that is meant to end a process is an error of the program here too."""
    try:
        yield from values
    except (GeneratorExit, KeyboardInterrupt, TimedOut, Exception):
        raise
    except BaseException as error:
        raise ProgramExited.by(error) from error


def _guarded(call: Callable[[Any], Any], batch: Any) -> Any:
    """What is no Exception (sys.exit, a panic of a library in Rust) is an error of the program like others.

    A second Ctrl-C of a person is not.
    """
    try:
        return _in_this_process(call, batch)
    except (TimedOut, Exception):
        raise
    except KeyboardInterrupt as error:
        if threading.current_thread() is threading.main_thread():
            raise
        raise ProgramExited.by(error) from error
    except BaseException as error:
        raise ProgramExited.by(error) from error


def _in_this_process(call: Callable[[Any], Any], batch: Any) -> Any:
    """Call it; a copy of this process that the program forked and did not end is ended here, or both would go on."""
    process, code = os.getpid(), 1
    try:
        value = call(batch)
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
        raise
    finally:
        if os.getpid() != process:
            os._exit(code & 0xFF)
    return value
