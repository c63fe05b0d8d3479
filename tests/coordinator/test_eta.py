"""The ETA: an interval, and who decides."""

from __future__ import annotations

import pytest

from benchmarks.keeps_plan import told
from partitioner.coordinator.eta import Eta, eta
from partitioner.coordinator.machine import step
from partitioner.coordinator.policy import Policy
from partitioner.coordinator.state import State, Submit, initial
from partitioner.engines.simulated_world import record_of
from partitioner.model import Event, EventKind, Plan, Workers
from tests.coordinator.paper import plan_of, started, state_of


def running(seconds: list[float], workers: int = 2) -> State:
    """Every worker has begun its first sub-task."""
    state = state_of(plan_of(seconds, workers))
    step(state, [], 0.0)
    for attempt_id in list(state.attempts):
        step(state, [started(attempt_id)], 0.0)
    return state


def asked(state: State, now: float) -> Eta:
    said = eta(state, now)
    assert said is not None
    return said


def test_the_interval_lies_around_what_is_left() -> None:
    said = asked(running([10.0] * 20), 0.0)
    assert said.low < said.seconds < said.high
    assert said.seconds == pytest.approx(100.0, rel=0.15)


def test_the_one_long_sub_task_decides() -> None:
    said = asked(running([100.0, 1.0, 1.0]), 0.0)
    assert said.reason == "t000000 on worker-0 decides"


def test_many_short_ones_decide_together() -> None:
    assert asked(running([1.0] * 2000), 0.0).reason == ""


def test_what_has_run_for_some_time_has_less_left() -> None:
    state = running([100.0], 1)
    assert asked(state, 60.0).seconds == pytest.approx(asked(state, 0.0).seconds - 60.0, abs=15.0)


def test_what_is_far_beyond_its_prediction_is_still_expected_to_take_a_while() -> None:
    assert asked(running([10.0, 1.0]), 60.0).seconds > 5.0


def test_memory_that_keeps_sub_tasks_apart_is_counted() -> None:
    workers = Workers.identical(1, cpus=4, memory_bytes=100.0)
    state = state_of(plan_of([10.0] * 8, workers, memory_bytes=[100.0] * 8))
    assert asked(state, 0.0).seconds == pytest.approx(80.0, rel=0.3)


def test_nothing_is_said_before_a_completion_has_shown_what_rows_cost() -> None:
    state = running([10.0] * 4)
    state.scale_known = False
    assert eta(state, 0.0) is None


def test_a_finished_run_has_nothing_left() -> None:
    state = running([10.0])
    state.remaining = 0
    assert eta(state, 5.0) == Eta(0.0, 0.0, 0.0)


def test_the_interval_holds_the_truth_about_nine_times_in_ten() -> None:
    answers = [pair for seed in range(24) for pair in told(seed)]
    held = sum(said.low <= truth <= said.high for truth, said in answers) / len(answers)
    assert 0.85 <= held <= 0.95


def test_a_sub_task_of_several_cores_begins_when_they_are_free_together() -> None:
    plan = plan_of([10.0, 10.0], Workers.identical(1, cpus=2), cpus=[1.0, 2.0])
    state = state_of(plan, next_seconds=0.0, ahead_seconds=0.0)
    state.workers["worker-0"].queue.clear()
    state.workers["worker-0"].queue.extend([0, 1])
    step(state, [], 0.0)
    step(state, [started("t000000-a0")], 0.0)
    state.completions = 100  # all as predicted
    assert asked(state, 8.0).seconds < 18.0  # 2 + 10 and some doubt; a core each would be 20 + 1


def told_of(run: Plan, seconds: float, known: bool = True) -> Eta:
    """What is said once ten sub-tasks of the plan took ``seconds`` each."""
    state = initial(run, "run", Policy(ahead_seconds=0.0, next_seconds=0.0), seconds_known=known)
    now, events = 0.0, list[Event]()
    for _ in range(5):
        _, actions = step(state, events, now)
        attempts = [action.attempt for action in actions if isinstance(action, Submit)]
        step(state, [started(a.attempt_id) for a in attempts], now)
        now += seconds
        records = [record_of(a, now - seconds, now) for a in attempts]
        events = [Event(EventKind.FINISHED, r.attempt_id, r.worker_id, record=r) for r in records]
    step(state, events, now)
    return asked(state, now)


@pytest.mark.parametrize(("unit", "known"), [(10.0, True), (20.0, True), (1e6, False), (1e-3, False)])
def test_what_completions_show_counts_where_predictions_were_far_off_or_no_seconds(unit: float, known: bool) -> None:
    said = told_of(plan_of([unit] * 60), 10.0, known)
    assert said.seconds == pytest.approx(250.0, rel=0.1)  # fifty left, on two workers
    assert said.low <= 250.0 <= said.high


def test_the_first_completion_of_a_second_worker_is_no_miss_where_costs_are_no_seconds() -> None:
    run = plan_of([1000.0] * 6)
    state = initial(run, "run", Policy(ahead_seconds=0.0, next_seconds=0.0), seconds_known=False)
    _, actions = step(state, [], 0.0)
    attempts = [action.attempt for action in actions if isinstance(action, Submit)]
    step(state, [started(a.attempt_id) for a in attempts], 0.0)
    records = [record_of(a, 0.0, 30.0) for a in attempts]
    step(state, [Event(EventKind.FINISHED, r.attempt_id, r.worker_id, record=r) for r in records], 30.0)
    said = asked(state, 30.0)  # two rounds of 30 s are left
    assert state.squares == pytest.approx(0.0)
    assert said.low <= 60.0 <= said.high < 150.0
