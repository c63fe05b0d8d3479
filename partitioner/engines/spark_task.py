"""What Spark runs on an executor: one attempt per partition, its event sent back through an accumulator.

Spark tries a task again by itself when its Python worker or its executor dies, and after it was killed. That next try does
not run the program: it says that the one before it is gone, and the coordinator decides what comes next. With speculation
a second try may be a copy beside a healthy first one; then both run and the conditional commit keeps one.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from partitioner.attempt import garbage
from partitioner.attempt.run import run_attempt
from partitioner.attempt.surroundings import assigned_devices
from partitioner.engines.spark_imports import Accumulator, AccumulatorParam, TaskContext
from partitioner.engines.spark_place import begins, devices_of, executor_id, gone, handed_back
from partitioner.model import Attempt, Event

Answer = tuple[str, bytes]
"""The executor that a call reached, and its pickled result or exception."""

Told = tuple[str, Event]
"""An event, and the label of the attempt that it is of: its id alone may name one of another run, too."""


class EventsParam(AccumulatorParam[list[Told]]):
    """Gathers events in a task; on the driver hands them to ``sink`` the moment that Spark merges a finished task."""

    def __init__(self, sink: Callable[[Any], None] | None = None) -> None:
        self.sink = sink

    def __reduce__(self) -> tuple[Any, ...]:
        return EventsParam, ()  # the sink stays on the driver

    def zero(self, value: list[Told]) -> list[Told]:
        """No events."""
        return []

    def addInPlace(self, value1: list[Told], value2: list[Told]) -> list[Told]:
        """All events of both, or to the sink."""
        if self.sink is None:
            return value1 + value2
        for event in value2:
            self.sink(event)
        return value1


def run_partition(events: Accumulator[list[Told]], speculation: bool, attempts: Iterable[Attempt]) -> Iterator[int]:
    """Run the attempt of this partition on the executor it reached, which its record will name."""
    context = TaskContext.get()
    again = context is not None and context.attemptNumber() > 0 and not speculation
    for attempt in attempts:
        if again:
            events.add([(attempt.label, gone(attempt))])
            continue
        events.add([(attempt.label, run_here(attempt, executor_id() or attempt.worker_id, context))])
    return iter(())


def nothing(asked: Iterable[str]) -> Iterator[int]:
    """What is there once this ended: the executor has the code, and a Python worker that has imported what it needs."""
    return iter(())


def run_here(attempt: Attempt, here: str, context: Any) -> Event:
    """Run one attempt on executor ``here``, with the devices that Spark gave the task, or hand it back from there."""
    if here in attempt.avoid:
        return handed_back(attempt, here)
    garbage.worker()
    begins(attempt)
    with assigned_devices(devices_of(context)):
        return run_attempt(replace(attempt, worker_id=here))


@dataclass(frozen=True, slots=True)
class Question:
    """``function(index, count, *args)``; ``copies``: a second try may be a speculative copy, which runs it too."""

    function: Callable[..., Any]
    count: int
    args: Sequence[Any]
    copies: bool = False


def call_partition(function: Callable[..., Any], args: Sequence[Any], asked: Iterable[str]) -> Iterator[Answer]:
    """The answer of a function called on whichever executor this is."""
    for wanted in asked:
        try:
            answer = function(*args)
        except Exception as error:
            answer = error
        yield executor_id() or wanted, pickled(answer)


def call_slot(question: Question, asked: Iterable[tuple[int, str]]) -> Iterator[Answer]:
    """The answer of a slot, by its index and the executor that it was asked for."""
    context = TaskContext.get()
    for index, wanted in asked:
        yield executor_id() or wanted, called(question, index, context)


def called(question: Question, index: int, context: Any) -> bytes:
    """The pickled result or exception of one slot, with the devices that Spark gave the task.

    A try after a death does not run the function again: what killed the first would kill the next.
    """
    garbage.worker()
    if context is not None and context.attemptNumber() > 0 and not question.copies:
        return pickled(RuntimeError("the process that ran it died"))
    try:
        with assigned_devices(devices_of(context)):
            answer = question.function(index, question.count, *question.args)
    except Exception as error:
        answer = error
    return pickled(answer)


def pickled(answer: Any) -> bytes:
    """A result or exception, or why it cannot travel."""
    import cloudpickle

    try:
        return bytes(cloudpickle.dumps(answer))
    except (TypeError, AttributeError, pickle.PicklingError) as error:
        return bytes(cloudpickle.dumps(TypeError(f"the answer cannot be pickled: {error}")))
