"""Plans and outcomes of attempts for the tests of the failure ladder."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from partitioner.coordinator.machine import step
from partitioner.coordinator.state import Action, Rung, State, Stop, Submit
from partitioner.engines.simulated_world import record_of
from partitioner.model import (
    Attempt,
    Event,
    EventKind,
    Failure,
    Fragment,
    Fragments,
    Plan,
    Workers,
)
from tests.coordinator.paper import started

DEATH = Failure("the process died")


def submits(actions: list[Action]) -> list[Attempt]:
    return [a.attempt for a in actions if isinstance(a, Submit)]


def rungs(actions: list[Action]) -> list[str]:
    return [a.what for a in actions if isinstance(a, Rung)]


def stop_of(actions: list[Action]) -> str:
    return next(str(a.error) for a in actions if isinstance(a, Stop))


def done(attempt: Attempt, **facts: Any) -> Event:
    from dataclasses import replace

    record = replace(record_of(attempt, 0.0, attempt.seconds), **facts)
    return Event(EventKind.FINISHED, attempt.attempt_id, attempt.worker_id, record=record)


def rowed(rows: list[int], workers: Workers | int = 2) -> Plan:
    """A plan of sub-tasks of so many rows, one fragment each (-1: not known)."""
    from partitioner.model import SubTasks
    from partitioner.placement.algorithms.lpt import Lpt

    table = Workers.identical(workers) if isinstance(workers, int) else workers
    fragments = Fragments.of([Fragment(i, "f", 0, 0, max(n, 0), n, 1) for i, n in enumerate(rows)])
    index = np.arange(len(rows))
    tasks = SubTasks.build(
        [1.0] * len(rows), fragments=fragments, offsets=np.arange(len(rows) + 1), fragment_index=index
    )
    return Lpt().place(tasks, table, "makespan", 0, None)


def play(state: State, outcome: Callable[[Attempt], Event], most: int = 10_000) -> list[Action]:
    """Every attempt starts and ends as ``outcome`` says, one after the other; all actions."""
    events: list[Event] = []
    history: list[Action] = []
    for now in range(most):
        state, actions = step(state, events, float(now))
        history += actions
        if state.finished or state.stopped:
            return history
        assert state.attempts, "nothing runs and nothing ended"
        live = next(iter(state.attempts.values()))
        events = [started(live.attempt.attempt_id), outcome(live.attempt)]
    raise AssertionError("no end")


def ends(kind: EventKind, attempt: Attempt, why: Failure | None = None) -> Event:
    return Event(kind, attempt.attempt_id, attempt.worker_id, error=why)


def killer(row: int) -> Callable[[Attempt], Event]:
    """A program that dies where it meets the row of the only sub-task."""

    def outcome(attempt: Attempt) -> Event:
        low, high = attempt.care.rows or (0, 10**9)
        if low <= row < high and not attempt.care.condemned:
            return ends(EventKind.LOST, attempt, DEATH)
        return done(attempt, quarantined=int(bool(attempt.care.condemned)), part=attempt.care.rows)

    return outcome
