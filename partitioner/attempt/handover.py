"""The rest of a running sub-task: an attempt that is asked for it stops between two batches and leaves its other rows.

See ``coordinator.handover`` for who asks. What is done becomes a part of its own: first the sub-task is given up as a whole
at that row, by the atomic create that commits any output, so that no other attempt at it, and no later cut at another row,
is ever committed beside the part.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import pyarrow as pa

from partitioner.attempt.batching import Places
from partitioner.attempt.job import Loaded
from partitioner.attempt.parts import given_up
from partitioner.attempt.tally import Tally
from partitioner.model import Attempt, CommitRecord, part_key

LOOK_SECONDS = 0.5
"""Between two looks at whether the rest is asked for: a look costs an object store some milliseconds."""

Calls = Iterator[tuple[pa.RecordBatch, Places]]


def until_asked(calls: Calls, attempt: Attempt, loaded: Loaded, tally: Tally) -> Calls:
    """The same batches, but none after the one behind which the rest was handed over; ``tally`` says then from which row."""
    rows = rows_of(attempt, loaded)
    looked = time.monotonic()
    for batch, places in calls:
        yield batch, places
        if places is not None or not 0 < tally.rows_in < rows or time.monotonic() - looked < LOOK_SECONDS:
            continue
        looked = time.monotonic()
        if loaded.run.rest_is_asked_for(attempt.attempt_id):
            tally.part, tally.all_rows = (0, tally.rows_in), rows
            tally.key = part_key(attempt.task_key, 0, tally.rows_in, rows)
            return


def rows_of(attempt: Attempt, loaded: Loaded) -> int:
    """Rows of a sub-task that may be handed over; 0 where it may not, or where only reading tells how many there are."""
    care, job, inputs = attempt.care, loaded.job, loaded.tasks
    plain = care.rows is None and not (care.isolate or care.count or care.condemned)
    if not plain or job.by_file or job.reducer.whole_task:
        return 0
    rows = inputs.fragments.rows[inputs.fragments_of(attempt.whole)]
    return int(rows.sum()) if (rows >= 0).all() else 0


def overtaken(attempt: Attempt, loaded: Loaded, tally: Tally) -> CommitRecord | None:
    """Give the sub-task up at the row of ``tally``; the record to answer with where another had decided otherwise."""
    assert tally.part is not None
    cut = tally.part[1]
    known = given_up(attempt.task_key, attempt, loaded, tally.all_rows, cut)
    return None if known.split and known.cut == cut else known


def as_part(attempt: Attempt, tally: Tally) -> Attempt:
    """The attempt as one at the part that it keeps."""
    return replace(attempt, task_key=tally.key) if tally.key else attempt
