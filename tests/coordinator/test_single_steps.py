"""One step by itself: after a stop, its first second, and how long is waited where nothing can go on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from partitioner.coordinator.machine import step
from partitioner.coordinator.state import Action, State, Stop
from partitioner.coordinator.transitions import BLOCKED, DONE, LIVE, READY
from partitioner.engines.simulated_world import record_of
from partitioner.errors import EngineLost
from partitioner.model import Edges, Event, EventKind, Worker, Workers
from tests.coordinator.begun import begun
from tests.coordinator.outcomes import ends, rowed, rungs, stop_of, submits
from tests.coordinator.paper import by_hand, failed, started, state_of


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
