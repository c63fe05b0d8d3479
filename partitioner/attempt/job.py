"""The job as workers know it: loaded from the run directory once per process, with the program built once."""

from __future__ import annotations

import inspect
import os
import pickle
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from partitioner import known_secrets
from partitioner.attempt.agreement import Agreement
from partitioner.attempt.asynchronous import Concurrency
from partitioner.attempt.batching import Batcher
from partitioner.attempt.formats import import_for
from partitioner.attempt.surroundings import TimedOut, masked_prints
from partitioner.errors import MOST_SAID, ProgramError, shortened, text_of
from partitioner.frames import on_demand
from partitioner.model import TaskInputs
from partitioner.security import masking
from partitioner.store.run_directory import RunDirectory

if TYPE_CHECKING:
    from partitioner.model.source import Sink, Source
    from partitioner.reducers.base import Reducer

on_demand()  # the first array that a worker makes must not load pandas for it

KEPT_JOBS = 2  # per process: a program may hold a large model, and two-pass jobs alternate


@dataclass(frozen=True, slots=True)
class Job:
    """Everything an attempt needs besides its own sub-task.

    ``program`` is a function of one batch, or a class built with ``arguments`` once per process whose instances are.
    Where the reducer's result are the rows themselves, the program returns one row per input row unless
    ``allow_row_change``; they come back in input order unless ``preserve_order`` is False. ``on_error`` is ``"raise"``
    or ``"quarantine"``. ``fsync`` as in ``Directory``.
    ``by_file``: a call never holds rows of two files, so that what came of one can be replaced (mode incremental).
    ``by_section``: nor of two sections (row groups) of one.
    ``names_on_disk``: columns whose values name folders on a disk in the end.
    ``concurrency`` says how an async program is called.
    ``cache_bytes``: what a process may keep of prepared partitions between rounds of ``pt.iterate``.
    ``partials_key``: what pickled partial results are signed with; it reaches workers in the sealed job alone.
    ``named``: the code that the settings name (``module:name``): ``run.json``, which is not sealed, may name no other.
    """

    program: Callable[..., Any]
    arguments: Mapping[str, Any]
    source: Source
    sink: Sink
    reducer: Reducer
    columns: tuple[str, ...] | None = None
    batch_format: str = "pandas"
    batching: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    on_error: str = "raise"
    allow_row_change: bool = False
    preserve_order: bool = True
    fsync: bool = False
    by_file: bool = False
    by_section: bool = False
    names_on_disk: tuple[str, ...] = ()
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    concurrency: Concurrency | None = None
    cache_bytes: float = 0.0
    partials_key: bytes = field(default=b"", repr=False)
    named: tuple[str, ...] = ()


@dataclass(slots=True)
class Loaded:
    """A job in this process: ``call`` is the built program; ``load_seconds`` is charged to the first attempt."""

    job: Job
    run: RunDirectory
    tasks: TaskInputs
    call: Callable[[Any], Any]
    batcher: Batcher | None
    agreement: Agreement
    load_seconds: float


@dataclass(frozen=True, slots=True)
class Built:
    """A program in this process: ``call`` it with a batch; ``seconds`` it took to import and build.

    ``pilot``: what the pilot of its run holds, by thread, until the first attempt.
    """

    job: Job
    call: Callable[[Any], Any]
    seconds: float
    pilot: dict[int, Any] = field(default_factory=dict, repr=False)


_jobs: OrderedDict[str, Loaded] = OrderedDict()
_programs: OrderedDict[str, Built] = OrderedDict()
_lock = threading.Lock()
_built = 0


def load(run_url: str, key: bytes = b"") -> Loaded:
    """The job of a run, from the run directory the first time and from memory afterwards."""
    with _lock:
        if run_url in _jobs:
            _jobs.move_to_end(run_url)
            return _jobs[run_url]
        begin = time.perf_counter()
        run = RunDirectory(run_url, key)
        job, call = _for_program(run)
        _programs[run.url].pilot.clear()
        tasks, agreement = run.read_inputs(), Agreement(run.files)
        loaded = Loaded(job, run, tasks, call, _batcher(job), agreement, time.perf_counter() - begin)
        _jobs[run_url] = loaded
        while len(_jobs) > KEPT_JOBS:
            _jobs.popitem(last=False)
        return loaded


def load_for_trial(run_url: str, key: bytes) -> tuple[Job, Callable[[Any], Any]]:
    """The job and its program before there are sub-tasks."""
    with _lock:
        return _for_program(RunDirectory(run_url, key))


def program_of(run_url: str, key: bytes = b"") -> tuple[Built, bool]:
    """The program of a run, built ahead of its first attempt, and whether that happened just now."""
    with _lock:
        if run_url in _programs:
            return _programs[run_url], False
        return _build_now(RunDirectory(run_url, key)), True


def _for_program(run: RunDirectory) -> tuple[Job, Callable[[Any], Any]]:
    """The job with the program of this process.

    The plan may have changed what is read, and in which batches, since the program was built. The rest is not unpickled
    again, which would set the state of classes that travelled by value back.
    """
    if run.url not in _programs:
        built = _build_now(run)
        return built.job, built.call
    built, planned = _programs[run.url], run.read_planned()
    return built.job if planned is None else replace(built.job, **pickle.loads(planned)), built.call


def build_before_fork(run_url: str) -> None:
    """Build the program of a run in a process that others are forked from: reading starts no thread of the store."""
    with _lock:
        run = RunDirectory(run_url)
        _build_now(run, run.read_job_plainly())


def built() -> int:
    """How many programs this process has built so far, also before it was forked."""
    return _built


def _build_now(run: RunDirectory, pickled: bytes | None = None) -> Built:
    global _built
    begin = time.perf_counter()
    job: Job = pickle.loads(run.read_job() if pickled is None else pickled)
    known_secrets.remember(job.secrets)
    masking.remember_environment(os.environ)
    import_for(job.batch_format)
    found = _programs[run.url] = Built(job, build(job.program, job.arguments), time.perf_counter() - begin)
    _built += 1
    while len(_programs) > KEPT_JOBS:
        _programs.popitem(last=False)
    return found


def _batcher(job: Job) -> Batcher | None:
    """One per process, so that sizes learned on one sub-task serve the next."""
    return Batcher(**job.batching) if job.batching else None


def forget(run_url: str) -> None:
    """Drop a job from this process, with the model it may hold."""
    with _lock:
        _jobs.pop(run_url, None)
        _programs.pop(run_url, None)


def build(program: Callable[..., Any], arguments: Mapping[str, Any]) -> Callable[[Any], Any]:
    """The callable of one batch: a class is built with ``arguments``, a function gets them with every call."""
    if inspect.isclass(program):
        try:
            with masked_prints():
                built = program(**arguments)
        except (KeyboardInterrupt, TimedOut):
            raise
        except BaseException as error:  # also SystemExit, which would end the driver without a word
            given = shortened(known_secrets.masked(repr(dict(arguments))), MOST_SAID)
            why = f"{type(error).__name__}({text_of(error)!r})"
            raise ProgramError(f"{program.__qualname__}(**{given}) failed: {why}") from error
        if not callable(built):
            raise ProgramError(f"{program.__qualname__} has no __call__; give it one that takes a batch.")
        return built
    if arguments:
        return lambda batch: program(batch, **arguments)
    return program
