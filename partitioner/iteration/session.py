"""One iteration: a run directory whose rounds are commits, a placed dataset, and an engine that keeps it between rounds.

    rounds/<n>.state     the state that round n starts from, by conditional create; workers read it once per process
    rounds/<n>.merged    the commit of round n, by conditional create: digest of that state, merged accumulator, seconds

A resume repeats the same rounds: each that is committed is answered from its file, after its state was seen to be the same.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from math import floor, isfinite
from typing import Any

import numpy as np

from partitioner import program as programs
from partitioner.attempt.job import Job
from partitioner.attempt.job import forget as forget_job
from partitioner.attempt.rounds import forget, resumed_by, state_name
from partitioner.config import RunConfig
from partitioner.coordinator.driver import drive
from partitioner.coordinator.execute import policy_for
from partitioner.coordinator.state import initial
from partitioner.engines.base import Engine
from partitioner.errors import ConfigError, DataError, ResumeRefused, RunFailed
from partitioner.iteration.merging import RoundEngine
from partitioner.model import Event, EventKind, Plan, Worker, Workers
from partitioner.reducers import partials
from partitioner.reducers.container import pack, unpack
from partitioner.runs import resume as resuming
from partitioner.stages import start as starting
from partitioner.stages import steps as stages
from partitioner.stages.resolved import Resolved, resolve
from partitioner.store.run_directory import RunDirectory, new_run_id

CACHE_SHARE = 0.4
"""Of a slot's memory that may hold prepared partitions: Dask spills and pauses above 0.6 and 0.8 of a worker's."""

CACHE_BYTES = 2.0**30  # where the engine does not say how much memory its workers have


@dataclass(frozen=True, slots=True)
class Round:
    """One committed round: ``rows`` seen, wall ``seconds``, ``load_seconds`` all workers spent reading; ``loss`` if known.

    ``replayed``: it was committed by an earlier session and only read again.
    """

    number: int
    rows: int
    seconds: float
    load_seconds: float
    loss: float | None = None
    replayed: bool = False


class Session:
    """Call it with a state, once per round: it gives the merged output of the partials that the program made of it."""

    def __init__(self, config: RunConfig, engine: Engine, planned: Plan, directory: RunDirectory, job: Job) -> None:
        self.config, self.engine, self.plan, self.directory, self.job = config, engine, planned, directory, job
        self.number = 0
        self.rounds: list[Round] = []
        self._keys: list[str] = planned.tasks.task_id.to_pylist()
        self._numbers: dict[int, int] = {}
        self._news: list[Event] = []

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Drop what this process keeps."""
        forget()
        forget_job(self.directory.url)

    def __call__(self, state: Any) -> Any:
        """One round. Raises what a run raises; ResumeRefused where a committed round began from another state."""
        number, data = self.number, pack(state)
        digest = hashlib.sha256(data).hexdigest()
        known = self._committed(number)
        if known is None:
            self._broadcast(number, data)
            known = self._commit(number, self._run(number, digest))
        if known["state"] != digest:
            raise ResumeRefused(
                f"round {number} of {self.directory.run_id} began from another state than it has now: the state given, the "
                "update or its arguments changed, or the update does not give the same twice. Undo it, or start anew."
            )
        if number == 0 and not known["rows"]:
            raise DataError(
                "the dataset has no rows, so that there is nothing to make a round of; check its path and filter."
            )
        self.number += 1
        self.rounds.append(
            Round(number, known["rows"], known["seconds"], known["load_seconds"], None, known["replayed"])
        )
        accumulator = partials.loads(self.job.reducer, known["accumulator"], f"round {number}", self.job.partials_key)
        return partials.extracted(self.job.reducer, accumulator)

    def note_loss(self, loss: float | None) -> None:
        """The loss of the round that was run last."""
        self.rounds[-1] = replace(self.rounds[-1], loss=loss)

    def _committed(self, number: int) -> dict[str, Any] | None:
        try:
            return {**unpack(self.directory.files.get(_merged_name(number))), "replayed": True}
        except FileNotFoundError:
            return None

    def _broadcast(self, number: int, data: bytes) -> None:
        """The state where every worker reads it; the one of a driver that died in this round must be the same."""
        files, name = self.directory.files, state_name(number)
        if not files.put_new(name, data) and files.get(name) != data:
            raise ResumeRefused(
                f"round {number} of {self.directory.run_id} began from another state than it has now: the update does not "
                "give the same twice, or another driver is at work. Start anew, or stop the other driver."
            )

    def _run(self, number: int, digest: str) -> dict[str, Any]:
        began = time.perf_counter()
        engine = RoundEngine(self.engine, number, self.job, self._keys, self.directory.files, self._news)
        state = initial(
            self.plan,
            self.directory.url,
            replace(policy_for(self.config, self.engine), go_on=resumed_by(self.directory.run_id)),
            seconds_known=False,
            first_numbers=self._numbers,
            key=self.directory.key,
            awaited=self._absent(),
        )
        state.may_replace = False  # a partition that moves is read again, so it moves only when its worker is lost
        state.richest.clear()
        state = drive(engine, state, [], engine.clock)
        self._numbers = dict(state.numbers)
        there = [held.worker for name, held in state.workers.items() if name not in state.awaited]
        self.plan, self._news = succeeded(self.plan, there)
        return {
            "state": digest,
            "accumulator": partials.dumps(self.job.reducer, engine.accumulator, self.job.partials_key),
            "rows": engine.rows,
            "seconds": time.perf_counter() - began,
            "load_seconds": engine.load_seconds,
        }

    def _absent(self) -> frozenset[str]:
        """Workers of the plan that have not answered yet, or are known to be gone: nothing is given to them."""
        gone = frozenset(event.worker_id for event in self._news if event.kind is EventKind.WORKER_LOST)
        return gone if self.engine.late is None else gone | self.engine.late.waiting

    def _commit(self, number: int, found: dict[str, Any]) -> dict[str, Any]:
        """What counts is in the file; another driver that was faster must have found the same."""
        if not self.directory.files.put_new(_merged_name(number), pack(found)):
            winner = self._committed(number)
            if winner is None or winner["accumulator"] != found["accumulator"]:
                raise RunFailed(
                    f"another driver committed round {number} of {self.directory.run_id} with another result; stop it, and "
                    "resume."
                )
        return {**found, "replayed": False}


def succeeded(planned: Plan, there: Sequence[Worker]) -> tuple[Plan, list[Event]]:
    """The plan with each worker that went away succeeded by one that came, and what the next round hears of the others.

    Without a successor the partitions would all wait for whoever is free first, in every round.
    """
    names = set(planned.workers.worker_id)
    staying = {worker.worker_id for worker in there}
    fresh = [worker for worker in there if worker.worker_id not in names]
    gone = [name for name in planned.workers.worker_id if name not in staying]
    heirs = dict(zip(gone, fresh, strict=False))
    if heirs:
        before = (planned.workers[i] for i in range(len(planned.workers)))
        planned = replace(planned, workers=Workers.of(heirs.get(w.worker_id, w) for w in before))
    left = [Event(EventKind.WORKER_LOST, worker_id=name) for name in gone[len(heirs) :]]
    more = fresh[len(heirs) :]
    return planned, left + [Event(EventKind.WORKER_JOINED, worker_id=w.worker_id, worker=w) for w in more]


def _merged_name(number: int) -> str:
    return f"rounds/{number:06d}.merged"


@contextmanager
def opened(config: RunConfig, resume: str | None, cache: float | None) -> Iterator[Session]:
    """A session on a new run directory, or on that of an earlier one, with every check of a run made before."""
    if config.dataset is None or config.program is None:
        raise ConfigError("rounds need a dataset and a program; give both.")
    parts = resolve(config, programs.A_ROUND)
    if parts.reducer.rows:
        raise ConfigError(
            f"reducer {parts.reducer.name!r} keeps rows, and a round merges partial results into one; use "
            "reducer='tree_sum', or another that merges."
        )
    with ExitStack() as closing:
        begun = _begun(parts, cache, closing) if resume is None else _resumed(parts, resume, cache, closing)
        yield closing.enter_context(begun)


@contextmanager
def _begun(parts: Resolved, cache: float | None, closing: ExitStack) -> Iterator[Session]:
    directory = RunDirectory(f"{parts.config.checkpoint}/{new_run_id()}")
    with directory.discarded_unless_claimed():
        described = stages.describe(parts, directory)
        # No pilot: what a round costs depends on a state, and partitions of equal bytes are what rounds want.
        costed = replace(stages.cost(parts, replace(described, job=None)), job=described.job)
        engine = closing.enter_context(parts.engine.opened())
        workers = engine.workers()
        work = stages.split(_one_per_slot(parts, workers), costed, workers)
        assert work.job is not None, "an iteration has a program"
        job = replace(work.job, cache_bytes=_cache_bytes(cache, workers))
        planned = stages.explained(parts, stages.place(parts, work.tasks, workers), work, {})
        stages.write_job(directory, job)
        _proven(parts.config, engine, directory, closing)
        stages.claim(parts.config, directory, job, planned)
        with Session(parts.config, engine, planned, directory, job) as session:
            yield session


@contextmanager
def _resumed(parts: Resolved, resume: str, cache: float | None, closing: ExitStack) -> Iterator[Session]:
    directory = resuming.find_run(parts.config, resume)
    dataset, _ = parts.splitter.prepare(stages.describe(parts, directory).dataset)
    job = stages.make_job(parts, dataset, directory)
    resuming.check_unchanged(parts.config, directory, job)
    engine = closing.enter_context(parts.engine.opened())
    workers = engine.workers()
    job = replace(job, cache_bytes=_cache_bytes(cache, workers))
    stages.write_job(directory, job)
    planned = stages.place(parts, directory.read_tasks(), workers)
    _proven(parts.config, engine, directory, closing)
    with Session(parts.config, engine, planned, directory, job) as session:
        yield session


def _proven(config: RunConfig, engine: Engine, directory: RunDirectory, closing: ExitStack) -> None:
    """Every slot proves itself and builds the program, as before a run; workers that are slow to answer join later."""
    starting.start(config, engine, directory, measures=False)
    closing.callback(starting.forget_late, engine)


def _one_per_slot(parts: Resolved, workers: Workers) -> Resolved:
    """Rounds are short and data stays where it is: one partition per slot, unless the user says otherwise."""
    config = parts.config
    if any(value is not None for value in (config.max_tasks, config.target_task_seconds, config.min_tasks_per_slot)):
        return parts
    slots = max(1, int(np.floor(workers.cpus / config.task_cpus).sum()))
    return replace(parts, config=config.model_copy(update={"max_tasks": slots}))


def _cache_bytes(cache: float | None, workers: Workers) -> float:
    if cache is not None:
        return cache
    slots = [w.memory_bytes / max(1, floor(w.cpus)) for w in (workers[i] for i in range(len(workers)))]
    least = min(slots, default=CACHE_BYTES)
    return least * CACHE_SHARE if isfinite(least) else CACHE_BYTES
