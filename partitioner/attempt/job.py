"""The job as workers know it: loaded from the run directory once per process, with the program built once."""

from __future__ import annotations

import inspect
import pickle
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from partitioner import masking
from partitioner.attempt.agreement import Agreement
from partitioner.attempt.asynchronous import Concurrency
from partitioner.attempt.batching import Batcher
from partitioner.errors import ProgramError
from partitioner.frames import on_demand
from partitioner.model import SubTasks
from partitioner.run_directory import RunDirectory

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
    ``allow_row_change``. ``on_error`` is ``"raise"`` or ``"quarantine"``. ``fsync`` as in ``Directory``.
    ``concurrency`` says how an async program is called.
    ``cache_bytes``: what a process may keep of prepared partitions between rounds of ``pt.iterate``.
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
    fsync: bool = True
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    concurrency: Concurrency | None = None
    cache_bytes: float = 0.0


@dataclass(slots=True)
class Loaded:
    """A job in this process: ``call`` is the built program; ``load_seconds`` is charged to the first attempt."""

    job: Job
    run: RunDirectory
    tasks: SubTasks
    call: Callable[[Any], Any]
    batcher: Batcher | None
    agreement: Agreement
    load_seconds: float


_jobs: OrderedDict[str, Loaded] = OrderedDict()
_tried: dict[str, tuple[Job, Callable[[Any], Any]]] = {}
_lock = threading.Lock()


def load(run_url: str, key: bytes = b"") -> Loaded:
    """The job of a run, from the run directory the first time and from memory afterwards."""
    with _lock:
        if run_url in _jobs:
            _jobs.move_to_end(run_url)
            return _jobs[run_url]
        begin = time.perf_counter()
        run = RunDirectory(run_url, key)
        job, call = _tried.pop(run_url) if run_url in _tried else _built(run)
        loaded = Loaded(job, run, run.read_tasks(), call, _batcher(job), Agreement(run.files), 0.0)
        loaded.load_seconds = time.perf_counter() - begin
        _jobs[run_url] = loaded
        while len(_jobs) > KEPT_JOBS:
            _jobs.popitem(last=False)
        return loaded


def load_for_trial(run_url: str, key: bytes) -> tuple[Job, Callable[[Any], Any]]:
    """The job and its program before there are sub-tasks; the first attempt in this process need not build it again."""
    with _lock:
        _tried[run_url] = _built(RunDirectory(run_url, key))
        return _tried[run_url]


def _built(run: RunDirectory) -> tuple[Job, Callable[[Any], Any]]:
    job: Job = pickle.loads(run.read_job())
    masking.remember(job.secrets)
    return job, build(job.program, job.arguments)


def _batcher(job: Job) -> Batcher | None:
    """One per process, so that sizes learned on one sub-task serve the next."""
    return Batcher(**job.batching) if job.batching else None


def forget(run_url: str) -> None:
    """Drop a job from this process, with the model it may hold."""
    with _lock:
        _jobs.pop(run_url, None)
        _tried.pop(run_url, None)


def build(program: Callable[..., Any], arguments: Mapping[str, Any]) -> Callable[[Any], Any]:
    """The callable of one batch: a class is built with ``arguments``, a function gets them with every call."""
    if inspect.isclass(program):
        try:
            built = program(**arguments)
        except Exception as error:
            raise ProgramError(f"{program.__qualname__}(**{dict(arguments)!r}) failed: {error!r}") from error
        if not callable(built):
            raise ProgramError(f"{program.__qualname__} has no __call__; give it one that takes a batch.")
        return built
    if arguments:
        return lambda batch: program(batch, **arguments)
    return program
