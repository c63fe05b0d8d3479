"""Which sub-task an attempt is told to read ahead for, and when memory forbids it."""

from __future__ import annotations

from dataclasses import replace

from partitioner.coordinator.machine import step
from partitioner.coordinator.state import State, Submit
from partitioner.model import CostFacts, Plan, Upcoming, Worker, Workers
from tests.coordinator.paper import failed, plan_of, state_of


def told(state: State) -> dict[str, Upcoming | None]:
    """What the attempts of the first step are told."""
    _, actions = step(state, [], 0.0)
    return {a.attempt.task_key: a.attempt.upcoming for a in actions if isinstance(a, Submit)}


def reading(plan: Plan, **policy: object) -> State:
    return state_of(plan, **{"read_ahead": True, "ahead_seconds": 0.0, **policy})  # type: ignore[arg-type]


def one_worker(cpus: float = 1, memory: float = 100.0) -> Workers:
    return Workers.of([Worker("w", cpus=cpus, memory_bytes=memory)])


def test_it_is_the_head_of_the_queue_behind_the_attempt() -> None:
    assert told(reading(plan_of([3.0, 2.0, 1.0], one_worker()))) == {"t000000": Upcoming(1, 1)}


def test_other_slots_of_the_worker_take_the_sub_tasks_between() -> None:
    state = reading(plan_of([6.0, 5.0, 4.0, 3.0, 2.0], one_worker(cpus=2)), one_process=True)
    assert told(state) == {"t000001": Upcoming(2, 2), "t000000": Upcoming(3, 2)}  # the one that ends first is first


def test_slots_that_are_processes_apart_are_told_nothing() -> None:
    assert set(told(reading(plan_of([4.0, 3.0, 2.0, 1.0], one_worker(cpus=2)))).values()) == {None}


def test_the_last_sub_task_of_a_worker_is_told_nothing() -> None:
    assert told(reading(plan_of([1.0], one_worker()))) == {"t000000": None}


def test_engines_that_run_nothing_are_told_nothing() -> None:
    assert told(state_of(plan_of([3.0, 2.0], one_worker()))) == {"t000000": None}


def test_memory_for_one_sub_task_and_another_ones_rows_is_needed() -> None:
    plan = plan_of([3.0, 2.0], one_worker(memory=100.0), memory_bytes=[60.0, 41.0])
    assert told(reading(plan)) == {"t000000": None}
    plan = plan_of([3.0, 2.0], one_worker(memory=100.0), memory_bytes=[60.0, 40.0])
    assert told(reading(plan)) == {"t000000": Upcoming(1, 1)}


def test_what_the_process_holds_in_any_case_is_counted_once() -> None:
    plan = plan_of([3.0, 2.0], one_worker(memory=100.0), memory_bytes=[60.0, 60.0])
    facts = CostFacts("given", details={"process memory": {"resident": 40.0, "slots": 2}})
    assert told(reading(plan)) == {"t000000": None}
    assert told(reading(replace(plan, about=replace(plan.about, cost=facts)))) == {"t000000": Upcoming(1, 1)}


def test_an_attempt_that_looks_for_poison_rows_reads_nothing_ahead() -> None:
    state = reading(plan_of([3.0, 2.0], one_worker()), quarantine=True)
    step(state, [], 0.0)
    _, actions = step(state, [failed("t000000-a0")], 1.0)
    (submit,) = [a for a in actions if isinstance(a, Submit)]
    assert (submit.attempt.task_key, submit.attempt.care.isolate, submit.attempt.upcoming) == ("t000000", True, None)
