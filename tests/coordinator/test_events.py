"""What one event changes in the state, and what it must leave alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from partitioner.coordinator import machine
from partitioner.coordinator.machine import step
from partitioner.coordinator.state import Action, Cancel, State, Stop
from partitioner.coordinator.transitions import BLOCKED, DONE, LIVE, READY
from partitioner.coordinator.troubles import Part, Search
from partitioner.engines.simulated_world import record_of
from partitioner.errors import EngineLost
from partitioner.model import Attempt, Edges, Event, EventKind, Failure, Worker, Workers
from tests.coordinator.outcomes import done, ends, rowed, rungs, stop_of, submits
from tests.coordinator.paper import by_hand, failed, lost, started, state_of


def begun(count: int = 2, workers: int = 2, seconds: float = 10.0, **policy: Any) -> tuple[State, list[Attempt]]:
    """Each worker has its first sub-task from second 100 on the driver's clock; nothing waits ahead."""
    settings: dict[str, Any] = {"ahead_seconds": 0.0, "keep_queued": 99, "backup_factor": 1e9, **policy}
    state = state_of(by_hand([seconds] * count, workers, [i % workers for i in range(count)]), **settings)
    live = submits(step(state, [], 100.0)[1])
    return state, live


# ---- starts


def test_a_start_is_noted_at_the_second_of_the_event_or_else_of_the_step() -> None:
    state, (first, second) = begun()
    step(state, [replace(started(first.attempt_id), at=101.5), started(second.attempt_id)], 103.0)
    assert [state.attempts[a.attempt_id].started for a in (first, second)] == [101.5, 103.0]


def test_a_start_takes_the_seconds_off_what_waits_and_looks_at_the_worker() -> None:
    state, (first, _) = begun()
    holder = state.workers["worker-0"]
    holder.ahead = 13.0
    step(state, [started(first.attempt_id)], 101.0)
    assert holder.ahead == 3.0
    assert state.workers["worker-1"].ahead == 10.0


def test_a_start_elsewhere_moves_the_attempt_unless_that_worker_is_not_known() -> None:
    state, (first, second) = begun()
    step(state, [started(first.attempt_id, "worker-1"), started(second.attempt_id, "nobody")], 101.0)
    assert state.attempts[first.attempt_id].attempt.worker_id == "worker-1"
    assert state.attempts[second.attempt_id].attempt.worker_id == "worker-1"
    assert (state.workers["worker-0"].used_cpus, state.workers["worker-1"].used_cpus) == (0.0, 2.0)


def test_a_start_where_it_was_asked_for_is_as_planned() -> None:
    state, (first, _) = begun()
    step(state, [started(first.attempt_id, "worker-0")], 101.0)
    assert state.as_planned is True


def test_a_start_of_what_nobody_knows_changes_nothing() -> None:
    state, _ = begun()
    assert step(state, [started("t000009-a0")], 101.0)[1] == []
    assert len(state.attempts) == 2


def test_a_start_after_its_worker_went_away_is_noted() -> None:
    state, (first, _) = begun(rerouted=True)
    step(state, [Event(EventKind.WORKER_LOST, worker_id="worker-0"), started(first.attempt_id)], 101.0)
    assert state.attempts[first.attempt_id].started == 101.0


# ---- ends


def test_an_end_is_counted_once_with_what_it_took() -> None:
    state, (first, _) = begun(4)
    state.scale_known = False
    step(state, [started(first.attempt_id), done(first, seconds=10.0)], 110.0)
    assert (state.status[0], state.remaining, state.finished) == (DONE, 3, False)
    assert (state.predicted_done, state.actual_done, state.scale_known, state.completions) == (10.0, 10.0, True, 1)
    assert state.health["worker-0"].successes == 1
    step(state, [done(first, seconds=10.0)], 111.0)
    assert (state.remaining, state.predicted_done, state.completions, state.health["worker-0"].successes) == (
        3,
        10.0,
        1,
        1,
    )


def test_an_end_on_another_worker_than_asked_is_learned_there() -> None:
    state, (first, _) = begun()
    event = replace(done(first, seconds=20.0), worker_id="worker-1")
    step(state, [event], 110.0)
    assert (state.workers["worker-0"].weight, state.workers["worker-1"].weight) == (0.0, 1.0)
    assert (state.health["worker-0"].successes, state.health["worker-1"].successes) == (0, 1)
    assert state.as_planned is False


def test_an_end_where_it_was_asked_for_is_as_planned() -> None:
    state, (first, _) = begun()
    step(state, [started(first.attempt_id), done(first, seconds=10.0)], 110.0)
    assert state.as_planned is True


def test_the_workers_are_compared_at_the_eighth_completion_and_then_again_after_some() -> None:
    state, (first, _) = begun(20)
    state.completions = 7
    step(state, [done(first, seconds=10.0)], 110.0)
    assert (state.completions, state.next_forecast) == (8, 16)


def test_an_end_without_a_record_says_nothing_of_durations() -> None:
    state, (first, _) = begun()
    step(state, [Event(EventKind.FINISHED, first.attempt_id, "worker-0")], 110.0)
    assert (state.status[0], state.as_planned, state.completions, state.predicted_done) == (DONE, False, 0, 0.0)


def test_rows_set_aside_are_added_up_and_exactly_the_limit_is_allowed() -> None:
    state, (first, second) = begun(max_quarantined=5)
    _, actions = step(state, [done(first, quarantined=3)], 110.0)
    assert (state.quarantined, state.stopped) == (3, False)
    _, actions = step(state, [done(second, quarantined=2)], 111.0)
    assert (state.quarantined, state.stopped, state.finished) == (5, False, True)
    state, (first, _) = begun(max_quarantined=5)
    _, actions = step(state, [done(first, quarantined=6)], 110.0)
    assert stop_of(actions) == (
        "6 rows are set aside, max_quarantined allows 5. Look at them with 'partitioner quarantine list memory://run', "
        "mend the program or the rows, and resume or raise the limit."
    )
    assert Cancel("t000001-a0") in actions
    assert state.stopped


def test_the_end_of_a_part_says_nothing_of_the_plans_durations() -> None:
    state, first = in_parts()
    step(state, [done(first, part=(0, 4), seconds=99.0)], 111.0)
    assert (state.completions, state.as_planned, state.predicted_done) == (0, True, 0.0)


def in_parts() -> tuple[State, Attempt]:
    """The only sub-task of 8 rows is split; its first half runs."""
    state = state_of(rowed([8], 1), divisible=True)
    state.status[0] = 4
    search = state.searches[0] = Search(8)
    task = state.add_part(Part(0, "t000000.0-4", 0, 4, ("t000000",)), 0.5)
    search.parts.add(task)
    search.next[task] = (4, 8)
    (attempt,) = submits(step(state, [], 110.0)[1])
    state.as_planned = True
    return state, attempt


def test_the_last_part_makes_the_whole_done_and_frees_what_waits_for_it() -> None:
    state, first = in_parts()
    state.readiness.children[0] = [(7, 0.0, 0.0)]
    state.readiness.missing[7] = 1
    (second,) = submits(step(state, [done(first, part=(0, 4))], 111.0)[1])
    assert (second.task_key, state.readiness.missing, state.finished) == ("t000000.4-8", {7: 1}, False)
    state.home += ["", "", "", "", ""]
    step(state, [done(second, part=(4, 8))], 112.0)
    assert (state.readiness.missing, state.readiness.due, state.finished) == ({}, [(2.0, 7)], True)


def test_a_count_of_rows_divides_the_sub_task_and_of_none_or_one_does_not() -> None:
    for rows, keys in ((8, ["t000000.0-4"]), (1, ["t000000.0-1"]), (0, [])):
        state = state_of(rowed([-1], 1), divisible=True)
        state.trouble(0).counting = True
        state.readiness.children[0], state.readiness.missing[7] = [(7, 99.0, 0.0)], 1
        state.home += [""] * 8
        (first,) = submits(step(state, [], 0.0)[1])
        assert first.care.count
        _, actions = step(state, [done(first, split=True, part=(0, rows))], 1.0)
        assert [a.task_key for a in submits(actions)] == keys
        assert (state.trouble(0).counting, state.finished) == (False, not keys)
        assert state.readiness.missing == ({7: 1} if keys else {})


def test_a_count_without_a_figure_goes_by_what_the_input_says() -> None:
    state = state_of(rowed([6], 1), divisible=True)
    state.trouble(0).counting = True
    (first,) = submits(step(state, [], 0.0)[1])
    _, actions = step(state, [done(first, split=True, part=None)], 1.0)
    assert [a.task_key for a in submits(actions)] == ["t000000.0-3"]


def test_a_part_that_was_divided_before_is_divided_again() -> None:
    state, first = in_parts()
    _, actions = step(state, [done(first, split=True, part=None)], 111.0)
    assert [a.task_key for a in submits(actions)] == ["t000000.0-2"]


def test_a_sub_task_of_a_part_of_one_whole_finds_another_whole_committed_and_goes_on() -> None:
    state, first = in_parts()
    event = done(first, task_key="t000009", part=None)
    step(state, [event], 111.0)
    assert 0 in state.searches


def test_a_whole_committed_late_is_done_at_once() -> None:
    state, first = in_parts()
    state.readiness.children[0] = [(7, 0.0, 0.0)]
    state.readiness.missing[7] = 1
    state.home += [""] * 8
    step(state, [done(first, task_key="t000000", part=None)], 111.0)
    assert (state.finished, state.status[0], state.searches, state.readiness.missing) == (True, DONE, {}, {})


# ---- what goes wrong


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


@pytest.mark.parametrize(
    ("kind", "waste"), [(EventKind.FINISHED, 14.0), (EventKind.CANCELLED, 14.0), (EventKind.FAILED, 0.0)]
)
def test_what_the_loser_took_is_waste(kind: EventKind, waste: float) -> None:
    state, first, copy = with_copy()
    _, actions = step(state, [done(copy)], 110.0)
    assert actions == [Cancel(first.attempt_id)]
    assert (state.attempts[first.attempt_id].unwanted, state.copies) == (True, {})
    step(state, [ends(kind, first)], 115.0)
    assert (state.wasted_seconds, state.remaining) == (waste, 0)


def test_a_loser_that_never_began_wasted_nothing() -> None:
    state, first, copy = with_copy()
    state.attempts[first.attempt_id].started = None
    step(state, [done(copy), ends(EventKind.CANCELLED, first)], 110.0)
    assert state.wasted_seconds == 0.0


# ---- workers


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
    assert "no detail" in stop_of(step(begun(2)[0], [Event(EventKind.ENGINE_LOST)], 101.0)[1])


# ---- the step itself


def test_after_a_stop_nothing_is_handed_out_and_no_second_stop_is_told() -> None:
    state, (first, second) = begun(6, max_retries=0)
    _, actions = step(state, [failed(first.attempt_id), failed(second.attempt_id)], 101.0)
    assert [type(a) for a in actions].count(Stop) == 1
    assert submits(actions) == []
    assert step(state, [ends(EventKind.CANCELLED, second)], 102.0)[1] == []


def test_reasons_come_before_what_is_done_and_are_told_once() -> None:
    state, (first, _) = begun(4)
    _, actions = step(state, [failed(first.attempt_id)], 101.0)
    assert rungs(actions[:1]) == ["retried"]
    assert rungs(step(state, [], 102.0)[1]) == []


def test_the_first_step_is_second_zero_of_the_run() -> None:
    state, _ = begun(2)
    assert (state.began, state.second(103.5)) == (100.0, 3.5)
    step(state, [], 105.0)
    assert state.began == 100.0
    assert state_of(by_hand([1.0], 1, [0])).second(9.0) == 0.0


def stuck(seconds: float = 60.0) -> State:
    """No worker is left."""
    state = state_of(by_hand([1.0], 1, [0]), no_worker_seconds=seconds)
    step(state, [], 0.0)
    step(state, [Event(EventKind.WORKER_LOST, worker_id="worker-0")], 10.0)
    return state


def stops(actions: list[Action]) -> list[type]:
    return [type(a.error) for a in actions if isinstance(a, Stop)]


def test_exactly_as_long_as_said_is_waited_for_a_worker() -> None:
    state = stuck()
    assert state.stuck_since == 10.0
    assert all(stops(step(state, [], now)[1]) == [] for now in (39.0, 59.0, 69.9))
    assert stops(step(state, [], 70.0)[1]) == [EngineLost]


def test_a_worker_that_comes_in_time_ends_the_wait() -> None:
    state = stuck()
    step(state, [Event(EventKind.WORKER_JOINED, worker_id="new", worker=Worker("new"))], 39.0)
    assert state.stuck_since is None
    step(state, [Event(EventKind.WORKER_LOST, worker_id="new")], 41.0)
    assert stops(step(state, [], 70.0)[1]) == []
    assert state.stuck_since == pytest.approx(41.0)


def test_a_sub_task_that_waits_for_its_second_is_no_reason_to_stop() -> None:
    state = state_of(by_hand([1.0], 1, [0], start=[500.0], release=[500.0]), no_worker_seconds=20.0)
    assert all(stops(step(state, [], float(now))[1]) == [] for now in range(0, 400, 10))
    assert (state.stuck_since, state.status[0] == READY) == (None, False)


def test_a_sub_task_that_is_late_in_the_plan_and_waits_for_its_second_is_no_reason_to_stop() -> None:
    state = state_of(by_hand([1.0], 1, [0], start=[0.0], release=[500.0]), no_worker_seconds=20.0)
    assert all(stops(step(state, [], float(now))[1]) == [] for now in range(0, 400, 10))
    assert state.workers["worker-0"].held is None


def test_a_head_that_is_late_since_nobody_can_hold_what_it_waits_for_is_a_reason_to_stop() -> None:
    table = Workers.of([Worker("large", memory_bytes=100.0), Worker("small", memory_bytes=10.0)])
    plan = by_hand([5.0, 1.0], table, [0, 1], start=[0.0, 10.0], memory_bytes=[50.0, 1.0])
    edges = Edges(np.array([0]), np.array([1]), np.zeros(1), np.zeros(1))
    state = state_of(replace(plan, tasks=plan.tasks.with_columns(edges=edges)), no_worker_seconds=20.0)
    step(state, [], 0.0)
    step(state, [Event(EventKind.WORKER_LOST, worker_id="large")], 1.0)
    said = [stop for now in range(5, 60, 5) for stop in stops(step(state, [], float(now))[1])]
    assert said == [EngineLost]


def test_a_head_that_waits_for_its_place_in_the_plan_is_no_reason_to_stop() -> None:
    state = state_of(by_hand([1.0, 1.0], 1, [0, 0], start=[500.0, 600.0]), no_worker_seconds=20.0)
    state.status[0] = 3
    state.readiness.missing[0] = 1
    assert all(stops(step(state, [], float(now))[1]) == [] for now in range(0, 400, 10))


def test_the_last_words_of_a_run_without_workers_say_how_many_wait() -> None:
    state = stuck(20.0)
    actions = [a for now in (20.0, 30.0) for a in step(state, [], now)[1]]
    assert stop_of(actions) == (
        "1 sub-tasks wait and none of the 0 workers left can hold them for 20 s. Start workers and resume the run."
    )


def test_a_record_of_an_attempt_that_handed_over_keeps_what_is_below_the_row() -> None:
    state = state_of(rowed([8, 1], 2), divisible=True)
    first = next(a for a in submits(step(state, [], 0.0)[1]) if a.task == 0)
    record = replace(record_of(first, 0.0, 4.0), part=(0, 3), task_key="t000000.0-3")
    step(
        state,
        [started(first.attempt_id), Event(EventKind.FINISHED, first.attempt_id, first.worker_id, record=record)],
        4.0,
    )
    assert [(p.start, p.stop) for p in state.parts.values()] == [(3, 8)]


def test_an_attempt_that_handed_over_at_its_end_has_done_it_all() -> None:
    state = state_of(rowed([8, 1], 2), divisible=True)
    state.status[1] = BLOCKED
    state.readiness.children[0], state.readiness.missing[1] = [(1, 0.0, 0.0)], 1
    (first,) = submits(step(state, [], 0.0)[1])
    record = replace(record_of(first, 0.0, 4.0), part=(0, 8), task_key="t000000.0-8")
    event = Event(EventKind.FINISHED, first.attempt_id, first.worker_id, record=record)
    step(state, [started(first.attempt_id), event], 4.0)
    assert (state.status[0], state.status[1], state.parts) == (DONE, LIVE, {})
