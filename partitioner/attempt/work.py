"""What an attempt reads, and in which portions the program gets it."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from partitioner.attempt import upcoming
from partitioner.attempt.ahead import ahead
from partitioner.attempt.batching import Places
from partitioner.attempt.formats import table_to_batch
from partitioner.attempt.job import Job, Loaded
from partitioner.attempt.tally import Tally
from partitioner.model import Attempt, Fragment, TaskInputs, Upcoming


def runs_of(
    inputs: TaskInputs, task: int, together: bool, by_file: bool = False, by_section: bool = False
) -> list[list[Fragment]]:
    """The sub-task's fragments as contiguous runs of the input, or all together where order does not matter.

    Output rows of a run stay together, so that input order can be restored when sub-tasks are packed out of order.
    ``by_file``: a run ends with its file, ``by_section``: with its section of it (row group).
    """
    indices = inputs.fragments_of(task)
    if not len(indices):
        return []
    table = inputs.fragments
    apart = np.diff(indices) != 1
    if by_file:
        apart |= np.diff(table.path_index[indices]) != 0
    if by_section:
        apart |= np.diff(table.section[indices]) != 0
    breaks = [] if together else (np.flatnonzero(apart) + 1).tolist()
    return [[table[int(i)] for i in part] for part in np.split(indices, breaks)]


def read(
    loaded: Loaded,
    fragments: list[Fragment],
    tally: Tally,
    overlap: bool = False,
    attempt: Attempt | None = None,
    ends: bool = False,
) -> Iterator[pa.RecordBatch]:
    """The rows of some fragments in order, those of ``tally.part`` alone, with the time spent waiting for them counted.

    With ``overlap`` the next batch is read while the caller works on the present one. An ``attempt`` takes what was read
    ahead for it; where it ``ends`` with these fragments, the first of what comes next is read behind the last row.
    """
    start, stop = tally.part or (0, sys.maxsize)
    found = _positioned(loaded.job, fragments, tally.position, start, stop)
    if attempt is not None and tally.part is None and not tally.position:
        found = upcoming.taken(attempt, fragments, found)
    if attempt is not None and attempt.upcoming is not None and ends:
        found = _and_next(found, loaded, attempt.upcoming)
    found = ahead(found) if overlap else found
    while True:
        begin = time.perf_counter()
        item = next(found, None)
        tally.read_seconds += time.perf_counter() - begin
        if item is None:
            return
        first, batch = item
        tally.position = first + (0 if batch is None else batch.num_rows)
        if batch is None:
            continue
        low, high = max(start - first, 0), min(stop - first, batch.num_rows)
        if low < high:
            wanted = batch.slice(low, high - low)
            tally.bytes_read += wanted.nbytes
            yield wanted


def _and_next(items: Iterator[upcoming.Item], loaded: Loaded, told: Upcoming) -> Iterator[upcoming.Item]:
    """The same; behind the last one begins the reading of what comes next.

    Not where content is fingerprinted beside its reading, which would be done before it is asked for.
    """
    yield from items
    job = loaded.job
    if job.by_file or job.by_section:
        return
    first = next(iter(runs_for(job, loaded.tasks, told.task)), None)
    if first:
        everything = not in_batches(loaded)
        upcoming.begin(loaded, told, first, _positioned(job, first, 0, 0, sys.maxsize), everything)


def runs_for(job: Job, tasks: TaskInputs, task: int) -> list[list[Fragment]]:
    """The runs of a sub-task as the job wants them, see ``runs_of``."""
    together = not job.by_file and not (job.reducer.rows and job.preserve_order)
    return runs_of(tasks, task, together, job.by_file, job.by_section)


def in_batches(loaded: Loaded) -> bool:
    """Whether the program is called with batches of a sub-task rather than with all of it at once."""
    return loaded.batcher is not None and not loaded.job.reducer.whole_task


def _positioned(job: Job, fragments: list[Fragment], position: int, start: int, stop: int) -> Iterator[upcoming.Item]:
    """Batches of the rows from ``start`` to before ``stop``, each with the position of its first row; last the end's."""
    for fragment in fragments:
        if position >= stop:
            break
        if 0 <= fragment.rows <= start - position:
            position += fragment.rows  # wholly before the part: not even read
            continue
        for batch in job.source.read(fragment, job.columns):
            yield position, batch
            position += batch.num_rows
            if position - batch.num_rows >= stop:
                break
    yield position, None


def calls_of(
    loaded: Loaded, fragments: list[Fragment], tally: Tally, attempt: Attempt | None = None, ends: bool = False
) -> Iterator[tuple[pa.RecordBatch, Places]]:
    """The record batches the program is called with, each with the places of its rows where they are out of order.

    All rows at once, unless the job has batch settings; training reducers always get the whole sub-task.
    """
    if loaded.batcher is not None and in_batches(loaded):
        yield from loaded.batcher.batches(read(loaded, fragments, tally, overlap=True, attempt=attempt, ends=ends))
        return
    batches = read(loaded, fragments, tally, attempt=attempt, ends=ends)
    held = [b for b in batches if b.num_rows]
    if held:
        yield table_to_batch(pa.Table.from_batches(held)), None
