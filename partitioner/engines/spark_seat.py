"""What Spark runs on an executor for the rounds of ``pt.iterate``: a task that stays, and takes attempts from letters.

A round is short, and starting a Spark job for it takes longer than its work. The process that stays also keeps the data of
its partitions, which a job of every round would spread anew over the Python workers of an executor.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from partitioner.attempt.rounds import forget
from partitioner.engines.spark_imports import Accumulator, TaskContext
from partitioner.engines.spark_letters import Letters
from partitioner.engines.spark_place import executor_id
from partitioner.engines.spark_task import Told, run_here
from partitioner.model import Event, EventKind


def seat_id(token: str, seat: int) -> str:
    """What stands for the seat itself where an attempt's label would."""
    return f"seat-{token}-{seat}"


def sit(events: Accumulator[list[Told]], run_url: str, key: bytes, token: str, seats: Iterable[int]) -> Iterator[int]:
    """Work off letters until none comes; where Spark starts the task again, only say that the seat is gone."""
    context = TaskContext.get()
    letters = Letters(run_url, key, token)
    for seat in seats:
        if context is not None and context.attemptNumber() > 0:
            events.add([(seat_id(token, seat), Event(EventKind.LOST))])
            continue
        here, number = executor_id(), 0
        while attempts := letters.next(seat, number):
            for i, attempt in enumerate(attempts):
                letters.answer(seat, number, i, run_here(attempt, here or attempt.worker_id, context))
            number += 1
        if attempts is not None:
            forget()  # the iteration is over; after a pause its data is still wanted
    return iter(())
