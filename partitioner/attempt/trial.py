"""The trial before the run: the first rows through the program on one worker; what is wrong with it is said at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from math import ceil
from typing import Any

import pyarrow as pa

from partitioner.attempt.agreement import Agreement, agreed
from partitioner.attempt.asynchronous import rows_together
from partitioner.attempt.batching import Batcher
from partitioner.attempt.calling import call_program
from partitioner.attempt.formats import table_to_batch
from partitioner.attempt.job import Job, load_for_trial
from partitioner.attempt.surroundings import guest, kept_prints
from partitioner.attempt.tally import Tally
from partitioner.costs.measuring.first_rows import NOTHING, Call, FirstRows
from partitioner.errors import ConfigError, DataError, OutOfReach, ProgramError
from partitioner.model import Attempt, Care, Fragments
from partitioner.reducers import partials
from partitioner.store.run_directory import RunDirectory

CLAIM = "trial.claim"

NO_ROWS = "(no rows)"
"""Stands for the sub-task that first returned a column, where none had rows."""

FIRST = 2
"""Rows of the first call where calls are timed: a slow program is known by them, and shows its number of rows."""

MORE, FEWER, ONE = 8, 4, 1
"""Rows of the second: fewer where the first took longer than ``QUICK``, one where these would take too long."""

QUICK = 0.05

ROWS_TIMED = FIRST + MORE + FIRST
"""Rows that timed calls take at most: the third, as long as the first, comes where the second leaves open whether calls
cost or rows do."""

OPEN = 0.6
"""The second call tells that rows cost where it took at least so much of the first one's seconds a row."""

_running: list[threading.Thread] = []


@dataclass(frozen=True, slots=True)
class Tried:
    """``why`` no run can succeed, empty where it may; ``first``: what the rows took, where that was asked for."""

    why: str = ""
    first: FirstRows = NOTHING


@dataclass(slots=True)
class _Stopwatch:
    """Notes each call that ends; begins none that is expected to end later than ``wait`` seconds after the first began."""

    wait: float
    together: int = 1  # rows that wait at once
    calls: list[Call] = field(default_factory=list)
    begun: int = 0
    row_bytes: float = 0.0
    since: float = field(default_factory=time.monotonic)

    def timed(self, once: Callable[[pa.RecordBatch], int], rows: pa.RecordBatch) -> float:
        began = time.monotonic()
        self.begun = self.begun or rows.num_rows
        count = once(rows)
        self.calls.append(Call(max(count, 1), time.monotonic() - began))
        return self.calls[-1].seconds

    def affords(self, seconds: float) -> bool:
        return time.monotonic() - self.since + seconds <= self.wait

    def expected(self, rows: int) -> float:
        """Seconds of another call, by the first one: rows that wait at once take no longer than one."""
        first = self.calls[0]
        return first.seconds * (rows / FIRST if self.together <= 1 else ceil(rows / self.together))

    def first_rows(self) -> FirstRows:
        waited = time.monotonic() - self.since
        return FirstRows(tuple(self.calls), self.begun, waited, self.row_bytes, self.together)


def trial(
    index: int,
    count: int,
    run_url: str,
    key: bytes,
    fragments: Fragments,
    task_key: str,
    rows: int,
    wait: float,
    alone: bool,
    timed: bool = False,
) -> Tried:
    """On a worker; of several that are asked the first to create the claim. Why no run can succeed, if none can.

    The ``rows`` are the first of ``fragments``, those of sub-task ``task_key``. They settle the output's schema. Errors that
    a row, a machine or the moment may be to blame for say nothing here, nor does a program that takes longer than ``wait``
    seconds: the run has its own answer to them. ``alone``: the program is then not called by a second thread meanwhile.
    ``timed``: the rows go through the program in several calls, and what each took is told.
    """
    run = RunDirectory(run_url, key)
    if not run.files.put_new(CLAIM, b""):
        return Tried()
    told: list[str | BaseException] = []
    watch = _Stopwatch(wait) if timed else None

    def tell() -> None:
        try:
            told.append(_told(run, key, fragments, task_key, rows, watch))
        except BaseException as error:  # handed to the caller, whose thread it would have ended
            told.append(error)

    thread = threading.Thread(target=tell, daemon=True)
    thread.start()
    thread.join(wait)
    _running[:] = [thread] if alone else []
    answer = told[0] if told else ""
    if isinstance(answer, BaseException):
        if not isinstance(answer, SystemExit):
            raise answer
        answer = ""  # the program left; the run tells it as an error of the program
    return Tried(answer, watch.first_rows() if watch is not None else NOTHING)


def of_no_rows(index: int, count: int, run_url: str, key: bytes, schema: pa.Schema) -> str:
    """On a worker; where no sub-task had a row: what the program makes of none settles the output's columns.

    ``schema`` is the input's. The answer is why there are none, else nothing: a program need not take a batch without rows.
    """
    agreement = Agreement(RunDirectory(run_url, key).files)
    try:
        with kept_prints(), guest(Attempt("trial", -1, 0, "", run_url), 0):
            job, call = load_for_trial(run_url, key)
            wanted = pa.schema([schema.field(name) for name in job.columns or schema.names])
            batch = pa.RecordBatch.from_arrays([pa.array([], f.type) for f in wanted], schema=wanted)
            outputs = call_program(job, call, batch, None, Tally())
            for _ in agreed((output for output, _ in outputs), agreement, NO_ROWS):
                pass
    except Exception as error:  # the program's own, of a batch that it may not have been made for
        return f"{type(error).__name__}: {error}"
    return ""


def wait_for_trial() -> None:
    """Until no trial runs in this process: the program is not called by two threads at once where it did not ask for it."""
    while _running:
        _running[0].join()
        _running.clear()


def _told(
    run: RunDirectory, key: bytes, fragments: Fragments, task_key: str, rows: int, watch: _Stopwatch | None
) -> str:
    try:
        with kept_prints(), guest(Attempt("trial", -1, 0, "", run.url), 0):
            job, call = load_for_trial(run.url, key)
            agree = partial(agreed, agreement=Agreement(run.files), who=task_key)
            _try(job, partial(_once, job, call, agree), fragments, rows, watch)
    except OutOfReach:
        return ""  # it may be this worker's disk: the run tries another
    except (ConfigError, DataError, ProgramError) as error:
        return f"{type(error).__name__}: {error}"
    except Exception:
        return ""  # told by the run, which retries, isolates rows and keeps the traceback
    return ""


def _try(
    job: Job,
    once: Callable[[pa.RecordBatch], int],
    fragments: Fragments,
    rows: int,
    watch: _Stopwatch | None,
) -> None:
    batches = list(_first_rows(job, fragments, rows))
    if not batches or job.reducer.whole_task:  # a model cannot be fitted to a few rows
        return
    batch = table_to_batch(pa.Table.from_batches(batches))
    if watch is None:
        once(batch)
        return
    watch.together = rows_together(job.concurrency)
    watch.since, watch.row_bytes = time.monotonic(), batch.nbytes / batch.num_rows
    try:
        watch.timed(once, batch.slice(0, FIRST))
    except (ConfigError, DataError, ProgramError):
        raise
    except Exception:  # too few rows for this program, it may be: more of them tell
        watch.begun = 0
        once(batch.slice(0, ROWS_TIMED - FIRST))
        return
    _time_more(watch, once, batch.slice(FIRST))


def _time_more(watch: _Stopwatch, once: Callable[[pa.RecordBatch], int], batch: pa.RecordBatch) -> None:
    """A longer call, or a shorter one; and where that leaves open whether calls cost or rows do, a third."""
    first, left = watch.calls[0], batch.num_rows
    most = MORE if first.seconds <= QUICK or watch.together > 1 else FEWER
    more = next((n for n in (min(most, left), min(ONE, left)) if n and watch.affords(watch.expected(n))), 0)
    if not more:
        return
    longer = watch.timed(once, batch.slice(0, more))
    second = watch.calls[1]
    unclear = second.rows > first.rows and longer / second.rows < OPEN * first.seconds / first.rows
    if unclear and longer > QUICK and batch.num_rows >= more + FIRST and watch.affords(longer):
        watch.timed(once, batch.slice(more, FIRST))


def _once(
    job: Job, call: Callable[[Any], Any], agree: Callable[..., Iterator[pa.RecordBatch]], batch: pa.RecordBatch
) -> int:
    """One call as the run would make it; how many rows it was of."""
    bounds = {name: value for name, value in job.batching.items() if value != "auto"}
    if bounds:  # the first rows may be the heaviest: no more of them at once than the run would take
        batch = next(Batcher(**bounds).batches([batch]))[0]
    rows: int = batch.num_rows
    outputs = call_program(job, call, batch, None, Tally(), Care(isolate=job.on_error == "quarantine"))
    if job.reducer.rows:
        for _ in agree(output for output, _ in outputs):
            pass
        return rows
    accumulator = job.reducer.create_accumulator()
    for value, _ in outputs:
        accumulator = partials.add(job.reducer, accumulator, value)
    if job.reducer.serializer == "safe":
        job.reducer.serialize(
            accumulator
        )  # what cannot be written is said now; NaN is left to the sub-task that it names
    return rows


def _first_rows(job: Job, fragments: Fragments, wanted: int) -> Iterator[pa.RecordBatch]:
    for i in range(len(fragments)):
        for batch in job.source.read(fragments[i], job.columns):
            yield batch.slice(0, wanted)
            wanted -= batch.num_rows
            if wanted <= 0:
                return
