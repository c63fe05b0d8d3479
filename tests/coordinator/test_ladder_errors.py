"""What becomes of a sub-task whose program raises, and of the worker that is to blame."""

from __future__ import annotations

from collections.abc import Callable

from partitioner.coordinator.machine import step
from partitioner.coordinator.state import Stop
from partitioner.errors import EngineLost
from partitioner.model import (
    Attempt,
    Event,
    EventKind,
    Failure,
)
from tests.coordinator.outcomes import done, ends, play, rungs, stop_of, submits
from tests.coordinator.paper import failed, lost, plan_of, started, state_of


def test_an_error_is_tried_on_another_worker_first() -> None:
    state = state_of(plan_of([2.0], workers=3))
    (first,) = submits(step(state, [], 0.0)[1])
    (second,) = submits(step(state, [failed(first.attempt_id)], 1.0)[1])
    assert second.worker_id != first.worker_id
    (third,) = submits(step(state, [failed(second.attempt_id)], 2.0)[1])
    assert third.worker_id not in (first.worker_id, second.worker_id)


def test_rows_are_isolated_only_after_an_error_and_only_under_quarantine() -> None:
    for quarantine in (False, True):
        state = state_of(plan_of([2.0]), quarantine=quarantine)
        (first,) = submits(step(state, [], 0.0)[1])
        (second,) = submits(step(state, [failed(first.attempt_id)], 1.0)[1])
        assert (first.care.isolate, second.care.isolate) == (False, quarantine)


def test_rows_that_failed_alone_are_confirmed_by_another_worker() -> None:
    state = state_of(plan_of([2.0]), quarantine=True)
    (first,) = submits(step(state, [], 0.0)[1])
    (second,) = submits(step(state, [failed(first.attempt_id)], 1.0)[1])
    assert second.care.suspects == ()
    (third,) = submits(step(state, [failed(second.attempt_id, suspects=((3, 5),))], 2.0)[1])
    assert third.worker_id == first.worker_id
    assert third.care.suspects == ((3, 5),)


def test_the_only_worker_is_believed_at_once() -> None:
    state = state_of(plan_of([2.0], workers=1), quarantine=True)
    (first,) = submits(step(state, [], 0.0)[1])
    (second,) = submits(step(state, [failed(first.attempt_id)], 1.0)[1])
    assert second.care.suspects is None


def test_the_last_worker_left_is_not_believed_before_anything_went_well_there() -> None:
    state = state_of(plan_of([2.0]), quarantine=True)
    (first,) = submits(step(state, [], 0.0)[1])
    gone = Event(EventKind.WORKER_LOST, worker_id="worker-1")
    assert submits(step(state, [gone, failed(first.attempt_id)], 1.0)[1]) == []
    (second,) = submits(step(state, [], 6.5)[1])
    assert (second.task_key, second.worker_id, second.care.suspects) == ("t000000", "worker-0", ())


def test_a_bad_worker_that_is_alone_for_a_moment_is_not_asked_again_before_the_others_are_back() -> None:
    state = state_of(plan_of([2.0], workers=2), quarantine=True)
    (first,) = submits(step(state, [], 0.0)[1])
    other = {"worker-0": "worker-1", "worker-1": "worker-0"}[first.worker_id]
    back = state.workers[other].worker
    gone = Event(EventKind.WORKER_LOST, worker_id=other)
    assert submits(step(state, [gone, failed(first.attempt_id)], 1.0)[1]) == []
    assert 0.0 < state.quiet_seconds(1.0) <= 5.0  # it is looked again, whatever the engine says
    assert submits(step(state, [Event(EventKind.WORKERS_COMING, coming=1)], 2.0)[1]) == []
    assert submits(step(state, [], 20.0)[1]) == []  # it is being started
    (second,) = submits(step(state, [Event(EventKind.WORKER_JOINED, worker_id=other, worker=back)], 25.0)[1])
    assert (second.worker_id, state.failures) == (other, {0: 1})


def test_one_that_does_not_come_back_is_not_waited_for() -> None:
    state = state_of(plan_of([2.0], workers=2))
    (first,) = submits(step(state, [], 0.0)[1])
    other = {"worker-0": "worker-1", "worker-1": "worker-0"}[first.worker_id]
    step(state, [Event(EventKind.WORKER_LOST, worker_id=other), failed(first.attempt_id)], 1.0)
    step(state, [Event(EventKind.WORKERS_COMING, coming=1)], 2.0)
    (second,) = submits(step(state, [Event(EventKind.WORKERS_COMING, coming=0)], 7.0)[1])
    assert second.worker_id == first.worker_id


def test_rows_that_no_second_worker_confirms_end_the_run_in_the_end() -> None:
    state = state_of(plan_of([1.0], workers=3), quarantine=True)
    history = play(state, lambda a: ends(EventKind.FAILED, a, Failure("no", "E", suspects=((a.number, a.number + 1),))))
    assert "failed 5 times" in stop_of(history)


def bad_node(name: str) -> Callable[[Attempt], Event]:
    def outcome(attempt: Attempt) -> Event:
        bad = attempt.worker_id == name
        return ends(EventKind.FAILED, attempt, Failure("disk", "OSError")) if bad else done(attempt)

    return outcome


def test_a_worker_that_fails_three_subtasks_in_turn_waits_for_the_others_to_try_them() -> None:
    state = state_of(plan_of([1.0] * 12, workers=3))
    live = submits(step(state, [], 0.0)[1])
    for now in range(1, 4):
        (mine,) = [a for a in state.attempts.values() if a.attempt.worker_id == "worker-1"]
        _, actions = step(state, [failed(mine.attempt.attempt_id)], float(now))
    assert "suspended" in rungs(actions)
    assert all(a.attempt.worker_id != "worker-1" for a in state.attempts.values())
    assert len(live) == 3


def test_a_worker_that_fails_what_goes_well_elsewhere_is_left_out_and_let_in_again() -> None:
    state = state_of(plan_of([1.0] * 40, workers=3))
    history = play(state, bad_node("worker-1"))
    assert state.finished
    assert rungs(history)[:6].count("excluded") == 1
    assert "readmitted" in rungs(history)
    assert sum(a.worker_id == "worker-1" for a in submits(history)) <= 8


def test_an_excluded_worker_gets_work_again_after_its_time() -> None:
    state = state_of(plan_of([5.0] * 9), exclude_seconds=10.0)
    step(state, [], 0.0)
    state.excluded["worker-1"] = 10.0
    step(state, [lost("t000001-a0")], 1.0)
    assert all(a.attempt.worker_id == "worker-0" for a in state.attempts.values())
    step(state, [], 9.0)
    assert "worker-1" in state.excluded
    _, actions = step(state, [], 11.0)
    assert rungs(actions) == ["readmitted"]
    assert [a.worker_id for a in submits(actions)] == ["worker-1"]


def test_failures_that_repeat_elsewhere_blame_no_worker() -> None:
    state = state_of(plan_of([1.0] * 12, workers=3), quarantine=True)

    def poison(attempt: Attempt) -> Event:
        if not attempt.care.isolate:
            return ends(EventKind.FAILED, attempt, Failure("poison", "ValueError"))
        if not attempt.care.suspects:
            return ends(EventKind.FAILED, attempt, Failure("rows", "RowsFailed", suspects=((0, 1),)))
        return done(attempt, quarantined=1)

    history = play(state, poison)
    assert state.finished
    assert "excluded" not in rungs(history)
    assert len(submits(history)) == 36


def test_when_every_worker_is_to_blame_the_run_stops_and_can_be_resumed() -> None:
    state = state_of(plan_of([1.0] * 8))
    step(state, [], 0.0)
    for name in ("worker-0", "worker-1"):
        state.workers[name].health.blamed |= {5: None, 6: None}
    state.troubles[0] = state.trouble(0)
    state.excluded["worker-1"] = 30.0
    state.trouble(1).failed_on["worker-0"] = None
    state.workers["worker-0"].health.failing[1] = None
    _, actions = step(state, [started("t000001-a0"), done(state.attempts["t000001-a0"].attempt)], 1.0)
    assert any(isinstance(a, Stop) and isinstance(a.error, EngineLost) for a in actions)
    assert "all 2 workers fail sub-tasks that go well on another" in stop_of(actions)
