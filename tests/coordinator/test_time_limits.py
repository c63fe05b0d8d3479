"""The machine's own clock, and what it does when a wait is over: seconds as literals."""

from __future__ import annotations

from dataclasses import replace
from math import exp, inf

import pytest

from partitioner.coordinator import stealing, timers
from partitioner.coordinator.machine import step
from partitioner.coordinator.state import Cancel, Live, State
from partitioner.coordinator.transitions import READY
from partitioner.model import Event, EventKind, Worker, Workers
from tests.coordinator.outcomes import done, ends, rungs, submits
from tests.coordinator.paper import by_hand, plan_of, started, state_of


def test_time_that_passed_is_believed_up_to_what_is_trusted_and_never_backwards() -> None:
    state = state_of(plan_of([1.0]), trusted_seconds=30.0)
    assert [timers.pass_time(state, now) for now in (100.0, 110.0, 105.0, 106.0, 1000.0)] == [0.0, 10.0, 0.0, 1.0, 30.0]
    assert (state.clock, state.last_now) == (41.0, 1000.0)


def test_one_step_never_ends_the_wait_for_workers() -> None:
    state = state_of(plan_of([1.0]), trusted_seconds=30.0, no_worker_seconds=10.0)
    timers.pass_time(state, 0.0)
    assert timers.pass_time(state, 500.0) == pytest.approx(9.7)


def test_the_upper_end_of_a_prediction_is_two_spreads_above_it() -> None:
    state = state_of(plan_of([10.0, 0.0], Workers.of([Worker("w", speed=2.0)])))
    holder = state.workers["w"]
    assert timers.upper_seconds(state, holder, 0) == pytest.approx(5.0 * exp(2 * 0.2))
    assert timers.upper_seconds(state, holder, 1) == inf
    assert timers.upper_seconds(state, None, 0) == inf
    state.scale_known = False
    assert timers.upper_seconds(state, holder, 0) == inf


@pytest.mark.parametrize(
    ("policy", "seconds"),
    [
        ({}, inf),
        ({"timeout_seconds": 40.0}, 40.0),
        ({"timeout_factor": 2.0}, 20.0 * exp(0.4)),
        ({"timeout_factor": 2.0, "timeout_seconds": 15.0}, 15.0),
        ({"timeout_factor": 0.1, "timeout_least": 10.0}, 10.0),
        ({"timeout_factor": 0.1, "timeout_least": 10.0, "timeout_seconds": 3.0}, 3.0),
    ],
)
def test_an_attempt_may_take_the_less_of_both_limits_and_the_least_only_of_its_prediction(
    policy: dict[str, float], seconds: float
) -> None:
    state = state_of(plan_of([10.0], 1), **policy)
    assert timers.limit_seconds(state, state.workers["worker-0"], 0) == pytest.approx(seconds)


def waits(state: State) -> list[tuple[float, str]]:
    return sorted((round(when, 6), what) for when, what, _ in state.due)


def test_what_is_handed_over_is_looked_at_for_silence_and_what_begins_for_its_limit_and_a_back_up() -> None:
    state = state_of(plan_of([10.0], 1), timeout_seconds=500.0, silent_seconds=120.0)
    (first,) = submits(step(state, [], 0.0)[1])
    assert waits(state) == [(120.0, "silent")]
    step(state, [started(first.attempt_id)], 4.0)
    behind = round(4 + 10 * exp(1.5 * 0.2) * (1 + 1e-6) + 2e-6, 6)
    rest = [(behind, "behind"), (120.0, "silent"), (504.0, "timeout")]
    assert waits(state) == [(14.5, "back-up"), *rest]
    step(state, [], 14.5)  # late, and by no more than may be: by what the run has shown, which is nothing yet
    assert waits(state) == [rest[0], (round(4 + 10 * exp(0.4), 6), "back-up"), *rest[1:]]
    assert state.late == {}


def test_the_limit_and_the_back_up_of_an_attempt_are_by_what_it_takes_where_it_is() -> None:
    state = state_of(plan_of([20.0], 1), timeout_factor=2.0)
    holder = state.workers["worker-0"]
    holder.worker = replace(holder.worker, speed=2.0)
    (first,) = submits(step(state, [], 0.0)[1])
    step(state, [started(first.attempt_id)], 0.0)
    assert {(10.5, "back-up"), (round(20 * exp(0.4), 6), "timeout")} <= {*waits(state)}


def test_all_that_end_in_no_time_are_given_up_in_one_step() -> None:
    state = state_of(plan_of([10.0, 10.0], 2), silent_seconds=20.0)
    both = submits(step(state, [], 0.0)[1])
    _, actions = step(state, [], 20.0)
    assert [a for a in actions if isinstance(a, Cancel)] == [Cancel(a.attempt_id) for a in both]
    assert (state.attempts, state.status[0], state.status[1]) == ({}, READY, READY)


def test_how_well_the_others_keep_to_their_predictions_says_when_one_is_late() -> None:
    state = state_of(plan_of([10.0] * 60, 2), ahead_seconds=0.0, next_seconds=0.0)
    (first, other) = submits(step(state, [], 0.0)[1])
    step(state, [started(first.attempt_id), started(other.attempt_id)], 0.0)
    state.completions, state.squares = 60, 0.0  # all as predicted: 2 x 0.05 in logs
    for now in (10.5, 11.0, 11.06):
        step(state, [], now)
        assert (state.late != {}) == (now > 10 * exp(0.1))
    assert sorted(state.late) == [0, 1]


def test_that_its_worker_is_slow_makes_an_attempt_no_less_late() -> None:
    state = state_of(plan_of([10.0] * 60, 2), ahead_seconds=0.0, next_seconds=0.0)
    (first, other) = submits(step(state, [], 0.0)[1])
    step(state, [started(first.attempt_id), started(other.attempt_id)], 0.0)
    state.completions = 60
    state.workers["worker-0"].weight, state.workers["worker-0"].factor = 5.0, 4.0
    step(state, [], 11.06)
    assert sorted(state.late) == [0, 1]


def test_a_short_sub_task_gets_its_back_up_after_the_least_seconds_and_no_limit_none() -> None:
    state = state_of(plan_of([0.5], 1), backup_seconds=5.0)
    (first,) = submits(step(state, [], 0.0)[1])
    step(state, [started(first.attempt_id)], 2.0)
    assert waits(state) == [(3.500002, "behind"), (7.0, "back-up"), (120.0, "silent")]
    step(state, [], 3.5)
    assert state.as_planned
    step(state, [], 3.501)
    assert not state.as_planned
    state = state_of(plan_of([0.5], 1), backup_factor=inf)
    (first,) = submits(step(state, [], 0.0)[1])
    state.scale_known = False
    step(state, [started(first.attempt_id)], 2.0)
    assert waits(state) == [(120.0, "silent")]


def test_a_limit_kills_once_waits_a_grace_and_gives_up_what_never_ended() -> None:
    state = state_of(plan_of([10.0], 1), timeout_seconds=20.0, grace_seconds=7.0, backup_factor=inf)
    (first,) = submits(step(state, [], 0.0)[1])
    step(state, [started(first.attempt_id)], 0.0)
    assert step(state, [], 19.9)[1] == []
    _, actions = step(state, [], 20.0)
    assert (rungs(actions), actions[-1]) == (["timed out"], Cancel(first.attempt_id, kill=True))
    assert state.attempts[first.attempt_id].why is not None
    assert state.attempts[first.attempt_id].why.message == "it took longer than 20 s"  # type: ignore[union-attr]
    assert step(state, [], 26.9)[1] == []
    _, actions = step(state, [], 27.0)
    assert [a.number for a in submits(actions)] == [1]
    assert (state.deaths, list(state.attempts)) == ({0: 1}, ["t000000-a1"])
    assert step(state, [ends(EventKind.CANCELLED, first)], 28.0)[1] == []


def test_a_back_up_that_is_due_meanwhile_gives_up_nothing_that_is_being_killed() -> None:
    state = state_of(plan_of([1.0], 1), timeout_seconds=20.0, grace_seconds=7.0, backup_seconds=22.0)
    (first,) = submits(step(state, [], 0.0)[1])
    step(state, [started(first.attempt_id)], 0.0)
    step(state, [], 20.0)
    step(state, [], 23.0)
    assert list(state.attempts) == [first.attempt_id]


def test_what_began_is_not_silent_though_its_worker_went_away() -> None:
    state = state_of(plan_of([1.0], 2), silent_seconds=20.0, backup_factor=inf, rerouted=True)
    (first,) = submits(step(state, [], 0.0)[1])
    gone = Event(EventKind.WORKER_LOST, worker_id=first.worker_id)
    step(state, [started(first.attempt_id), gone], 1.0)
    step(state, [], 21.0)
    assert list(state.attempts) == [first.attempt_id]


def test_the_reason_of_a_limit_stays_when_the_engine_calls_it_a_death() -> None:
    state = state_of(plan_of([10.0], 1, memory_bytes=[5.0]), timeout_seconds=20.0, backup_factor=inf)
    (first,) = submits(step(state, [], 0.0)[1])
    step(state, [started(first.attempt_id)], 0.0)
    step(state, [], 20.0)
    _, actions = step(state, [ends(EventKind.LOST, first)], 21.0)
    (told,) = [a for a in actions if rungs([a]) == ["retried"]]
    assert told.reason == "TimedOut; again, alone"  # type: ignore[union-attr]
    assert state.demands.memory == [5.0]


def test_silence_on_an_idle_worker_is_a_loss_that_nobody_is_charged_for() -> None:
    state = state_of(plan_of([1.0, 1.0], 3), silent_seconds=20.0)
    first, second = submits(step(state, [], 0.0)[1])
    step(state, [started(second.attempt_id)], 1.0)
    _, actions = step(state, [], 20.0)
    assert rungs(actions) == ["silent", "excluded"]
    assert [a for a in actions if isinstance(a, Cancel)] == [Cancel(first.attempt_id)]
    assert (state.excluded, state.deaths, state.failures) == ({first.worker_id: 30.0}, {}, {})
    assert state.trouble(first.task).losses == 1
    (again,) = submits(actions)
    assert (again.task, again.number, again.worker_id) == (first.task, 1, "worker-2")


def test_a_wait_for_an_attempt_that_ended_is_over() -> None:
    state = state_of(plan_of([1.0, 9.0], 1), silent_seconds=20.0, ahead_seconds=0.0, keep_queued=9)
    (first,) = submits(step(state, [], 0.0)[1])
    (second,) = submits(step(state, [started(first.attempt_id), done(first)], 1.0)[1])
    step(state, [started(second.attempt_id)], 1.0)
    assert submits(step(state, [], 20.0)[1]) == []
    assert list(state.attempts) == [second.attempt_id]


@pytest.mark.parametrize(
    ("waiting", "excluded", "stuck", "alarm"),
    [
        ([(50.0, "silent", "x")], {}, None, 40.0),
        ([(50.0, "silent", "x")], {"w": 30.0, "v": 35.0}, None, 30.0),
        ([], {}, 5.0, 15.0),
        ([(9.0, "silent", "x")], {}, None, 1e-6),
        ([], {}, None, inf),
    ],
)
def test_the_next_alarm_is_at_the_end_of_the_shortest_wait(
    waiting: list[tuple[float, str, str]], excluded: dict[str, float], stuck: float | None, alarm: float
) -> None:
    state = state_of(plan_of([1.0]), no_worker_seconds=20.0)
    state.clock, state.due, state.excluded, state.stuck_since = 10.0, waiting, excluded, stuck
    timers.set_alarm(state, 1000.0)
    assert state.quiet_seconds(1000.0) == pytest.approx(alarm)


def test_an_alarm_that_is_set_earlier_is_enough_and_a_later_one_is_not() -> None:
    state = state_of(plan_of([1.0]))
    state.excluded = {"w": 30.0}
    state.alarm(1020.0)
    timers.set_alarm(state, 1000.0)
    assert len(state.alarms) == 1
    state.alarms = [(1040.0, "")]
    timers.set_alarm(state, 1000.0)
    assert state.quiet_seconds(1000.0) == 30.0


def test_alarms_ring_at_their_time_and_look_at_their_worker() -> None:
    state = state_of(plan_of([1.0]))
    state.hungry.clear()
    for when, name in ((5.0, "worker-1"), (7.0, "worker-0"), (5.0, "nobody")):
        state.alarm(when, name)
    state.hear_alarms(4.9)
    assert (list(state.hungry), state.quiet_seconds(4.0)) == ([], 1.0)
    state.hear_alarms(5.0)
    assert (list(state.hungry), state.quiet_seconds(5.0), state.quiet_seconds(9.0)) == (["worker-1"], 2.0, 0.0)
    state.hear_alarms(7.0)
    assert state.quiet_seconds(7.0) == inf


def test_a_worker_where_something_runs_is_busy() -> None:
    state = state_of(by_hand([1.0], 1, [0]))
    (first,) = submits(step(state, [], 0.0)[1])
    live = state.attempts[first.attempt_id]
    assert timers._worker_is_busy(state, live) is False
    live.started = 0.0
    assert timers._worker_is_busy(state, live) is True
    assert timers._worker_is_busy(state, Live(first, 1.0)) is True
    state.workers.clear()
    assert timers._worker_is_busy(state, live) is False


def test_what_waits_on_a_worker_that_fell_behind_is_taken_back_and_not_sent_there_again() -> None:
    state = state_of(by_hand([2.0] * 8, 2, [0, 1] * 4), backup_factor=inf)
    here, there = submits(step(state, [], 0.0)[1])
    step(state, [started(a.attempt_id) for a in (here, there)], 0.0)
    (ahead,) = [a.attempt for a in state.attempts.values() if a.started is None and a.attempt.worker_id == "worker-0"]
    other = next(a.attempt for a in state.attempts.values() if a.started is None and a.attempt.worker_id == "worker-1")
    step(state, [done(there, seconds=2.0), started(other.attempt_id)], 2.0)
    assert state.as_planned
    _, actions = step(state, [], 3.1)
    assert ([a for a in actions if isinstance(a, Cancel)], state.as_planned) == ([Cancel(ahead.attempt_id)], False)
    assert (state.moved[ahead.task], state.trouble(ahead.task).slow_on) == ({"worker-0"}, {"worker-0"})
    step(state, [ends(EventKind.CANCELLED, ahead)], 3.2)
    assert all(a.attempt.worker_id == "worker-1" for a in state.attempts.values() if a.started is None)


def test_nothing_is_taken_back_where_the_engine_cannot_or_nobody_else_is_there() -> None:
    for workers, recall in ((1, True), (2, False)):
        state = state_of(by_hand([2.0] * 8, workers, [0] * 8), recall=recall)
        (first,) = submits(step(state, [], 0.0)[1])
        step(state, [started(first.attempt_id)], 0.0)
        stealing.take_back(state, "worker-0")
        stealing.take_back(state, "nobody")
        assert (state.recalls, len(state.attempts)) == ([], 2)


def test_nobody_is_behind_whose_costs_are_no_seconds_or_who_left_the_plan_already() -> None:
    for change in ("scale_known", "as_planned"):
        state = state_of(plan_of([10.0], 1))
        (first,) = submits(step(state, [], 0.0)[1])
        setattr(state, change, False)
        step(state, [started(first.attempt_id)], 0.0)
        assert "behind" not in [what for _, what in waits(state)]
