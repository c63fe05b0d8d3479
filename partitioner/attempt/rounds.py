"""What a worker does in one round of ``pt.iterate``: its partition, kept from earlier rounds, and the state to a partial."""

from __future__ import annotations

import inspect
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import pyarrow as pa

from partitioner.attempt.formats import FORMATS, table_to_batch
from partitioner.attempt.job import Loaded
from partitioner.attempt.returned import is_stream
from partitioner.attempt.surroundings import guest
from partitioner.attempt.tally import Tally
from partitioner.attempt.work import read, runs_of
from partitioner.model import Attempt, Event, EventKind, Partial
from partitioner.reducers import partials
from partitioner.reducers.container import unpack
from partitioner.reducers.trees import copied

INLINE_BYTES = 256 * 1024
"""A partial up to this size travels with its event; a larger one would crowd the scheduler and goes to a file."""

KEPT_STATES = 2  # this round's, and that of the round before, which a late attempt may still need


class RoundProgram(ABC):
    """A program of ``pt.iterate`` that does its preparation once: subclass it and write ``__call__(data, state)``."""

    def prepare(self, batch: Any) -> Any:
        """What a round needs of a partition (a matrix, tensors on a device), kept on the worker between rounds."""
        return batch

    @abstractmethod
    def __call__(self, data: Any, state: Any) -> Any:
        """The partial result of one partition in one round, which the reducer merges.

        ``state`` is this call's own. ``data`` is kept for the next round as this call leaves it, unless its worker dies or
        there is no room for it: change nothing in it that a later round would see.
        """


@dataclass(slots=True)
class _Partition:
    data: Any
    rows: int
    bytes: int


class Kept:
    """What this process keeps between rounds: partitions up to a bound on their bytes, and the newest states.

    Partitions are visited in turns, where dropping the oldest would drop each just before its turn: so what does not fit is
    read again each round, and what is kept stays.
    """

    def __init__(self) -> None:
        self.partitions: dict[tuple[str, int], _Partition] = {}
        self.states: dict[tuple[str, int], Any] = {}
        self.calls: dict[str, Callable[[Any, Any], Any]] = {}
        self.lock = threading.Lock()

    def bytes_of(self, run_url: str) -> int:
        """What the partitions of a run hold."""
        return sum(p.bytes for (url, _), p in self.partitions.items() if url == run_url)

    def forget_others(self, run_url: str) -> None:
        """Only one iteration is kept: a new one takes the memory of the last."""
        for held in (self.partitions, self.states):
            for key in [k for k in held if k[0] != run_url]:
                del held[key]
        for url in [u for u in self.calls if u != run_url]:
            del self.calls[url]


_kept = Kept()


def forget() -> None:
    """Drop what this process keeps of any iteration."""
    with _kept.lock:
        _kept.forget_others("")


def run_round(attempt: Attempt, loaded: Loaded) -> Event:
    """One partition, one round. Raises what the program raises."""
    began = time.perf_counter()
    state = _state(attempt, loaded)
    call = _call(attempt.run_url, loaded)
    with guest(attempt, loaded.job.seed + (attempt.round << 32)):
        partition = _partition(attempt, loaded, call)
        loading = time.perf_counter() - began
        reducer = loaded.job.reducer
        accumulator = reducer.create_accumulator()
        if partition.rows:
            value = call(partition.data, copied(state))  # a program that changes its own changes no other's
            for item in value if is_stream(value) else (value,):
                accumulator = partials.add(reducer, accumulator, item)
        data = partials.dumps(reducer, accumulator, loaded.job.partials_key)
    seconds = time.perf_counter() - began - loading
    return _event(attempt, loaded, Partial(attempt.round, attempt.task, partition.rows, seconds, loading, data))


def _event(attempt: Attempt, loaded: Loaded, found: Partial) -> Event:
    if len(found.data) > INLINE_BYTES:
        name = f"rounds/{attempt.round:06d}-{attempt.task_key}-{attempt.number}.partial"
        loaded.run.files.put(name, found.data)
        found = Partial(found.round, found.task, found.rows, found.seconds, found.load_seconds, name=name)
    return Event(EventKind.FINISHED, attempt.attempt_id, attempt.worker_id, partial=found)


def state_name(number: int) -> str:
    """The file of the state that a round starts from."""
    return f"rounds/{number:06d}.state"


def resumed_by(run_id: str) -> str:
    """How rounds go on: their state and update are of the call that made them, and no directory holds those."""
    return f"the same call with resume={run_id!r} (of a job: --resume {run_id})"


def _state(attempt: Attempt, loaded: Loaded) -> Any:
    """The state of the round, read by the first attempt of this process that needs it."""
    key = (attempt.run_url, attempt.round)
    with _kept.lock:
        if key not in _kept.states:
            _kept.forget_others(attempt.run_url)
            _kept.states[key] = unpack(loaded.run.files.get(state_name(attempt.round)))
            for old in [k for k in _kept.states if k[1] <= attempt.round - KEPT_STATES]:
                del _kept.states[old]
        return _kept.states[key]


def _call(run_url: str, loaded: Loaded) -> Callable[[Any, Any], Any]:
    """The program of two arguments: a class is built once per process, a function gets the job's arguments as keywords."""
    job = loaded.job
    if inspect.isclass(job.program):
        return loaded.call  # type: ignore[return-value]
    with _kept.lock:
        return _kept.calls.setdefault(run_url, partial(job.program, **job.arguments))


def _partition(attempt: Attempt, loaded: Loaded, call: Any) -> _Partition:
    """The prepared rows of the sub-task, from memory where they are kept."""
    key = (attempt.run_url, attempt.task)
    with _kept.lock:
        if key in _kept.partitions:
            return _kept.partitions[key]
    rows = [b for run in runs_of(loaded.tasks, attempt.task, True) for b in read(loaded, run, Tally()) if b.num_rows]
    found = _Partition(None, 0, 0)
    if rows:
        batch = table_to_batch(pa.Table.from_batches(rows))
        data = FORMATS[loaded.job.batch_format](batch)
        data = call.prepare(data) if isinstance(call, RoundProgram) else data
        found = _Partition(data, batch.num_rows, _size(data))
    with _kept.lock:
        if _kept.bytes_of(attempt.run_url) + found.bytes <= loaded.job.cache_bytes:
            _kept.partitions.setdefault(key, found)
    return found


def _size(data: Any) -> int:
    """Bytes of prepared data; of an object of the user's own, those of its attributes."""
    from dask.sizeof import sizeof

    inner = [getattr(data, "__dict__", None) or data]
    return int(sizeof(data) if inner[0] is data else max(sizeof(data), sizeof(inner[0])))
