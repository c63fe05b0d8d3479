"""What the start and the end of an attempt change in the state, and what they must leave alone."""

from __future__ import annotations

from dataclasses import replace

from partitioner.coordinator.machine import step
from partitioner.coordinator.state import Cancel, State
from partitioner.coordinator.transitions import DONE
from partitioner.coordinator.troubles import Part, Search
from partitioner.model import Attempt, Event, EventKind
from tests.coordinator.begun import begun
from tests.coordinator.outcomes import done, rowed, stop_of, submits
from tests.coordinator.paper import started, state_of


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


def test_a_suspect_that_starts_elsewhere_is_alone_there_until_it_ends() -> None:
    state, (first, second) = begun(6)
    state.deaths[first.task] = 1
    step(state, [started(first.attempt_id, "worker-1"), started(second.attempt_id)], 101.0)
    there = state.workers["worker-1"]
    assert (there.exclusive, len(there.live)) == (True, 2)
    step(state, [Event(EventKind.FINISHED, second.attempt_id, "worker-1", record=done(second).record)], 102.0)
    assert (there.exclusive, len(there.live)) == (True, 1)
    step(state, [Event(EventKind.FINISHED, first.attempt_id, "worker-1", record=done(first).record)], 103.0)
    assert (there.exclusive, len(there.live)) == (False, 1)


def test_an_end_elsewhere_gives_back_what_was_held_where_it_was_asked_for() -> None:
    state, (first, second) = begun(2)
    step(state, [Event(EventKind.FINISHED, first.attempt_id, "worker-1", record=done(first).record)], 101.0)
    assert {name: list(h.live) for name, h in state.workers.items()} == {
        "worker-0": [],
        "worker-1": [second.attempt_id],
    }
    assert (state.workers["worker-0"].used_cpus, state.workers["worker-1"].used_cpus) == (0.0, 1.0)


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


def test_what_a_fast_worker_took_is_compared_with_what_was_expected_there() -> None:
    state, (first, second) = begun()
    holder = state.workers["worker-0"]
    holder.worker = replace(holder.worker, speed=4.0)
    step(state, [started(first.attempt_id), done(first, seconds=2.5)], 102.5)
    assert (state.predicted_done, state.actual_done, state.scale) == (2.5, 2.5, 1.0)
    step(state, [started(second.attempt_id), done(second, seconds=12.5)], 112.5)
    assert (state.predicted_done, state.actual_done, state.scale) == (12.5, 15.0, 1.2)


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
    for rows, keys in ((8, ["t000000.0-4"]), (2, ["t000000.0-1"]), (1, ["t000000.0-1"]), (0, [])):
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
