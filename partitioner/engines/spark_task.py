"""What Spark runs on an executor: one attempt per partition, its event sent back through an accumulator.

Spark tries a task again by itself when its Python worker or its executor dies, and after it was killed. That next try does
not run the program: it says that the one before it is gone, and the coordinator decides what comes next. With speculation
a second try may be a copy beside a healthy first one; then both run and the conditional commit keeps one.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from partitioner.attempt import garbage
from partitioner.attempt.run import run_attempt
from partitioner.attempt.surroundings import assigned_devices
from partitioner.engines.spark_imports import Accumulator, AccumulatorParam, TaskContext
from partitioner.engines.spark_place import devices_of, executor_id, handed_back
from partitioner.model import Attempt, Event, EventKind, Failure


class EventsParam(AccumulatorParam[list[Event]]):
    """Gathers events in a task; on the driver hands them to ``sink`` the moment that Spark merges a finished task."""

    def __init__(self, sink: Callable[[Event], None] | None = None) -> None:
        self.sink = sink

    def __reduce__(self) -> tuple[Any, ...]:
        return EventsParam, ()  # the sink stays on the driver

    def zero(self, value: list[Event]) -> list[Event]:
        """No events."""
        return []

    def addInPlace(self, value1: list[Event], value2: list[Event]) -> list[Event]:
        """All events of both, or to the sink."""
        if self.sink is None:
            return value1 + value2
        for event in value2:
            self.sink(event)
        return value1


def run_partition(events: Accumulator[list[Event]], speculation: bool, attempts: Iterable[Attempt]) -> Iterator[int]:
    """Run the attempt of this partition on the executor it reached, which its record will name."""
    context = TaskContext.get()
    again = context is not None and context.attemptNumber() > 0 and not speculation
    for attempt in attempts:
        if again:
            detail = Failure("Spark started the task again: the process that ran it died or the task was killed")
            events.add([Event(EventKind.LOST, attempt.attempt_id, attempt.worker_id, error=detail)])
            continue
        events.add([run_here(attempt, executor_id() or attempt.worker_id, context)])
    return iter(())


def run_here(attempt: Attempt, here: str, context: Any) -> Event:
    """Run one attempt on executor ``here``, with the devices that Spark gave the task, or hand it back from there."""
    if here in attempt.avoid:
        return handed_back(attempt, here)
    garbage.worker()
    with assigned_devices(devices_of(context)):
        return run_attempt(replace(attempt, worker_id=here))


def call_partition(function: Callable[..., Any], args: Sequence[Any], asked: Iterable[str]) -> Iterator[bytes]:
    """The pickled (executor id, result or exception) of a function called on whichever executor this is."""
    for wanted in asked:
        try:
            answer = function(*args)
        except Exception as error:
            answer = error
        yield _pickled(executor_id() or wanted, answer)


def call_slot(
    function: Callable[..., Any], count: int, args: Sequence[Any], asked: Iterable[tuple[int, str]]
) -> Iterator[bytes]:
    """The pickled (executor id, result or exception) of slot ``index`` of ``count``, with the devices Spark gave the task.

    A try after a death does not run the function again: what killed the first would kill the next.
    """
    garbage.worker()
    context = TaskContext.get()
    for index, wanted in asked:
        answer: Any
        if context is not None and context.attemptNumber() > 0:
            answer = RuntimeError("the process that ran it died")
        else:
            try:
                with assigned_devices(devices_of(context)):
                    answer = function(index, count, *args)
            except Exception as error:
                answer = error
        yield _pickled(executor_id() or wanted, answer)


def _pickled(executor: str, answer: Any) -> bytes:
    import cloudpickle

    try:
        return bytes(cloudpickle.dumps((executor, answer)))
    except (TypeError, AttributeError, pickle.PicklingError) as error:
        return bytes(cloudpickle.dumps((executor, TypeError(f"the answer cannot be pickled: {error}"))))
