"""Attempts that never begin, take too long or fall behind, and clocks that jump."""

from __future__ import annotations

from math import exp, inf

import pytest

from partitioner.coordinator.machine import step
from partitioner.coordinator.state import Cancel, State, Stop
from partitioner.model import (
    Attempt,
    Event,
    EventKind,
    Failure,
)
from tests.coordinator.outcomes import done, ends, play, rowed, stop_of, submits
from tests.coordinator.paper import failed, lost, plan_of, started, state_of


def test_attempts_that_never_start_are_counted_so_that_every_run_ends() -> None:
    state = state_of(plan_of([1.0], workers=1), max_losses=7)
    events: list[Event] = []
    for now in range(100):
        _, actions = step(state, events, float(now))
        if state.stopped:
            break
        events = [lost(a.attempt_id) for a in submits(actions)]
    assert "handed to workers that went away 8 times (limit 7)" in stop_of(actions)


def test_what_a_retired_worker_was_running_is_charged_to_nobody() -> None:
    state = state_of(plan_of([1.0]))
    (first,) = submits(step(state, [], 0.0)[1])
    retired = Event(EventKind.LOST, first.attempt_id, first.worker_id, error=Failure("retired", charged=False))
    step(state, [started(first.attempt_id), retired], 1.0)
    assert (state.deaths, state.failures) == ({}, {})
    assert len(state.attempts) == 1


def test_a_jump_of_the_clock_ends_no_wait() -> None:
    for jump in (3_600.0, -3_600.0):
        state = state_of(plan_of([1.0], workers=1))
        step(state, [], 0.0)
        step(state, [Event(EventKind.WORKER_LOST, worker_id="worker-0")], 1.0)
        assert not any(isinstance(a, Stop) for a in step(state, [], jump)[1])
        assert not any(isinstance(a, Stop) for a in step(state, [], jump + 5.0)[1])


def test_an_attempt_that_takes_too_long_is_killed_and_tried_elsewhere() -> None:
    state = state_of(plan_of([1.0]), timeout_seconds=10.0, backup_factor=inf)
    (first,) = submits(step(state, [], 0.0)[1])
    assert first.timeout_seconds == 10.0
    step(state, [started(first.attempt_id)], 1.0)
    assert step(state, [], 10.5)[1] == []
    _, actions = step(state, [], 11.5)
    assert Cancel(first.attempt_id, kill=True) in actions
    _, actions = step(state, [ends(EventKind.CANCELLED, first)], 12.0)
    (second,) = submits(actions)
    assert second.worker_id != first.worker_id
    assert state.deaths == {0: 1}


def test_an_attempt_that_the_engine_cannot_end_is_given_up_after_a_grace() -> None:
    state = state_of(plan_of([1.0]), timeout_seconds=10.0, grace_seconds=5.0, backup_factor=inf)
    (first,) = submits(step(state, [], 0.0)[1])
    step(state, [started(first.attempt_id)], 0.0)
    step(state, [], 10.0)
    assert len(submits(step(state, [], 15.0)[1])) == 1


def test_a_hanging_row_is_found_like_one_that_kills() -> None:
    state = state_of(rowed([16]), quarantine=True, divisible=True)

    def outcome(attempt: Attempt) -> Event:
        low, high = attempt.care.rows or (0, 16)
        if low <= 9 < high and not attempt.care.condemned:
            return ends(EventKind.FAILED, attempt, Failure("slow", "TimedOut", timeout=True))
        return done(attempt, quarantined=int(bool(attempt.care.condemned)))

    play(state, outcome)
    assert (state.finished, state.quarantined) == (True, 1)


def test_a_subtask_that_always_takes_too_long_ends_the_run_as_what_it_is() -> None:
    state = state_of(rowed([16]), quarantine=True, divisible=False)
    slow = Failure("it took longer than 10 s", "TimedOut", timeout=True)
    said = stop_of(play(state, lambda attempt: ends(EventKind.FAILED, attempt, slow)))
    assert said.startswith("sub-task t000000 was ended 4 times (limit 3), the last time on w")
    assert "for it took longer than 10 s. Raise timeout, lower target_task_seconds" in said


def test_a_timeout_may_follow_the_prediction() -> None:
    state = state_of(plan_of([40.0]), timeout_factor=3.0)
    assert submits(step(state, [], 0.0)[1])[0].timeout_seconds == pytest.approx(3 * 40.0 * exp(0.4))


def test_a_timeout_that_follows_the_prediction_is_never_shorter_than_the_least() -> None:
    state = state_of(plan_of([0.01]), timeout_factor=3.0, timeout_least=10.0)
    assert submits(step(state, [], 0.0)[1])[0].timeout_seconds == 10.0


def straggling() -> tuple[State, Attempt, Attempt]:
    """Two sub-tasks on two workers; the second is done and the first takes 4 times its prediction."""
    state = state_of(plan_of([10.0, 5.0]))
    slow, quick = submits(step(state, [], 0.0)[1])
    step(state, [started(slow.attempt_id), started(quick.attempt_id)], 0.0)
    step(state, [done(quick)], 5.0)
    for now in (20.0, 30.0, 40.0):
        _, actions = step(state, [], now)
        if submits(actions):
            return state, slow, submits(actions)[0]
    raise AssertionError("no back-up")


def test_a_straggler_gets_one_back_up_on_an_idle_worker() -> None:
    state, slow, copy = straggling()
    assert (copy.task_key, copy.number) == (slow.task_key, 1)
    assert copy.worker_id != slow.worker_id
    assert submits(step(state, [started(copy.attempt_id)], 50.0)[1]) == []
    assert submits(step(state, [], 80.0)[1]) == []


def test_the_first_commit_wins_and_the_loser_is_cancelled() -> None:
    state, slow, copy = straggling()
    _, actions = step(state, [started(copy.attempt_id), done(copy)], 50.0)
    assert state.finished
    assert actions == [Cancel(slow.attempt_id)]
    step(state, [ends(EventKind.CANCELLED, slow)], 51.0)
    assert state.attempts == {}


def test_a_back_up_that_fails_leaves_the_straggler_to_go_on() -> None:
    state, slow, copy = straggling()
    assert submits(step(state, [failed(copy.attempt_id)], 50.0)[1]) == []
    step(state, [done(slow)], 60.0)
    assert state.finished


def test_nothing_is_backed_up_while_no_duration_is_known() -> None:
    state = state_of(plan_of([10.0, 5.0]))
    state.scale_known = False
    slow, quick = submits(step(state, [], 0.0)[1])
    step(state, [started(slow.attempt_id), started(quick.attempt_id)], 0.0)
    assert all(submits(step(state, [], float(now))[1]) == [] for now in range(10, 400, 10))


def test_an_attempt_without_a_sign_of_life_is_handed_out_again() -> None:
    state = state_of(plan_of([1.0]), silent_seconds=20.0)
    (first,) = submits(step(state, [], 0.0)[1])
    assert submits(step(state, [], 19.0)[1]) == []
    _, actions = step(state, [], 21.0)
    assert Cancel(first.attempt_id) in actions
    assert [a.number for a in submits(actions)] == [1]
