"""One merge on a worker: partial results that are committed become one, which is committed as any output is."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from partitioner.attempt.job import Loaded
from partitioner.attempt.record import record_of
from partitioner.attempt.surroundings import guest, limited
from partitioner.attempt.tally import Tally
from partitioner.errors import DamagedOutput, LeaseLost, ProgramError
from partitioner.measure import Measurement, measured, release_memory
from partitioner.model import Attempt, Event, EventKind, Merge
from partitioner.reducers import partials
from partitioner.storage import Directory
from partitioner.store.lease import superseded
from partitioner.store.run_directory import RunDirectory


def check_epoch(run: Directory, attempt: Attempt) -> None:
    """LeaseLost for an attempt of a driver that another one has replaced: it commits nothing any more."""
    if superseded(run, attempt.epoch):
        raise LeaseLost(
            f"{attempt.attempt_id} was submitted by a driver (epoch {attempt.epoch}) that another one has replaced; "
            "its output is not committed."
        )


def run_merge(attempt: Attempt, loaded: Loaded) -> Event:
    """One merge to its commit, or the record of one that is committed. Raises what merging raises."""
    merge, started = attempt.merge, time.time()
    assert merge is not None, "an attempt of this kind has a merge"
    sink = loaded.job.sink.beside(merge.place)
    facts, measurement = sink.committed(merge.key), Measurement()
    if facts is None:
        release_memory()  # of the merge before, which was as large
        with guest(attempt, loaded.job.seed), limited(attempt.timeout_seconds), measured() as measurement:
            staged = sink.write(merge.key, _rows(loaded, merge), lambda: facts_of(merge))
            check_epoch(loaded.run.files, attempt)
            facts = sink.commit(staged)
    if facts.get("of") != merge.of:
        raise DamagedOutput(f"{merge.place}/{facts['path']} was made of other partial results; remove it, and resume.")
    record = record_of(attempt, facts, Tally(), measurement, 0.0, started)
    RunDirectory(merge.home).commit(record)
    return Event(EventKind.FINISHED, attempt.attempt_id, attempt.worker_id, record=record)


def facts_of(merge: Merge) -> dict[str, Any]:
    """What the file of a merge says of itself: of how many partial results and which."""
    return {**Tally(rows_written=1).facts(), "of": merge.of, "pieces": len(merge.pieces)}


def _rows(loaded: Loaded, merge: Merge) -> Iterator[pa.RecordBatch]:
    reducer, key = loaded.job.reducer, loaded.job.partials_key
    try:
        found = partials.dumps(reducer, partials.merged(reducer, loaded.job.sink, merge.pieces, key), key)
    except ProgramError as error:
        raise ProgramError(f"merging the partial results of {merge.span}: {error}") from error
    yield partials.as_rows([found])
