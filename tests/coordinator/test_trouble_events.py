"""What failures, losses and cancelled attempts change in the state."""

from __future__ import annotations

import pytest

from partitioner.coordinator import machine
from partitioner.coordinator.machine import step
from partitioner.coordinator.state import Cancel, State
from partitioner.coordinator.transitions import LIVE
from partitioner.model import Attempt, Event, EventKind, Failure
from tests.coordinator.begun import begun
from tests.coordinator.outcomes import done, ends, stop_of, submits
from tests.coordinator.paper import failed, lost, started


def test_a_failure_without_a_word_is_told_as_such() -> None:
    state, (first, _) = begun(max_retries=0)
    _, actions = step(state, [Event(EventKind.FAILED, first.attempt_id, "worker-0")], 101.0)
    assert "Unknown: no detail" in stop_of(actions)


def test_a_loss_before_the_start_is_charged_to_nobody_and_after_it_is_a_death() -> None:
    state, (first, second) = begun()
    step(state, [started(second.attempt_id), lost(first.attempt_id), lost(second.attempt_id)], 101.0)
    assert (state.deaths, state.trouble(0).losses, state.trouble(1).losses) == ({1: 1}, 1, 0)


def test_a_loss_after_a_limit_is_told_as_the_limit() -> None:
    state, (first, _) = begun(divisible=False)
    state.demands.memory = [8.0, 8.0]
    slow = Failure("slow", "TimedOut", timeout=True)
    step(state, [started(first.attempt_id), ends(EventKind.LOST, first, slow)], 101.0)
    assert (state.deaths, state.demands.memory[0]) == ({0: 1}, 8.0)


def test_what_failed_waits_for_any_worker_and_wakes_the_idle() -> None:
    state, (first, _) = begun(2, 3)
    state.idle = {"worker-2": None}
    _, actions = step(state, [failed(first.attempt_id)], 101.0)
    assert [(a.worker_id, a.number) for a in submits(actions)] == [("worker-2", 1)]
    assert (state.as_planned, state.status[0]) == (False, LIVE)


def test_all_idle_workers_may_take_what_came_back() -> None:
    state, _ = begun(2)
    state.hungry, state.idle = {}, {f"w{j}": None for j in range(9)}
    machine._requeue(state, 0)
    assert (len(state.hungry), list(state.pool)) == (9, [0])


def test_a_cancelled_attempt_waits_again_and_a_stopped_one_takes_its_rung() -> None:
    state, (first, second) = begun(divisible=False)
    state.attempts[second.attempt_id].why = Failure("slow", "TimedOut", timeout=True)
    step(state, [ends(EventKind.CANCELLED, first), ends(EventKind.CANCELLED, second)], 101.0)
    assert (state.trouble(0).losses, state.deaths) == (1, {1: 1})
    assert list(state.attempts) == ["t000000-a1"]


def with_copy() -> tuple[State, Attempt, Attempt]:
    """The first sub-task has an attempt on either worker; nothing else is left."""
    state, (first,) = begun(1)
    from partitioner.coordinator import dispatch

    copy = dispatch.submit(state, state.workers["worker-1"], 0, copy=True).attempt
    state.copies[0] = [first.attempt_id, copy.attempt_id]
    step(state, [started(first.attempt_id), started(copy.attempt_id)], 101.0)
    return state, first, copy


@pytest.mark.parametrize("kind", [EventKind.FAILED, EventKind.LOST, EventKind.CANCELLED])
def test_whatever_becomes_of_one_of_two_attempts_the_other_goes_on(kind: EventKind) -> None:
    state, first, copy = with_copy()
    assert submits(step(state, [ends(kind, copy)], 102.0)[1]) == []
    assert (state.status[0], state.failures, state.deaths, state.troubles) == (LIVE, {}, {}, {})
    step(state, [done(first)], 110.0)
    assert state.finished


def test_when_both_of_two_attempts_fail_the_second_counts() -> None:
    state, first, copy = with_copy()
    step(state, [failed(copy.attempt_id)], 102.0)
    _, actions = step(state, [failed(first.attempt_id)], 103.0)
    assert [a.number for a in submits(actions)] == [2]
    assert (state.failures, state.copies) == ({0: 1}, {})


@pytest.mark.parametrize("kind", [EventKind.FINISHED, EventKind.CANCELLED, EventKind.FAILED])
def test_however_the_loser_ends_nothing_is_left(kind: EventKind) -> None:
    state, first, copy = with_copy()
    _, actions = step(state, [done(copy)], 110.0)
    assert actions == [Cancel(first.attempt_id)]
    assert (state.attempts[first.attempt_id].unwanted, state.copies) == (True, {})
    step(state, [ends(kind, first)], 115.0)
    assert (state.attempts, state.remaining, state.failures) == ({}, 0, {})
