"""Accumulators on their way: from a worker to a file or the driver, checked on both sides and named by their sub-task."""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from typing import Any

import cloudpickle
import numpy as np
import pyarrow as pa

from partitioner.errors import (
    ConfigError,
    DamagedOutput,
    DataError,
    PartitionerError,
    ProgramError,
    RunFailed,
    clause,
    listed,
    nearest,
)
from partitioner.frames import is_frame
from partitioner.model import Failure, Piece, Sink
from partitioner.reducers.base import Reducer
from partitioner.reducers.container import poison_in, views
from partitioner.reducers.tree import MergeTree
from partitioner.security.sealing import with_signature, without_signature

UNTAKEN = (AttributeError, KeyError, TypeError)
"""What code raises that is given another kind of value than it was written for: no retry mends that."""

SERIALIZERS = ("safe", "pickle")
ACCUMULATOR = "accumulator"
"""The column of partial results in the files of reducers whose result are no rows."""


def check_serializer(reducer: Reducer) -> None:
    """ConfigError for a serializer that is neither of the two."""
    if reducer.serializer not in SERIALIZERS:
        raise ConfigError(
            f"serializer is {reducer.serializer!r}; it is 'safe' (data only) or 'pickle'."
            f"{nearest(str(reducer.serializer), list(SERIALIZERS))}"
        )


def add(reducer: Reducer, accumulator: Any, value: Any) -> Any:
    """``add_input``, with None refused: it is what a program returns that forgets to return."""
    if value is None:
        raise ProgramError(
            f"the program returned None; {reducer.name or type(reducer).__name__} needs a value from every call. "
            "Return one, or use reducer='concat' with allow_row_change=True for a program that keeps no rows."
        )
    try:
        return reducer.add_input(accumulator, value)
    except UNTAKEN as error:
        raise ProgramError(untaken(reducer, error, f"what the program returned, {a_kind(value)}")) from error


def untaken(reducer: Reducer, error: Exception, what: str) -> str:
    """What is said of a reducer whose ``add_input`` was not written for ``what`` it is given."""
    why = Failure.of(error)
    return (
        f"the reducer {reducer.name or type(reducer).__name__!r} cannot take {what}: {why.type}: {clause(error)}. "
        f"{why.place}Return what its add_input takes, or write add_input for this."
    )


def a_kind(value: Any) -> str:
    """A value in a few words: its type, and its columns where it has some."""
    if isinstance(value, pa.Table | pa.RecordBatch):
        names: list[Any] | None = value.schema.names
    else:
        names = list(value) if isinstance(value, dict) or is_frame(value) else None
    of = "" if names is None else f" with columns {listed(names) or 'none'}"
    return f"a {type(value).__module__.partition('.')[0]}.{type(value).__qualname__}{of}".replace("a builtins.", "a ")


def dumps(reducer: Reducer, accumulator: Any, key: bytes = b"") -> bytes:
    """An accumulator as bytes. Raises ProgramError where it holds NaN and the reducer does not allow that.

    ``key``: what a pickle is signed with, the ``partials_key`` of the job; nothing loads one that has none.
    """
    if not reducer.allows_nan and (place := poison_in(accumulator)) is not None:
        place = place.replace("value", "its accumulator", 1)
        raise ProgramError(
            f"NaN reached the reducer {reducer.name or type(reducer).__name__!r} ({place}). One NaN makes the whole result "
            "NaN. Drop or fill missing values in the program, or let them through: nan='propagate' where the reducer has "
            "that option, allows_nan = True on one of your own."
        )
    if reducer.serializer == "pickle":
        return with_signature(cloudpickle.dumps(accumulator), key)
    data = reducer.serialize(accumulator)
    if not isinstance(data, bytes | bytearray | memoryview | pa.Buffer):
        raise ConfigError(
            f"serialize of the reducer {reducer.name or type(reducer).__name__!r} returned {type(data).__name__}; it "
            "returns bytes. Without serialize and deserialize, plain values and arrays are written as data."
        )
    return data


def loads(reducer: Reducer, data: Any, task_key: str, key: bytes = b"", view: bool = False) -> Any:
    """The accumulator of sub-task ``task_key``. RunFailed names the sub-task whose bytes are torn, foreign or NaN.

    ``key`` as in ``dumps``: Tampered for a pickle that was not signed with it, of which nothing is loaded.
    ``view``: its arrays may lie in ``data`` and cannot be written.
    """
    own = type(reducer).deserialize is not Reducer.deserialize  # one of the reducer's own is promised bytes
    try:
        if reducer.serializer == "pickle":
            return pickle.loads(without_signature(data, key, f"the partial result of sub-task {task_key}"))
        with views(view):
            accumulator = reducer.deserialize(bytes(data) if own else data)
    except (DataError, pickle.UnpicklingError, EOFError) as error:
        raise RunFailed(f"the partial result of sub-task {task_key} cannot be read: {error}") from error
    if not reducer.allows_nan and (place := poison_in(accumulator)) is not None:
        raise RunFailed(
            f"the partial result of sub-task {task_key} holds NaN ({place}), which its attempt did not write; the file was "
            "changed. Remove it with its commit record, and resume."
        )
    return accumulator


@contextmanager
def merging(reducer: Reducer) -> Iterator[None]:
    """Within, what a reducer raises where it merges or makes the result becomes RunFailed, with what to do."""
    try:
        yield
    except (PartitionerError, MemoryError):
        raise
    except Exception as error:
        why = Failure.of(error)
        name = reducer.name or type(reducer).__name__
        raise RunFailed(
            f"the reducer {name!r} failed while it merged partial results, or made the result of them: "
            f"{why.type}: {clause(error)}. {why.place}All partial results stay. Mend the reducer and resume; --force lets a "
            "resume take its new code."
        ) from error


def extracted(reducer: Reducer, accumulator: Any) -> Any:
    """The result. RunFailed where the reducer fails to make it."""
    with merging(reducer):
        return reducer.extract_output(accumulator)


def as_rows(values: Sequence[bytes]) -> pa.RecordBatch:
    """Accumulators as the rows of a file; a single one is not copied."""
    if len(values) == 1:
        ends = pa.py_buffer(np.array([0, len(values[0])], np.int64))
        column = pa.Array.from_buffers(pa.large_binary(), 1, [None, ends, pa.py_buffer(values[0])])
    else:
        column = pa.array(values, pa.large_binary())
    return pa.RecordBatch.from_arrays([column], [ACCUMULATOR])


def read(sink: Sink, pieces: Sequence[Piece]) -> list[Any]:
    """The bytes of partial results of one file. RunFailed names the sub-task whose file is gone, torn or another."""
    piece = pieces[0]
    again = f"Remove {piece.url} with the commit record of {piece.key}, and resume."
    try:
        there = sink if sink.url == piece.place else sink.beside(piece.place)
        found, facts = there.partials(piece.name, [p.row for p in pieces])
    except FileNotFoundError as error:
        raise RunFailed(
            f"the partial result of sub-task {piece.key} is gone: there is no {piece.url}. {again}"
        ) from error
    except DamagedOutput as error:
        raise RunFailed(
            f"the partial result of sub-task {piece.key} cannot be read: {clause(error)}. {again}"
        ) from error
    for what, wanted in (("digest", piece.digest), ("of", piece.of)):
        if wanted and facts.get(what) != wanted:
            raise RunFailed(
                f"the partial result of sub-task {piece.key} is not the one that was committed: {piece.url} says "
                f"{what} {str(facts.get(what))[:12]}, the commit {wanted[:12]}. {again}"
            )
    return found


def stored(reducer: Reducer, sink: Sink, piece: Piece, key: bytes = b"") -> Any:
    """The accumulator in a committed file. RunFailed as ``read``, and for NaN; Tampered as ``loads``."""
    return loads(reducer, read(sink, [piece])[0], piece.key, key)


def merged(reducer: Reducer, sink: Sink, pieces: Sequence[Piece], key: bytes = b"") -> Any:
    """Pieces read file by file, and merged in the tree that their number fixes; ``key`` as in ``loads``.

    Where a reducer merges in place the right one of two is left where it lies, mapped: two of them in memory for each
    level of the tree, not three.
    """
    tree, index = MergeTree(reducer, len(pieces), owned=True), 0
    for _, together in groupby(pieces, key=lambda piece: (piece.place, piece.name)):
        held = list(together)
        found = read(sink, held)[::-1]
        for piece in held:
            part = loads(reducer, found.pop(), piece.key, key, reducer.in_place and index % 2 == 1)
            with merging(reducer):
                tree.put(index, part)
            del part
            index += 1
    return tree.result()
