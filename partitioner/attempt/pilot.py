"""The pilot as a worker runs it: its share of the pieces, with the run's own program, in the surroundings of an attempt."""

from __future__ import annotations

import os
import socket
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from partitioner.attempt import garbage
from partitioner.attempt.asynchronous import rows_together
from partitioner.attempt.concurrent import call_concurrently
from partitioner.attempt.formats import FORMATS
from partitioner.attempt.job import Job, build, program_of
from partitioner.attempt.returned import is_stream
from partitioner.attempt.surroundings import guest, kept_prints
from partitioner.attempt.trial import wait_for_trial
from partitioner.costs.measuring.measurements import Timing
from partitioner.costs.measuring.runner import InProcess
from partitioner.errors import CostError
from partitioner.measure import resident_bytes
from partitioner.model import Attempt, Dataset, Fragments
from partitioner.model.data import Ints


def pilot_program(job: Job, built: Callable[[Any], Any] | None = None) -> Callable[[], Callable[[pa.RecordBatch], Any]]:
    """A factory of the job's program, built when first called; reducers are not part of what is measured."""

    def make() -> Callable[[pa.RecordBatch], Any]:
        call, convert = built or build(job.program, job.arguments), FORMATS[job.batch_format]
        attempt = Attempt("pilot", -1, 0, "driver", "")

        def program(batch: pa.RecordBatch) -> Any:
            with kept_prints(), guest(attempt, job.seed):
                if job.concurrency is not None:
                    return call_concurrently(call, job.concurrency, job.batch_format, batch, isolate=False)
                value = call(convert(batch))
                if is_stream(value):
                    deque(value, maxlen=0)  # it works as it is read
                return value

        return program

    return make


@dataclass(frozen=True, slots=True)
class Loaded:
    """A process that holds the program: ``seconds`` this call took to import and build it, bytes resident afterwards."""

    process: str
    seconds: float
    memory_bytes: float


def loaded(index: int, count: int, run_url: str, key: bytes) -> Loaded:
    """In a slot: build the program now rather than on its first sub-task. Raises what building it raises."""
    built, now = program_of(run_url, key)
    garbage.settle()
    return Loaded(_process(), built.seconds if now else 0.0, float(resident_bytes()))


def _process() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """One round of a pilot: ``order`` indices into ``pieces``, repeats allowed; ``parents`` the fragments they are of.

    ``sizes``: how many of these each call is of, None for one. ``traced``: allocations may be traced, for no two slots share
    a process.
    """

    pieces: Fragments
    parents: Fragments
    order: Ints
    traced: bool = False
    sizes: Ints | None = None

    def share(self, index: int, count: int) -> tuple[Fragments, Ints | None]:
        """The pieces of every ``count``-th call from the ``index``-th, and how many each is of."""
        if self.sizes is None:
            return self.pieces.take(self.order[index::count]), None
        mine = np.arange(len(self.sizes)) % count == index
        return self.pieces.take(self.order[np.repeat(mine, self.sizes)]), self.sizes[mine]


@dataclass(frozen=True, slots=True)
class Share:
    """What one slot did: ``timings`` of its pieces as far as the seconds went, None where the program failed.

    ``process`` names the process; ``error`` is the first failure, with the rows it happened on.
    """

    index: int
    count: int
    process: str
    timings: tuple[Timing | None, ...]
    error: str = ""


def run_share(index: int, count: int, run_url: str, key: bytes, asked: Asked, seconds: float) -> Share:
    """On a worker: every ``count``-th of the calls asked for, from the ``index``-th, within ``seconds``."""
    process = _process()
    built, _ = program_of(run_url, key)
    runner = built.pilot.get(threading.get_ident())  # a row group that several rounds read from is decoded once
    if runner is None:
        columns = None if built.job.columns is None else list(built.job.columns)
        runner = built.pilot[threading.get_ident()] = InProcess(
            pilot_program(built.job, built.call),
            columns,
            traced=asked.traced,
            between=garbage.settle,
            together=rows_together(built.job.concurrency),
        )
    mine, sizes = asked.share(index, count)
    if not len(mine):
        return Share(index, count, process, ())
    wait_for_trial()
    try:
        timings = runner(Dataset(built.job.source, asked.parents), mine, seconds, sizes)
    except CostError as error:
        return Share(index, count, process, (None,) * len(mine if sizes is None else sizes), str(error))
    return Share(index, count, process, tuple(timings))
