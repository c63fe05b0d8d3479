"""Results of sub-tasks of a pipeline: how they are kept, and how they are read again."""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import cloudpickle
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from partitioner.errors import ConfigError, DataError, ProgramError, RunFailed, nearest
from partitioner.model.source import Sink
from partitioner.reducers.base import Reducer
from partitioner.reducers.container import pack, unpack
from partitioner.reducers.partials import ACCUMULATOR
from partitioner.security.sealing import seal, unseal
from partitioner.storage import Directory


@dataclass(frozen=True, slots=True)
class Made:
    """What a sub-task ``key`` left: ``data`` is ``safe`` (packed), ``pickle`` (sealed) or ``partial`` (a reducer's)."""

    key: str
    kind: str
    data: Any

    def value(self, secret: bytes) -> Any:
        """The result. Raises Tampered for a pickle that was not sealed with the run's key: nothing of it is loaded."""
        if self.kind != "pickle":
            return unpack(self.data)
        return pickle.loads(unseal(bytes(self.data), secret, f"the result of sub-task {self.key}"))


def encoded(key: str, value: Any, serializer: str, secret: bytes) -> Made:
    """A result on its way to the run directory, a pickle sealed with the key of the run.

    ProgramError naming the step whose result only pickle could write.
    """
    if serializer == "pickle":
        return Made(key, "pickle", seal(cloudpickle.dumps(value), secret))
    try:
        return Made(key, "safe", pack(value))
    except ConfigError as error:
        step = key.rpartition("-")[0]
        raise ProgramError(f"step {step!r}: {error} Of a step that is: serializer='pickle'.") from error


class Kept(Reducer):
    """Keeps what sub-tasks made where they wrote it: the driver merges names, and reads a result when it is asked for."""

    name = "steps"
    commutative = True
    exact = True
    mergeable = True
    whole_task = True
    gathers = True
    allows_nan = True  # a step's own reducer says whether its partial results may hold NaN

    def create_accumulator(self) -> Any:
        """Nothing."""
        return {}

    def add_input(self, accumulator: Any, value: Made) -> Any:
        """With one result."""
        return {**accumulator, value.key: (value.kind, np.frombuffer(value.data, np.uint8))}

    def merge_accumulators(self, left: Any, right: Any) -> Any:
        """Both."""
        return {**left, **right}

    def extract_output(self, accumulator: Any) -> Any:
        """The kind of each result, by key."""
        return dict(sorted(accumulator.items()))

    def deserialize(self, data: bytes) -> Any:
        """Names and kinds; the results stay in their files."""
        return {key: kind for key, (kind, _) in unpack(data).items()}


def read_made(sink: Sink, key: str) -> Made:
    """The committed result of a sub-task. RunFailed where it is gone or damaged."""
    facts = sink.committed(key)
    if facts is None:
        raise RunFailed(f"the result of sub-task {key} is gone from {sink.url}; resume the run, which makes it again.")
    file = pa.BufferReader(Directory(sink.url).get(facts["path"]))
    try:
        table = pq.ParquetFile(file, pre_buffer=False, page_checksum_verification=True).read(use_threads=False)
        (kind, data) = unpack(table[ACCUMULATOR][0].as_buffer())[key]
    except (OSError, KeyError, DataError) as error:
        raise RunFailed(
            f"the result of sub-task {key} in {sink.url}/{facts['path']} is damaged ({error}); remove it, and resume."
        ) from error
    return Made(key, kind, memoryview(data))


class Results(Mapping[str, Any]):
    """Step to its result, read when it is asked for: a table of rows (Arrow), or the value that it merged or returned."""

    def __init__(self, read: Any, names: tuple[str, ...]) -> None:
        self._read, self._names = read, names

    def __getitem__(self, name: str) -> Any:
        if name not in self._names:
            close = nearest(name, list(self._names))
            raise ConfigError(f"there is no step {name!r}; there are {', '.join(self._names)}.{close}")
        return self._read(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __repr__(self) -> str:
        return f"<Results of {', '.join(self._names)}>"
