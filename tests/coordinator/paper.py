"""Plans on paper and an engine that finishes attempts without running anything, for tests of the machine alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from partitioner.coordinator.policy import Policy
from partitioner.coordinator.state import State, initial
from partitioner.engines.serial import SerialEngine
from partitioner.engines.simulated_world import record_of as _record
from partitioner.model import Event, EventKind, Failure, Plan, SubTasks, Worker, Workers
from partitioner.placement.algorithms.lpt import Lpt


def plan_of(seconds: list[float], workers: Workers | int = 2, **columns: object) -> Plan:
    """An LPT plan of sub-tasks of these seconds."""
    table = Workers.identical(workers) if isinstance(workers, int) else workers
    return Lpt().place(SubTasks.build(seconds, **columns), table, "makespan", 0, None)


def by_hand(
    seconds: Sequence[float], workers: Workers | int, where: Sequence[int], start: Sequence[float] = (), **columns: Any
) -> Plan:
    """Sub-task i on worker ``where[i]`` from ``start[i]`` on; where no starts are given, one after the other there."""
    table = Workers.identical(workers) if isinstance(workers, int) else workers
    tasks = SubTasks.build(list(seconds), **columns)
    free, begin = [0.0] * len(table), []
    for i, j in enumerate(where):
        begin.append(float(start[i]) if start else free[j])
        free[j] = begin[i] + seconds[i] / float(table.speed[j])
    finish = np.array(begin) + np.asarray(seconds) / table.speed[list(where)]
    span = float(finish.max())
    return Plan(
        tasks, table, np.array(where, np.int32), np.array(begin), finish, span, span, 0.0, 1.0, "makespan", span, "hand"
    )


def state_of(plan: Plan, **policy: float) -> State:
    """The state before the first step."""
    return initial(plan, "memory://run", Policy(**policy))  # type: ignore[arg-type]


def started(attempt_id: str, worker_id: str = "") -> Event:
    return Event(EventKind.STARTED, attempt_id, worker_id)


def failed(attempt_id: str, **error: Any) -> Event:
    return Event(EventKind.FAILED, attempt_id, error=Failure("no", "ValueError", **error))


def finish(attempt_id: str) -> Event:
    return Event(EventKind.FINISHED, attempt_id)


def lost(attempt_id: str) -> Event:
    return Event(EventKind.LOST, attempt_id)


def big_and_small() -> Workers:
    return Workers.of([Worker("big", cpus=4, memory_bytes=100), Worker("small", cpus=1, memory_bytes=10)])


class PaperEngine(SerialEngine):
    """Every attempt finishes at once and has run nothing."""

    def poll(self, timeout: float) -> list[Event]:
        if not self._waiting:
            return []
        attempt = self._waiting.popleft()
        record = _record(attempt, 0.0, attempt.seconds)
        return [
            Event(EventKind.STARTED, attempt.attempt_id, attempt.worker_id),
            Event(EventKind.FINISHED, attempt.attempt_id, attempt.worker_id, record=record),
        ]
