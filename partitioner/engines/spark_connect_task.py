"""What a Spark Connect server runs on its executors: one attempt, or one call of a function, per task of ``mapInArrow``.

There is no ``SparkContext``, so no accumulator: what a task has to say is the one row that it returns. As on classic Spark,
a task that Spark starts again after a death does not run the program; it says that the one before it is gone.
"""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from partitioner.attempt import garbage
from partitioner.attempt.run import run_attempt
from partitioner.attempt.surroundings import assigned_devices
from partitioner.engines.spark_executors import look_around
from partitioner.engines.spark_place import begins, devices_of, executor_id, gone, handed_back
from partitioner.model import Attempt

SCHEMA = "answer binary"
DRIVER = "driver"
"""Who answers in local mode, where the server itself runs the tasks; Spark's own name for it."""


@dataclass(frozen=True, slots=True)
class Look:
    """What a task saw: its executor, host, when it held its slot (seconds of that machine's clock), and what it is asked."""

    executor: str
    host: str
    began: float
    ended: float
    answer: Any


def run_one(sealed: bytes, known: Sequence[str], batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Run one pickled attempt; its event names the executor that it reached, where the driver knows of it."""
    _drained(batches)
    attempt: Attempt = pickle.loads(sealed)
    context = _context()
    if context is not None and context.attemptNumber() > 0:
        yield _row(gone(attempt))
        return
    here = executor_id() or DRIVER
    if here in attempt.avoid:
        yield _row(handed_back(attempt, here))
        return
    garbage.worker()
    begins(attempt)
    with assigned_devices(devices_of(context)):
        event = run_attempt(replace(attempt, worker_id=here if here in known else attempt.worker_id))
    yield _row(event)


def call_one(
    pickled: bytes, count: int, hold_seconds: float, batches: Iterator[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    """Call ``function(index, count, *args)`` in a task, which keeps its slot for a while so that others go elsewhere.

    ``index`` is that of the partition; an exception is an answer, and so is a death of the process before.
    """
    import socket

    _drained(batches)
    began = time.time()
    context = _context()
    garbage.worker()
    answer: Any
    if context is not None and context.attemptNumber() > 0:
        answer = RuntimeError("the process that ran it died")
    else:
        try:
            function, args = pickle.loads(pickled)
            with assigned_devices(devices_of(context)):
                answer = function(0 if context is None else context.partitionId(), count, *args)
        except Exception as error:
            answer = error
    time.sleep(max(0.0, hold_seconds - (time.time() - began)))
    yield _row(Look(executor_id() or DRIVER, socket.gethostname(), began, time.time(), answer))


def look(index: int, count: int) -> dict[str, float]:
    """The memory of the machine, in a slot."""
    return look_around(False)


def without_index(function: Callable[..., Any], index: int, count: int, *args: Any) -> Any:
    """Call a function that does not want to know which slot it is in."""
    return function(*args)


def _context() -> Any:
    """Spark's own word on this task, None outside of one."""
    from pyspark.taskcontext import TaskContext

    return TaskContext.get()


def _drained(batches: Iterator[pa.RecordBatch]) -> None:
    for _ in batches:
        pass


def _row(answer: Any) -> pa.RecordBatch:
    import cloudpickle

    try:
        pickled = cloudpickle.dumps(answer)
    except (TypeError, AttributeError, pickle.PicklingError) as error:
        told = TypeError(f"the answer cannot be pickled: {error}")
        pickled = cloudpickle.dumps(replace(answer, answer=told) if isinstance(answer, Look) else told)
    return pa.RecordBatch.from_arrays([pa.array([bytes(pickled)], pa.binary())], ["answer"])
