"""Which of two reasons counts when an attempt ends, and which ends interrupt a row of attempts that were handed back."""

from __future__ import annotations

from typing import Any

import pytest

from partitioner.coordinator.machine import step
from partitioner.coordinator.state import State
from partitioner.model import Attempt, Event, EventKind, Failure, Worker, Workers
from tests.coordinator.begun import begun
from tests.coordinator.outcomes import DEATH, done, rungs, submits
from tests.coordinator.paper import by_hand, started, state_of


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


def after(state: State, *seconds: float) -> list[str]:
    """The rungs taken at these seconds."""
    return [what for second in seconds for what in rungs(step(state, [], second)[1])]


def test_the_only_worker_is_not_left_out_for_what_it_does_not_begin() -> None:
    state, (first,) = begun(1, 1, silent_seconds=30.0)
    assert after(state, 115.0, 129.0) == []
    assert after(state, 131.0) == ["silent"]
    assert (state.excluded, [a.number for a in (live.attempt for live in state.attempts.values())]) == ({}, [1])
    assert state.trouble(first.task).losses == 1
    two, _ = begun(1, 2, silent_seconds=30.0)
    assert after(two, 115.0, 131.0) == ["silent", "excluded"]


def test_what_waits_beside_work_that_goes_on_is_looked_at_again() -> None:
    workers = Workers.of([Worker("a", cpus=2, memory_bytes=1e9)])
    state = state_of(by_hand([500.0, 500.0], workers, [0, 0], [0.0, 0.0]), silent_seconds=30.0, backup_factor=1e9)
    first, second = submits(step(state, [], 100.0)[1])
    step(state, [started(first.attempt_id)], 101.0)
    assert after(state, 115.0, 131.0, 145.0) == []
    step(state, [done(first)], 146.0)
    assert after(state, 150.0) == []
    assert after(state, 162.0) == ["silent"]
    assert state.trouble(second.task).losses == 1
