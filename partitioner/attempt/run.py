"""One attempt from beginning to end: read, call the program, write, commit, record."""

from __future__ import annotations

import sys
import time
import traceback
from asyncio import CancelledError
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pyarrow as pa

from partitioner.attempt import garbage, handover, parts
from partitioner.attempt.agreement import Widened, agreed
from partitioner.attempt.batching import restored
from partitioner.attempt.calling import RowsFailed, call_program, verdict
from partitioner.attempt.isolate import store_quarantined
from partitioner.attempt.job import Loaded, load
from partitioner.attempt.merging import check_epoch, run_merge
from partitioner.attempt.record import record_of
from partitioner.attempt.returned import is_stream
from partitioner.attempt.rounds import run_round
from partitioner.attempt.surroundings import TimedOut, guest, kept_prints, limited
from partitioner.attempt.tally import Tally
from partitioner.attempt.trial import wait_for_trial
from partitioner.attempt.work import calls_of, runs_for
from partitioner.errors import CallFailed, PartitionerError, StorageFailed
from partitioner.measure import Measurement, measured, peak_memory_bytes
from partitioner.model import Attempt, CommitRecord, Event, EventKind, Failure, Fragment
from partitioner.reducers import partials
from partitioner.storage import Directory
from partitioner.store.run_directory import RunDirectory


def run_attempt(attempt: Attempt) -> Event:
    """Run one attempt to its end. Never raises for what the program, the data or the sink did: the event says it.

    A sub-task that is committed already is not run again: the event holds the winner's record.
    """
    with kept_prints() as prints:
        try:
            wait_for_trial()
            loaded = load(attempt.run_url, attempt.key)
            event = _KINDS[attempt.kind](attempt, loaded)
        except (Exception, SystemExit, GeneratorExit, CancelledError, TimedOut) as error:
            traceback.print_exc()
            why = replace(describe_error(error), peak_memory_bytes=peak_memory_bytes())
            event = Event(EventKind.FAILED, attempt.attempt_id, attempt.worker_id, error=why)
    if text := prints.getvalue():
        try:
            _keep(attempt, text)
        except StorageFailed as error:  # what the event says matters more than the prints
            print(f"{error} The prints of {attempt.attempt_id} are lost.", file=sys.stderr)
    garbage.settle()
    return event


def describe_error(error: BaseException) -> Failure:
    """Plain values of an exception; ``fatal`` where no retry can mend it."""
    failure = Failure.of(error, fatal=isinstance(error, PartitionerError) and error.fatal)
    if isinstance(error, RowsFailed):
        return replace(failure, suspects=error.suspects)
    if isinstance(error, CallFailed):
        kind = error.kind
        return replace(failure, type=kind.__name__, raised=f"{kind.__module__}:{kind.__qualname__}")
    return replace(failure, timeout=isinstance(error, TimedOut))


def _keep(attempt: Attempt, text: str) -> None:
    data = text.encode(errors="backslashreplace")  # names of files may hold bytes that are no text
    RunDirectory(attempt.run_url).files.put(Attempt.log_of(attempt.attempt_id), data)


def _finished(attempt: Attempt, loaded: Loaded) -> Event:
    key, sink = attempt.task_key, loaded.job.sink
    started = time.time()
    for whole in attempt.care.split_from:
        if (known := parts.give_up(whole, attempt, loaded)) is not None:
            return Event(EventKind.FINISHED, attempt.attempt_id, attempt.worker_id, record=known)
    if attempt.care.count:
        return Event(EventKind.FINISHED, attempt.attempt_id, attempt.worker_id, record=parts.counted(attempt, loaded))
    facts = sink.committed(key)
    if facts is not None and (known := loaded.run.committed(key)) is not None:
        return Event(EventKind.FINISHED, attempt.attempt_id, attempt.worker_id, record=known)
    if facts is None:
        with guest(attempt, loaded.job.seed), limited(attempt.timeout_seconds), measured() as measurement:
            tally, staged = _staged(attempt, loaded)
            if tally.key and (known := _overtaken(attempt, loaded, tally, staged)) is not None:
                return Event(EventKind.FINISHED, attempt.attempt_id, attempt.worker_id, record=known)
            facts = _committed(attempt, loaded, tally, staged)
    else:
        tally, measurement = Tally(), Measurement()
    load_seconds, loaded.load_seconds = loaded.load_seconds, 0.0
    record = record_of(handover.as_part(attempt, tally), facts, tally, measurement, load_seconds, started)
    record = replace(record, attempt_id=attempt.attempt_id)
    record = loaded.run.with_quarantine(record)
    loaded.run.commit(record)
    return Event(EventKind.FINISHED, attempt.attempt_id, attempt.worker_id, record=record)


def _staged(attempt: Attempt, loaded: Loaded) -> tuple[Tally, Any]:
    """The output, staged; from the beginning again where the agreed schema grew under it."""
    while True:
        tally = Tally(part=attempt.care.rows)
        try:
            return tally, loaded.job.sink.write(attempt.task_key, _output(attempt, loaded, tally), tally.facts)
        except Widened:
            continue


def _overtaken(attempt: Attempt, loaded: Loaded, tally: Tally, staged: Any) -> CommitRecord | None:
    """The record of another that had committed the sub-task, or cut it elsewhere, before its rest could be handed over."""
    try:
        check_epoch(loaded.run.files, attempt)
        known = handover.overtaken(attempt, loaded, tally)
    except BaseException:  # as in ``_committed``
        loaded.job.sink.abort(staged)
        raise
    if known is not None:
        loaded.job.sink.abort(staged)
    return known


def _committed(attempt: Attempt, loaded: Loaded, tally: Tally, staged: Any) -> dict[str, Any]:
    """Set poison rows aside, then commit: the facts of the output that counts."""
    sink = loaded.job.sink
    try:
        if tally.quarantine is not None:
            files = Directory(loaded.run.url, loaded.job.fsync)
            tally.quarantine_path = store_quarantined(files, attempt, tally.quarantine, tally.quarantine_digest)
        check_epoch(loaded.run.files, attempt)
        return sink.commit(staged)
    except BaseException:  # also SystemExit and an interrupt: whatever ends the attempt, its staged output goes
        sink.abort(staged)
        raise


def _output(attempt: Attempt, loaded: Loaded, tally: Tally) -> Iterator[pa.RecordBatch]:
    """What the sink writes: the program's rows where these are the result, else one row with the accumulator as bytes."""
    if loaded.job.reducer.rows:
        yield from agreed(_rows(attempt, loaded, tally), loaded.agreement, attempt.task_key)
        return
    kept = list(_accumulators(attempt, loaded, tally))
    verdict(attempt.care, tally)
    tally.rows_written = len(kept)
    yield partials.as_rows(kept)


def _accumulators(attempt: Attempt, loaded: Loaded, tally: Tally) -> Iterator[bytes]:
    """The accumulator of the sub-task, or one for each file of the input where these are kept apart."""
    reducer, by_file = loaded.job.reducer, loaded.job.by_file
    runs = runs_for(loaded.job, loaded.tasks, attempt.whole) or [[]]
    for run in runs:
        accumulator, base, aside = reducer.create_accumulator(), tally.rows_in, tally.quarantined
        content = _content(loaded, run)
        calls = calls_of(loaded, run, tally, attempt, ends=run is runs[-1])
        for batch, places in handover.until_asked(calls, attempt, loaded, tally):
            for value, _ in call_program(loaded.job, loaded.call, batch, places, tally, attempt.care, base):
                for item in value if is_stream(value) else (value,):
                    accumulator = partials.add(reducer, accumulator, item)
        if by_file and run:
            tally.segments.append((run[0].index, 1))
            tally.inputs.append((run[0].index, tally.rows_in - base, tally.quarantined - aside))
            tally.contents += content()
        yield partials.dumps(reducer, accumulator, loaded.job.partials_key)


def _rows(attempt: Attempt, loaded: Loaded, tally: Tally) -> Iterator[pa.RecordBatch]:
    """Rows in input order, unless that does not matter; segments say how many came from each run of fragments."""
    ordered, runs = loaded.job.preserve_order, runs_for(loaded.job, loaded.tasks, attempt.whole)
    for run in runs:
        content = _content(loaded, run)
        before, base, aside = tally.rows_written, tally.rows_in, tally.quarantined
        calls = calls_of(loaded, run, tally, attempt, ends=run is runs[-1])
        outputs = (
            pair
            for batch, places in handover.until_asked(calls, attempt, loaded, tally)
            for pair in call_program(
                loaded.job, loaded.call, batch, places if ordered else None, tally, attempt.care, base
            )
        )
        for output in restored(outputs):
            tally.rows_written += output.num_rows
            yield output
        tally.segments.append((run[0].index, tally.rows_written - before))
        if loaded.job.by_file:
            tally.inputs.append((run[0].index, tally.rows_in - base, tally.quarantined - aside))
            tally.contents += content()
    verdict(attempt.care, tally)


def _content(loaded: Loaded, run: list[Fragment]) -> Callable[[], list[str]]:
    """To be called after a section was read: what tells its content apart, empty where its file changed meanwhile.

    Of a section that is cut only the run that begins it tells. Nothing where sections are not kept apart.
    """
    if not loaded.job.by_section:
        return list
    if not run or run[0].start:
        return lambda: [""]
    source, first = loaded.job.source, run[0]
    before, content = source.fingerprint(first), source.section_content(first)
    return lambda: [content if source.fingerprint(first) == before else ""]


_KINDS = {"task": _finished, "round": run_round, "merge": run_merge}
