"""Accumulators on their way: from a worker to a file or the driver, checked on both sides and named by their sub-task."""

from __future__ import annotations

import pickle
from typing import Any

import cloudpickle

from partitioner.errors import ConfigError, DataError, ProgramError, RunFailed, nearest
from partitioner.reducers.base import Reducer
from partitioner.reducers.container import poison_in

SERIALIZERS = ("safe", "pickle")


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
    return reducer.add_input(accumulator, value)


def dumps(reducer: Reducer, accumulator: Any) -> bytes:
    """An accumulator as bytes. Raises ProgramError where it holds NaN and the reducer does not allow that."""
    if not reducer.allows_nan and (place := poison_in(accumulator)) is not None:
        place = place.replace("value", "its accumulator", 1)
        raise ProgramError(
            f"NaN reached the reducer {reducer.name or type(reducer).__name__!r} ({place}). One NaN makes the whole result "
            "NaN. Drop or fill missing values in the program, or let them through: nan='propagate' where the reducer has "
            "that option, allows_nan = True on one of your own."
        )
    if reducer.serializer == "pickle":
        return bytes(cloudpickle.dumps(accumulator))
    return reducer.serialize(accumulator)


def loads(reducer: Reducer, data: Any, task_key: str) -> Any:
    """The accumulator of sub-task ``task_key``. RunFailed names the sub-task whose bytes are torn, foreign or NaN."""
    try:
        if reducer.serializer == "pickle":
            return pickle.loads(data)
        accumulator = reducer.deserialize(data)
    except (DataError, pickle.UnpicklingError, EOFError) as error:
        raise RunFailed(f"the partial result of sub-task {task_key} cannot be read: {error}") from error
    if not reducer.allows_nan and (place := poison_in(accumulator)) is not None:
        raise RunFailed(
            f"the partial result of sub-task {task_key} holds NaN ({place}), which its attempt did not write; the file was "
            "changed. Remove it with its commit record, and resume."
        )
    return accumulator
