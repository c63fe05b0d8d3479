"""One attempt from beginning to end: read, call the program, write, commit, record."""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from partitioner.attempt.agreement import Widened, agreed
from partitioner.attempt.asynchronous import Concurrency
from partitioner.attempt.batching import Places, restored
from partitioner.attempt.concurrent import call_concurrently
from partitioner.attempt.formats import FORMATS
from partitioner.attempt.isolate import call_isolating, store_quarantined
from partitioner.attempt.job import Job, Loaded, load
from partitioner.attempt.returned import is_stream, to_record_batch, to_record_batches
from partitioner.attempt.rounds import run_round
from partitioner.attempt.surroundings import guest, kept_prints
from partitioner.attempt.tally import Tally
from partitioner.attempt.work import calls_of, runs_of
from partitioner.errors import ConfigError, DataError, LeaseLost, ProgramError, StorageFailed
from partitioner.lease import superseded
from partitioner.measure import Measurement, measured
from partitioner.model import Attempt, CommitRecord, Event, EventKind, Failure
from partitioner.reducers import partials
from partitioner.run_directory import RunDirectory
from partitioner.storage import Directory

ACCUMULATOR = "accumulator"  # the column of partial results in the files of reducers other than concat


def run_attempt(attempt: Attempt) -> Event:
    """Run one attempt to its end. Never raises for what the program, the data or the sink did: the event says it.

    A sub-task that is committed already is not run again: the event holds the winner's record.
    """
    with kept_prints() as prints:
        try:
            loaded = load(attempt.run_url, attempt.key)
            event = _finished(attempt, loaded) if attempt.round < 0 else run_round(attempt, loaded)
        except Exception as error:
            traceback.print_exc()
            event = Event(EventKind.FAILED, attempt.attempt_id, attempt.worker_id, error=describe_error(error))
    if text := prints.getvalue():
        try:
            _keep(attempt, text)
        except StorageFailed as error:  # what the event says matters more than the prints
            print(f"{error} The prints of {attempt.attempt_id} are lost.", file=sys.stderr)
    return event


def describe_error(error: BaseException) -> Failure:
    """Plain values of an exception; ``fatal`` where no retry can mend it."""
    return Failure.of(error, fatal=isinstance(error, ConfigError | DataError | ProgramError | LeaseLost))


def _keep(attempt: Attempt, text: str) -> None:
    RunDirectory(attempt.run_url).files.put(f"attempts/{attempt.attempt_id}.log", text.encode())


def _finished(attempt: Attempt, loaded: Loaded) -> Event:
    key, sink = attempt.task_key, loaded.job.sink
    facts = sink.committed(key)
    started = time.time()
    if facts is not None and (known := loaded.run.committed(key)) is not None:
        return Event(EventKind.FINISHED, attempt.attempt_id, attempt.worker_id, record=known)
    if facts is None:
        with guest(attempt, loaded.job.seed), measured() as measurement:
            tally, staged = _staged(attempt, loaded)
            facts = _committed(attempt, loaded, tally, staged)
    else:
        tally, measurement = Tally(), Measurement()
    load_seconds, loaded.load_seconds = loaded.load_seconds, 0.0
    record = record_of(attempt, facts, tally, measurement, load_seconds, started)
    record = loaded.run.with_quarantine(record)
    loaded.run.commit(record)
    return Event(EventKind.FINISHED, attempt.attempt_id, attempt.worker_id, record=record)


def _staged(attempt: Attempt, loaded: Loaded) -> tuple[Tally, Any]:
    """The output, staged; from the beginning again where the agreed schema grew under it."""
    while True:
        tally = Tally()
        try:
            return tally, loaded.job.sink.write(attempt.task_key, _output(attempt, loaded, tally), tally.facts)
        except Widened:
            continue


def _committed(attempt: Attempt, loaded: Loaded, tally: Tally, staged: Any) -> dict[str, Any]:
    """Set poison rows aside, then commit: the facts of the output that counts."""
    sink = loaded.job.sink
    try:
        if tally.quarantine is not None:
            files = Directory(loaded.run.url, loaded.job.fsync)
            tally.quarantine_path = store_quarantined(files, attempt, tally.quarantine, tally.quarantine_digest)
        if superseded(loaded.run.files, attempt.epoch):
            raise LeaseLost(
                f"{attempt.attempt_id} was submitted by a driver (epoch {attempt.epoch}) that another one has replaced; "
                "its output is not committed."
            )
        return sink.commit(staged)
    except BaseException:
        sink.abort(staged)
        raise


def record_of(
    attempt: Attempt, facts: dict[str, Any], tally: Tally, measurement: Measurement, load_seconds: float, started: float
) -> CommitRecord:
    """The commit record: the facts of the output that counts, and what this attempt measured."""
    return CommitRecord(
        task_key=attempt.task_key,
        attempt_id=attempt.attempt_id,
        worker_id=attempt.worker_id,
        path=facts["path"],
        rows_in=facts["rows_in"],
        rows_out=facts["rows_out"],
        rows_written=facts["rows_written"],
        quarantined=facts["quarantined"],
        segments=tuple((int(a), int(b)) for a, b in facts["segments"]),
        bytes_read=facts["bytes_read"],
        seconds=measurement.wall_seconds,
        cpu_seconds=measurement.cpu_seconds,
        load_seconds=load_seconds,
        read_seconds=tally.read_seconds,
        peak_memory_bytes=measurement.peak_memory_bytes,
        started=started,
        finished=time.time(),
        digest=facts["digest"],
        measured=measurement.to_measured(),
        size=facts["size"],
        tag=facts["tag"],
        quarantine=tally.quarantine_path if tally.quarantine_digest == facts["quarantine_digest"] else "",
        quarantine_digest=facts["quarantine_digest"],
    )


def _output(attempt: Attempt, loaded: Loaded, tally: Tally) -> Iterator[pa.RecordBatch]:
    """What the sink writes: the program's rows where these are the result, else one row with the accumulator as bytes."""
    if loaded.job.reducer.rows:
        yield from agreed(_rows(attempt, loaded, tally), loaded.agreement, attempt.task_key)
        return
    reducer = loaded.job.reducer
    accumulator = reducer.create_accumulator()
    for run in runs_of(loaded.tasks, attempt.task, together=True):
        for batch, _ in calls_of(loaded, run, tally):
            for value, _ in call_program(loaded.job, loaded.call, batch, None, tally):
                for item in value if is_stream(value) else (value,):
                    accumulator = partials.add(reducer, accumulator, item)
    tally.rows_written = 1
    data = partials.dumps(reducer, accumulator)
    yield pa.RecordBatch.from_arrays([pa.array([data], pa.large_binary())], [ACCUMULATOR])


def _rows(attempt: Attempt, loaded: Loaded, tally: Tally) -> Iterator[pa.RecordBatch]:
    """Rows in input order; segments say how many came from each contiguous run of fragments."""
    for run in runs_of(loaded.tasks, attempt.task, together=False):
        before = tally.rows_written
        calls = (
            pair
            for batch, places in calls_of(loaded, run, tally)
            for pair in call_program(loaded.job, loaded.call, batch, places, tally)
        )
        for output in restored(calls):
            tally.rows_written += output.num_rows
            yield output
        tally.segments.append((run[0].index, tally.rows_written - before))


def call_program(
    job: Job, call: Callable[[Any], Any], batch: pa.RecordBatch, places: Places, tally: Tally
) -> Iterator[tuple[Any, Places]]:
    """The program's output for one batch and its rows' places; with ``on_error="quarantine"`` without failing rows."""
    if job.concurrency is not None:
        yield from _call_concurrently(job, job.concurrency, call, batch, tally)
        return
    convert = FORMATS[job.batch_format]
    rows_wanted = job.reducer.rows
    # A batch that may have to be tried in halves, or put back in order, is held whole.
    streamed = rows_wanted and job.on_error != "quarantine" and places is None

    def program(rows: pa.RecordBatch) -> Any:
        value = call(convert(rows))
        if not rows_wanted or (streamed and is_stream(value)):
            return value
        value = to_record_batch(value)
        if not job.allow_row_change:
            _check_rows(rows.num_rows, value.num_rows)
        return value

    tally.rows_in += batch.num_rows
    if job.on_error != "quarantine":
        bad: dict[int, str] = {}
        value = program(batch)
    else:
        value, bad = call_isolating(program, batch)
    places = None if places is None else np.delete(places, sorted(bad))
    tally.count(batch, bad)
    if len(bad) == batch.num_rows:
        return
    if not (streamed and is_stream(value)):
        yield value, places
        return
    rows = 0
    for part in to_record_batches(value):
        rows += part.num_rows
        yield part, None
    if not job.allow_row_change:
        _check_rows(batch.num_rows, rows)


def _call_concurrently(
    job: Job, how: Concurrency, call: Callable[[Any], Any], batch: pa.RecordBatch, tally: Tally
) -> Iterator[tuple[Any, Places]]:
    """``call_program`` for an async program."""
    values, bad = call_concurrently(call, how, job.batch_format, batch, job.on_error == "quarantine")
    tally.rows_in += batch.num_rows
    tally.count(batch, bad)
    rows = 0
    for value in values:
        if job.reducer.rows:
            value = to_record_batch(value)
            rows += value.num_rows
        yield value, None
    if job.reducer.rows and not job.allow_row_change:
        _check_rows(batch.num_rows - len(bad), rows)


def _check_rows(given: int, returned: int) -> None:
    if returned != given:
        raise ProgramError(
            f"the program got {given} rows and returned {returned}; return one row per input row, "
            "or set allow_row_change=True if it filters or expands on purpose."
        )
