"""Corners of the failure ladder: each of these tests is there because a wrong line passed all the others."""

from __future__ import annotations

from typing import Any

from partitioner.coordinator.machine import step
from partitioner.model import Attempt, Event, EventKind, Failure, Worker, Workers
from tests.coordinator.outcomes import DEATH, done, ends, killer, play, rowed, rungs, submits
from tests.coordinator.paper import failed, plan_of, started, state_of


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
    (again,) = submits(step(state, [done(small)], 3.0)[1])
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
    (third,) = submits(step(state, [gone(first.worker_id), said], 2.0)[1])
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
