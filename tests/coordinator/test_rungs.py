"""Corners of the failure ladder: each of these tests is there because a wrong line passed all the others."""

from __future__ import annotations

from typing import Any

import numpy as np

from partitioner.coordinator import blame
from partitioner.coordinator.machine import step
from partitioner.coordinator.state import Cancel, Live, State, Stop
from partitioner.model import Attempt, Event, EventKind, Failure, Worker, Workers
from tests.coordinator.outcomes import DEATH, done, ends, killer, play, rowed, rungs, stop_of, submits
from tests.coordinator.paper import failed, lost, plan_of, started, state_of


def gone(name: str) -> Event:
    return Event(EventKind.WORKER_LOST, worker_id=name)


def two_of_two_cores() -> Workers:
    return Workers.of([Worker("a", cpus=2, memory_bytes=1e9), Worker("b", cpus=2, memory_bytes=1e9)])


def test_what_a_worker_was_reserved_for_goes_elsewhere_when_that_is_lost() -> None:
    state = state_of(plan_of([50.0, 50.0], two_of_two_cores(), cpus=[1.0, 2.0]))
    step(state, [], 0.0)
    big = next(a.attempt for a in state.attempts.values() if a.attempt.task == 1)
    other = "a" if big.worker_id == "b" else "b"
    step(state, [started(a) for a in state.attempts], 0.5)
    step(state, [failed(big.attempt_id)], 1.0)
    assert state.workers[other].reserved == 1
    (small,) = submits(step(state, [gone(other)], 2.0)[1])
    assert submits(step(state, [done(small)], 3.0)[1]) == []  # the other may come back
    (again,) = submits(step(state, [], 8.0)[1])
    assert (small.task, again.task, again.worker_id) == (0, 1, big.worker_id)


def test_a_row_that_died_once_is_not_condemned_while_the_other_worker_is_away_for_a_moment() -> None:
    state = state_of(rowed([2]), quarantine=True, divisible=True)
    events = [gone("worker-1")]
    told: list[str] = []
    for now in range(4):
        _, actions = step(state, events, float(now))
        told += rungs(actions)
        (live,) = state.attempts.values()
        events = [started(live.attempt.attempt_id), ends(EventKind.LOST, live.attempt, DEATH)]
    assert live.attempt.care.rows == (0, 1)
    _, actions = step(state, events, 5.0)
    assert rungs(actions) == ["confirmed"]


def test_a_worker_does_not_confirm_what_it_said_itself() -> None:
    state = state_of(plan_of([2.0]), quarantine=True)
    (first,) = submits(step(state, [], 0.0)[1])
    (second,) = submits(step(state, [failed(first.attempt_id)], 1.0)[1])
    said = failed(second.attempt_id, suspects=((3, 5),))
    assert submits(step(state, [gone(first.worker_id), said], 2.0)[1]) == []
    (third,) = submits(step(state, [], 8.0)[1])
    assert (third.worker_id, third.care.suspects) == (second.worker_id, ())


def test_parts_do_not_name_what_holds_none_of_their_rows() -> None:
    state = state_of(rowed([8]), quarantine=True, divisible=True)
    above = {a.care.rows: a.care.split_from for a in submits(play(state, killer(0))) if a.care.rows}
    assert above[1, 8] == ("t000000",)


def test_a_straggler_is_not_backed_up_on_its_own_worker() -> None:
    state = state_of(plan_of([10.0, 5.0], Workers.of([Worker("a", cpus=2, memory_bytes=1e9)])))
    slow, quick = submits(step(state, [], 0.0)[1])
    step(state, [started(slow.attempt_id), started(quick.attempt_id)], 0.0)
    step(state, [done(quick)], 5.0)
    assert [submits(step(state, [], now)[1]) for now in (20.0, 30.0, 40.0)] == [[], [], []]


def on(attempt: Attempt, worker_id: str, **why: Any) -> Event:
    return Event(EventKind.FAILED, attempt.attempt_id, worker_id, error=Failure("disk full", "OSError", **why))


def test_a_failure_is_held_against_the_worker_where_it_happened_and_not_the_one_that_was_asked_for() -> None:
    state = state_of(plan_of([2.0] * 3, workers=3), rerouted=True)
    asked = {a.worker_id: a for a in submits(step(state, [], 0.0)[1])}
    step(state, [on(asked["worker-0"], "worker-2")], 1.0)
    assert list(state.health["worker-2"].failing) == [asked["worker-0"].task]
    assert state.health["worker-0"].failing == {}


def test_where_a_placement_is_a_hint_attempts_name_the_workers_that_are_to_hand_them_back() -> None:
    state = state_of(plan_of([2.0] * 3, workers=3), rerouted=True)
    first = submits(step(state, [], 0.0)[1])
    assert [a.avoid for a in first] == [(), (), ()]
    (again,) = submits(step(state, [on(first[0], first[0].worker_id), done(first[1])], 1.0)[1])
    assert (again.task, again.avoid) == (first[0].task, (first[0].worker_id,))


def handed_back_in_circles(workers: int, running: int) -> list[tuple[str, ...]]:
    """What the attempts at a sub-task are to avoid, one after the other, each handed back after a second."""
    state = state_of(plan_of([500.0] * workers, workers=workers), rerouted=True)
    first = submits(step(state, [], 0.0)[1])
    step(state, [started(a.attempt_id) for a in first], 0.0)
    over = [on(first[0], first[0].worker_id), *(done(a) for a in first[1 : workers - running])]
    (again,) = submits(step(state, over, 100.0)[1])
    told = [again.avoid]
    for second in range(101, 109):
        back = Failure("elsewhere", "Misplaced", charged=False)
        went = Event(EventKind.CANCELLED, again.attempt_id, first[0].worker_id, error=back)
        step(state, [started(again.attempt_id)], second - 0.5)
        (again,) = submits(step(state, [went], float(second))[1])
        told.append(again.avoid)
    return told


def test_what_is_handed_back_in_circles_while_nothing_else_runs_is_made_where_it_comes() -> None:
    assert handed_back_in_circles(workers=2, running=0) == [("worker-0",)] * 6 + [()] * 3


def test_what_is_handed_back_while_others_really_run_goes_on_being_handed_back() -> None:
    assert handed_back_in_circles(workers=3, running=1) == [("worker-0",)] * 9


def test_what_began_forty_seconds_ago_really_runs() -> None:
    state = state_of(plan_of([500.0] * 2, workers=2), rerouted=True)
    first = submits(step(state, [], 0.0)[1])
    step(state, [started(a.attempt_id) for a in first], 0.0)
    state.handed_back = 6
    found = []
    for second in (39.0, 40.0):
        state.last_now = second
        found.append(blame._in_circles(state))
    assert found == [True, False]
    state.handed_back, state.last_now = 5, 39.0
    assert not blame._in_circles(state)


def test_where_a_placement_is_exact_nothing_needs_to_be_named() -> None:
    state = state_of(plan_of([2.0] * 3, workers=3))
    first = submits(step(state, [], 0.0)[1])
    (again,) = submits(step(state, [on(first[0], first[0].worker_id), done(first[1])], 1.0)[1])
    assert again.avoid == ()


def test_an_attempt_that_was_handed_back_is_given_out_again_and_charged_to_nobody() -> None:
    state = state_of(plan_of([2.0], workers=2), rerouted=True, max_retries=0)
    (first,) = submits(step(state, [], 0.0)[1])
    back = Event(EventKind.CANCELLED, first.attempt_id, "worker-1", error=Failure("not here", charged=False))
    (again,) = submits(step(state, [back], 1.0)[1])
    assert (again.task, again.number, state.failures, state.health["worker-1"].failing) == (0, 1, {}, {})


def test_nothing_waits_in_the_engine_while_a_worker_is_left_out() -> None:
    state = state_of(plan_of([2.0] * 20, workers=2), rerouted=True, bundle=10)
    assert len(submits(step(state, [], 0.0)[1])) > 4
    state = state_of(plan_of([2.0] * 20, workers=2), rerouted=True, bundle=10)
    state.excluded["worker-1"] = 30.0
    assert [a.worker_id for a in submits(step(state, [], 0.0)[1])] == ["worker-0"]


def blamed(state: State, name: str, task: int) -> None:
    """``task`` failed on ``name`` and goes well on another worker now."""
    state.trouble(task).failed_on = {name: 1}
    state.workers[name].health.failing[task] = None
    other = next(n for n in state.workers if n != name)
    live = Live(Attempt(f"t{task:06d}", task, 0, other, "memory://run"), 1.0)
    assert blame.succeeded(state, live, 0) is None


def test_a_worker_is_left_out_after_two_failures_that_went_well_elsewhere_then_after_one_and_twice_as_long() -> None:
    state = state_of(plan_of([1.0] * 9, workers=3), exclude_after=2, exclude_seconds=30.0)
    blamed(state, "worker-1", 0)
    assert state.excluded == {}
    blamed(state, "worker-1", 1)
    assert state.excluded == {"worker-1": 30.0}
    blame.pass_time(state, 30.0)
    assert state.excluded == {}
    blamed(state, "worker-1", 2)
    assert state.excluded == {"worker-1": 60.0}


def test_few_failures_among_many_successes_leave_nobody_out() -> None:
    state = state_of(plan_of([1.0] * 9, workers=3), exclude_after=2)
    state.workers["worker-1"].health.successes = 20
    for task in range(3):
        blamed(state, "worker-1", task)
    assert state.excluded == {}
    blamed(state, "worker-1", 3)
    assert list(state.excluded) == ["worker-1"]


def test_what_waits_for_a_worker_that_is_left_out_goes_to_the_others() -> None:
    state = state_of(plan_of([1.0] * 9, workers=3), ahead_seconds=0.0)
    step(state, [], 0.0)
    queue = list(state.workers["worker-1"].queue)
    assert queue
    blame.leave_out(state, state.workers["worker-1"], "it fails")
    assert sorted(state.pool) == queue
    assert (list(state.workers["worker-1"].queue), state.workers["worker-1"].backlog) == ([], 0.0)
    assert {state.home[task] for task in queue} == {""}


def test_an_attempt_that_rows_were_set_aside_in_blames_no_worker() -> None:
    state = state_of(plan_of([1.0] * 9, workers=3), exclude_after=1)
    state.trouble(0).failed_on = {"worker-1": 1}
    state.workers["worker-1"].health.failing[0] = None
    live = Live(Attempt("t000000", 0, 0, "worker-0", "memory://run"), 1.0)
    assert blame.succeeded(state, live, quarantined=1) is None
    assert (state.excluded, state.workers["worker-1"].health.failing) == ({}, {})


def test_a_success_takes_every_suspicion_from_its_worker() -> None:
    state = state_of(plan_of([1.0] * 9, workers=3))
    health = state.workers["worker-1"].health
    health.failing, health.suspended = {1: None, 2: None, 3: None}, True
    live = Live(Attempt("t000004", 4, 0, "worker-1", "memory://run"), 1.0)
    blame.succeeded(state, live, 0)
    assert (health.failing, health.suspended, health.successes) == ({}, False, 1)


def test_losses_are_allowed_as_often_as_the_limit_says_and_no_more() -> None:
    state = state_of(plan_of([1.0]), max_losses=3)
    stops = []
    for now in range(4):
        _, actions = step(state, [lost(f"t000000-a{now - 1}")] if now else [], float(now))
        stops += [a for a in actions if isinstance(a, Stop)]
    assert stops == []
    _, actions = step(state, [lost("t000000-a3")], 9.0)
    assert "handed to workers that went away 4 times (limit 3)" in stop_of(actions)


def test_after_the_second_death_it_goes_to_the_largest_worker_that_could_run_it() -> None:
    table = Workers.of(
        [
            Worker("small", memory_bytes=4e9),
            Worker("large", memory_bytes=16e9),
            Worker("largest", memory_bytes=64e9, cpus=0.5),
        ]
    )
    state = state_of(plan_of([1.0], table, memory_bytes=[1e9]))
    (first,) = submits(step(state, [], 0.0)[1])
    (second,) = submits(step(state, [started(first.attempt_id), lost(first.attempt_id)], 1.0)[1])
    assert second.memory_bytes == 2e9
    (third,) = submits(step(state, [started(second.attempt_id), lost(second.attempt_id)], 2.0)[1])
    assert (third.memory_bytes, third.worker_id) == (16e9, "large")


def test_nothing_is_asked_of_memory_after_a_timeout() -> None:
    state = state_of(plan_of([1.0], memory_bytes=[1e9]))
    (first,) = submits(step(state, [], 0.0)[1])
    (second,) = submits(step(state, [started(first.attempt_id), failed(first.attempt_id, timeout=True)], 1.0)[1])
    assert (second.memory_bytes, state.deaths) == (1e9, {0: 1})


def test_silence_is_no_loss_while_the_worker_is_busy_with_another() -> None:
    table = Workers.of([Worker("a", memory_bytes=1e9), Worker("b", memory_bytes=1e9)])
    state = state_of(plan_of([0.1, 0.1, 0.1, 0.1], table), silent_seconds=20.0, backup_factor=1e9, recall=False)
    live = submits(step(state, [], 0.0)[1])
    (running, waiting, *_) = [a for a in live if a.worker_id == "a"]
    others = [a for a in live if a.worker_id == "b"]
    step(state, [started(running.attempt_id), *(e for a in others for e in (started(a.attempt_id), done(a)))], 1.0)
    _, actions = step(state, [], 25.0)
    assert Cancel(waiting.attempt_id) not in actions
    step(state, [done(running)], 26.0)
    _, actions = step(state, [], 47.0)
    assert Cancel(waiting.attempt_id) in actions
    assert "excluded" in rungs(actions)


def test_a_back_up_goes_to_the_quickest_idle_worker_that_can_hold_it() -> None:
    table = Workers.of(
        [
            Worker("own", memory_bytes=8e9, speed=4.0),
            Worker("slow", memory_bytes=8e9, speed=1.0),
            Worker("quick", memory_bytes=8e9, speed=2.0),
            Worker("little", memory_bytes=1e9, speed=3.0),
        ]
    )
    state = state_of(plan_of([40.0], table, memory_bytes=[4e9]), backup_seconds=1.0)
    (first,) = submits(step(state, [], 0.0)[1])
    assert first.worker_id == "own"
    step(state, [started(first.attempt_id)], 0.0)
    made = [a for now in range(10, 200, 10) for a in submits(step(state, [], float(now))[1])]
    assert [a.worker_id for a in made] == ["quick"]


def test_nothing_is_backed_up_while_other_work_waits() -> None:
    state = state_of(plan_of([10.0] * 4), backup_seconds=1.0, ahead_seconds=0.0, keep_queued=9)
    first, second = submits(step(state, [], 0.0)[1])
    step(state, [started(first.attempt_id), started(second.attempt_id)], 0.0)
    actions = [a for now in range(10, 100, 10) for a in submits(step(state, [], float(now))[1])]
    assert [a.number for a in actions if a.task in (first.task, second.task)] == []


def test_a_third_attempt_is_never_started_beside_two() -> None:
    state = state_of(plan_of([10.0, 5.0, 5.0], 3), backup_seconds=1.0)
    live = submits(step(state, [], 0.0)[1])
    step(state, [started(a.attempt_id) for a in live], 0.0)
    slow = next(a for a in live if a.task == 0)
    step(state, [done(a) for a in live if a is not slow], 5.0)
    made: list[Attempt] = []
    for now in range(10, 400, 10):
        new = submits(step(state, [started(a.attempt_id) for a in made], float(now))[1])
        made += new
    assert len(made) == 1


def test_a_worker_that_joins_again_starts_with_nothing_held() -> None:
    state = state_of(plan_of([5.0] * 4), ahead_seconds=0.0)
    first = submits(step(state, [], 0.0)[1])
    step(state, [started(a.attempt_id) for a in first], 0.0)
    step(state, [gone("worker-1")], 1.0)
    assert "worker-1" not in state.workers
    back = Event(EventKind.WORKER_JOINED, worker_id="worker-1", worker=Worker("worker-1"))
    _, actions = step(state, [back], 2.0)
    assert [a.worker_id for a in submits(actions)] == ["worker-1"]
    assert (state.workers["worker-1"].used_cpus, len(state.workers["worker-1"].live)) == (1.0, 1)


def test_what_an_ended_attempt_held_is_given_back() -> None:
    table = Workers.of([Worker("a", cpus=2, memory_bytes=10.0, resources={"licence": 1.0})])
    plan = plan_of([5.0, 5.0], table, memory_bytes=[4.0, 4.0], resources={"licence": np.array([1.0, 1.0])})
    state = state_of(plan, ahead_seconds=0.0)
    (first,) = submits(step(state, [], 0.0)[1])
    holder = state.workers["a"]
    assert (holder.used_cpus, holder.used_memory, holder.used) == (1.0, 4.0, {"licence": 1.0})
    (second,) = submits(step(state, [started(first.attempt_id), done(first)], 5.0)[1])
    assert (holder.used_cpus, holder.used_memory, holder.used) == (1.0, 4.0, {"licence": 1.0})
    step(state, [started(second.attempt_id), done(second)], 10.0)
    assert (holder.used_cpus, holder.used_memory, holder.live) == (0.0, 0.0, {})


def test_the_driver_is_to_step_again_when_the_next_wait_is_over() -> None:
    state = state_of(plan_of([100.0]), timeout_seconds=50.0, silent_seconds=1000.0, backup_factor=1e9)
    (first,) = submits(step(state, [], 0.0)[1])
    step(state, [], 10.0)
    step(state, [started(first.attempt_id)], 20.0)
    assert abs(state.quiet_seconds(20.0) - 50.0) < 1e-3
    step(state, [], 45.0)
    assert abs(state.quiet_seconds(45.0) - 25.0) < 1e-3


def test_the_only_worker_is_not_left_out_for_its_silence() -> None:
    state = state_of(plan_of([1.0], workers=1), silent_seconds=20.0)
    step(state, [], 0.0)
    (again,) = submits(step(state, [], 21.0)[1])
    assert (again.number, state.excluded) == (1, {})
