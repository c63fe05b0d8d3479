"""The trial before the run: the first rows through the program on one worker; what is wrong with it is said at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pyarrow as pa

from partitioner.attempt.agreement import Agreement, agreed
from partitioner.attempt.batching import Batcher
from partitioner.attempt.calling import call_program
from partitioner.attempt.formats import table_to_batch
from partitioner.attempt.job import Job, load_for_trial
from partitioner.attempt.surroundings import guest, kept_prints
from partitioner.attempt.tally import Tally
from partitioner.errors import ConfigError, DataError, OutOfReach, ProgramError
from partitioner.model import Attempt, Care, Fragments
from partitioner.reducers import partials
from partitioner.store.run_directory import RunDirectory

CLAIM = "trial.claim"

NO_ROWS = "(no rows)"
"""Stands for the sub-task that first returned a column, where none had rows."""

_running: list[threading.Thread] = []


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
) -> str:
    """On a worker; of several that are asked the first to create the claim. Why no run can succeed, else nothing.

    The ``rows`` are the first of ``fragments``, those of sub-task ``task_key``. They settle the output's schema. Errors that
    a row, a machine or the moment may be to blame for say nothing here, nor does a program that takes longer than ``wait``
    seconds: the run has its own answer to them. ``alone``: the program is then not called by a second thread meanwhile.
    """
    run = RunDirectory(run_url, key)
    if not run.files.put_new(CLAIM, b""):
        return ""
    told: list[str | BaseException] = []

    def tell() -> None:
        try:
            told.append(_told(run, key, fragments, task_key, rows))
        except BaseException as error:  # handed to the caller, whose thread it would have ended
            told.append(error)

    thread = threading.Thread(target=tell, daemon=True)
    thread.start()
    thread.join(wait)
    _running[:] = [thread] if alone else []
    answer = told[0] if told else ""
    if isinstance(answer, BaseException):
        if isinstance(answer, SystemExit):
            return ""  # the program left; the run tells it as an error of the program
        raise answer
    return answer


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


def _told(run: RunDirectory, key: bytes, fragments: Fragments, task_key: str, rows: int) -> str:
    try:
        with kept_prints(), guest(Attempt("trial", -1, 0, "", run.url), 0):
            job, call = load_for_trial(run.url, key)
            _try(job, call, partial(agreed, agreement=Agreement(run.files), who=task_key), fragments, rows)
    except OutOfReach:
        return ""  # it may be this worker's disk: the run tries another
    except (ConfigError, DataError, ProgramError) as error:
        return f"{type(error).__name__}: {error}"
    except Exception:
        return ""  # told by the run, which retries, isolates rows and keeps the traceback
    return ""


def _try(
    job: Job,
    call: Callable[[Any], Any],
    agree: Callable[..., Iterator[pa.RecordBatch]],
    fragments: Fragments,
    rows: int,
) -> None:
    batches = list(_first_rows(job, fragments, rows))
    if not batches or job.reducer.whole_task:  # a model cannot be fitted to a few rows
        return
    batch = table_to_batch(pa.Table.from_batches(batches))
    bounds = {name: value for name, value in job.batching.items() if value != "auto"}
    if bounds:  # the first rows may be the heaviest: no more of them at once than the run would take
        batch = next(Batcher(**bounds).batches([batch]))[0]
    outputs = call_program(job, call, batch, None, Tally(), Care(isolate=job.on_error == "quarantine"))
    if job.reducer.rows:
        for _ in agree(output for output, _ in outputs):
            pass
        return
    accumulator = job.reducer.create_accumulator()
    for value, _ in outputs:
        accumulator = partials.add(job.reducer, accumulator, value)
    if job.reducer.serializer == "safe":
        job.reducer.serialize(
            accumulator
        )  # what cannot be written is said now; NaN is left to the sub-task that it names


def _first_rows(job: Job, fragments: Fragments, wanted: int) -> Iterator[pa.RecordBatch]:
    for i in range(len(fragments)):
        for batch in job.source.read(fragments[i], job.columns):
            yield batch.slice(0, wanted)
            wanted -= batch.num_rows
            if wanted <= 0:
                return
