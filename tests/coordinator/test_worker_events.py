"""What workers that join, go or retire, and a lost engine, change in the state."""

from __future__ import annotations

from partitioner.coordinator.machine import step
from partitioner.coordinator.state import Cancel, Rung, Stop
from partitioner.errors import EngineLost
from partitioner.model import Event, EventKind, Failure, Worker
from tests.coordinator.begun import begun
from tests.coordinator.outcomes import stop_of, submits
from tests.coordinator.paper import started


def test_a_worker_that_joins_is_seen_and_looked_at_and_leaves_the_plan_behind() -> None:
    state, _ = begun(4)
    late = Event(EventKind.WORKER_JOINED, worker_id="late", worker=Worker("late"))
    _, actions = step(state, [late], 101.0)
    assert ("late" in state.seen, state.as_planned) == (True, False)
    assert [a.worker_id for a in submits(actions)] == ["late"]


def test_a_worker_that_joins_twice_keeps_what_it_holds() -> None:
    state, _ = begun(2)
    again = Event(EventKind.WORKER_JOINED, worker_id="worker-0", worker=Worker("worker-0", cpus=64))
    step(state, [again], 101.0)
    assert (state.workers["worker-0"].used_cpus, state.as_planned) == (1.0, True)
    assert state.workers["worker-0"].worker.cpus == 1.0


def test_what_is_known_of_a_workers_health_outlives_its_absence() -> None:
    state, _ = begun(2)
    state.health["worker-1"].exclusions = 2
    back = Event(EventKind.WORKER_JOINED, worker_id="worker-1", worker=Worker("worker-1"))
    step(state, [Event(EventKind.WORKER_LOST, worker_id="worker-1"), back], 101.0)
    assert state.workers["worker-1"].health.exclusions == 2


def test_a_lost_worker_takes_its_attempts_along_unless_the_engine_brings_them_elsewhere() -> None:
    for rerouted, left in ((False, 1), (True, 2)):
        state, (first, _) = begun(2, rerouted=rerouted)
        state.idle["worker-0"] = None
        step(state, [started(first.attempt_id), Event(EventKind.WORKER_LOST, worker_id="worker-0")], 101.0)
        assert (len(state.attempts), "worker-0" in state.workers, "worker-0" in state.idle) == (left, False, False)
        assert state.deaths == ({} if rerouted else {0: 1})


def test_a_lost_worker_takes_all_its_attempts_along() -> None:
    state, _ = begun(4, ahead_seconds=60.0)
    assert len(state.workers["worker-0"].live) == 2
    step(state, [Event(EventKind.WORKER_LOST, worker_id="worker-0")], 101.0)
    assert {live.attempt.worker_id for live in state.attempts.values()} == {"worker-1"}


def test_the_loss_of_a_worker_that_nobody_knows_changes_nothing() -> None:
    state, _ = begun(2)
    assert step(state, [Event(EventKind.WORKER_LOST, worker_id="nobody")], 101.0)[1] == []
    assert (state.as_planned, len(state.workers)) == (True, 2)


def test_what_a_retiring_worker_ran_is_charged_to_nobody() -> None:
    state, (first, _) = begun(2)
    why = Failure("retired", charged=False)
    step(state, [started(first.attempt_id), Event(EventKind.WORKER_LOST, worker_id="worker-0", error=why)], 101.0)
    assert (state.deaths, state.trouble(0).losses) == ({}, 1)


def test_a_lost_engine_ends_the_run_with_its_reason() -> None:
    state, _ = begun(2)
    _, actions = step(state, [Event(EventKind.ENGINE_LOST, error=Failure("no route"))], 101.0)
    assert stop_of(actions) == "the engine went away: no route. What is committed stays; resume the run."
    assert actions[:2] == [Cancel("t000000-a0"), Cancel("t000001-a0")]
    assert [type(a.error) for a in actions if isinstance(a, Stop)] == [EngineLost]  # which says how to go on
    assert "no detail" in stop_of(step(begun(2)[0], [Event(EventKind.ENGINE_LOST)], 101.0)[1])


def test_a_worker_that_is_still_awaited_may_go_without_a_reason() -> None:
    state, _ = begun(2)
    state.awaited.add("worker-1")
    _, actions = step(state, [Event(EventKind.WORKER_LOST, worker_id="worker-1")], 101.0)
    assert ("worker-1" in state.workers, state.awaited) == (False, set())
    assert [a for a in actions if isinstance(a, Rung)] == []


def test_a_worker_that_was_there_goes_without_being_called_left_out() -> None:
    state, _ = begun(2)
    gone = Event(EventKind.WORKER_LOST, worker_id="worker-1", error=Failure("retired", charged=False))
    assert [a.what for a in step(state, [gone], 101.0)[1] if isinstance(a, Rung)] == []


def test_how_many_workers_are_coming_is_what_was_said_last() -> None:
    state, _ = begun(2)
    for coming in (3, 1, 0):
        step(state, [Event(EventKind.WORKERS_COMING, coming=coming)], 101.0)
        assert state.coming == coming


def test_what_stops_the_run_is_not_queued_again() -> None:
    state, (first, _) = begun(2, max_retries=0)
    step(state, [Event(EventKind.FAILED, first.attempt_id, first.worker_id, error=Failure("no", "ValueError"))], 101.0)
    assert state.stopped
    assert list(state.pool) == []
