"""Sub-tasks that were split by rows: the parts commit on their own, and the whole must never be committed beside them.

Before a part does anything, an empty output is committed in the name of the whole, by the same atomic create that commits
any output. Whoever comes first wins: if an attempt at the whole that was thought dead has committed it, the parts find that
and are not needed; otherwise that attempt is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pyarrow as pa

from partitioner.attempt.agreement import agreed
from partitioner.attempt.job import Loaded
from partitioner.attempt.record import record_of
from partitioner.attempt.tally import Tally
from partitioner.attempt.work import read, runs_of
from partitioner.measure import Measurement
from partitioner.model import Attempt, CommitRecord


def give_up(key: str, attempt: Attempt, loaded: Loaded) -> CommitRecord | None:
    """Make sure that ``key`` is never committed as a whole. The record of the whole where it has been, else None."""
    known = given_up(key, attempt, loaded)
    return None if known.split else known


def given_up(key: str, attempt: Attempt, loaded: Loaded, rows: int | None = None, cut: int = 0) -> CommitRecord:
    """The record of ``key``: that it is split, from row ``cut`` on, unless it was committed as a whole before."""
    known = loaded.run.committed(key)
    if known is None:
        sink = loaded.job.sink
        facts = sink.committed(key)
        if facts is None:
            tally = Tally(part=None if rows is None else (cut, rows))
            nothing: Iterator[pa.RecordBatch] = iter(())
            if loaded.job.reducer.rows:  # an empty table in the columns of the others
                nothing = agreed(nothing, loaded.agreement, key)
            facts = sink.commit(sink.write(key, nothing, lambda: {**tally.facts(), "split": True}))
        whole = replace(attempt, task_key=key)
        known = record_of(whole, facts, Tally(), Measurement(), 0.0, 0.0)
        loaded.run.commit(known)
    return known


def counted(attempt: Attempt, loaded: Loaded) -> CommitRecord:
    """Count the rows of a sub-task and give it up to its parts; ``part`` of the record says how many there are."""
    return given_up(attempt.task_key, attempt, loaded, count_rows(attempt, loaded))


def count_rows(attempt: Attempt, loaded: Loaded) -> int:
    """Rows of a sub-task where only reading tells."""
    tally = Tally()
    for run in runs_of(loaded.tasks, attempt.whole, together=True):
        for _ in read(loaded, run, tally):
            pass
    return tally.position
