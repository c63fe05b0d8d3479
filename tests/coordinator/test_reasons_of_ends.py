"""Which of two reasons counts when an attempt ends, and which ends interrupt a row of attempts that were handed back."""

from __future__ import annotations

from typing import Any

import pytest

from partitioner.coordinator.machine import step
from partitioner.coordinator.state import State
from partitioner.model import Attempt, Event, EventKind, Failure
from tests.coordinator.begun import begun
from tests.coordinator.outcomes import DEATH, done, rungs
from tests.coordinator.paper import started


def too_slow() -> tuple[State, Attempt]:
    """The first of two attempts was asked to end, for it took longer than five seconds."""
    state, (first, second) = begun(timeout_seconds=5.0)
    step(state, [started(first.attempt_id), started(second.attempt_id)], 100.0)
    actions = step(state, [done(second)], 106.0)[1]
    assert rungs(actions) == ["timed out"]
    return state, first


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        (EventKind.FAILED, Failure("disk full", "OSError")),
        (EventKind.LOST, DEATH),
        (EventKind.LOST, Failure("retired", charged=False)),
        (EventKind.CANCELLED, Failure("killed", charged=False)),
        (EventKind.CANCELLED, None),
    ],
)
def test_what_was_too_slow_ends_for_that_however_it_ends(kind: EventKind, error: Failure | None) -> None:
    state, first = too_slow()
    memory = float(state.demands.memory[first.task])
    actions = step(state, [Event(kind, first.attempt_id, first.worker_id, error=error)], 107.0)[1]
    assert (state.deaths, state.failures) == ({first.task: 1}, {})
    assert float(state.demands.memory[first.task]) == memory  # no memory was missing
    assert state.health[first.worker_id].failing == {}
    (told,) = [a for a in actions if getattr(a, "what", "") == "retried"]
    assert told.reason == "TimedOut; again, alone"  # type: ignore[union-attr]


MISPLACED = Failure("elsewhere", "Misplaced", charged=False)


def of(attempt: Attempt, kind: EventKind, error: Failure | None = None) -> Event:
    return Event(kind, attempt.attempt_id, attempt.worker_id, error=error)


@pytest.mark.parametrize(
    ("kind", "error", "counted"),
    [
        (EventKind.FAILED, MISPLACED, 6),
        (EventKind.CANCELLED, MISPLACED, 6),
        (EventKind.CANCELLED, None, 5),
        (EventKind.FAILED, Failure("no", "ValueError"), 0),
        (EventKind.CANCELLED, Failure("no", "ValueError"), 0),
    ],
)
def test_attempts_that_are_handed_back_in_turn_are_counted(kind: EventKind, error: Any, counted: int) -> None:
    state, (first, _) = begun()
    state.handed_back = 5
    step(state, [started(first.attempt_id), of(first, kind, error)], 101.0)
    assert state.handed_back == counted


def test_an_attempt_that_finishes_begins_the_count_anew() -> None:
    state, (first, second) = begun()
    state.handed_back = 5
    step(state, [started(first.attempt_id), done(first)], 101.0)
    assert state.handed_back == 0
    state.handed_back = 5
    step(state, [done(first)], 102.0)  # it had ended
    assert state.handed_back == 5
    step(state, [of(second, EventKind.LOST, DEATH)], 103.0)
    assert state.handed_back == 5
