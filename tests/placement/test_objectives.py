"""Objectives by their definitions, and plans that follow them."""

import numpy as np
import pytest

from partitioner.errors import ConfigError, UnknownName
from partitioner.model import SubTasks, Worker, Workers
from partitioner.placement.api import place
from partitioner.placement.objectives import money, money_until_last, objective_of, utilization
from partitioner.placement.problem import Problem
from partitioner.placement.schedule import Schedule

TASKS = SubTasks.build([2.0, 3.0, 4.0], cpus=[1.0, 2.0, 1.0], deadline=[2.0, 2.0, 8.0])
WORKERS = Workers.of([Worker("a", cpus=2, price_per_hour=3600.0), Worker("b", cpus=1, price_per_hour=1800.0)])
PROBLEM = Problem(TASKS, WORKERS)
# a runs the second task, then the first; b runs the third
SCHEDULE = Schedule(np.array([0, 0, 1], np.int32), np.array([3.0, 0.0, 0.0]), np.array([5.0, 3.0, 4.0]))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("makespan", 5.0),
        ("total_time", 9.0),
        ("total_completion", 12.0),
        ("utilization", 12 / 15),
        ("loss", 1.5 + 0.5),
        ("money", 5.0 + 2.0),
    ],
)
def test_values(name: str, value: float) -> None:
    assert objective_of(name).value(PROBLEM, SCHEDULE) == pytest.approx(value)


def test_money_until_the_last_finish_counts_idle_time() -> None:
    wait = np.array([1.0, 0.0, 0.0])
    late = Schedule(SCHEDULE.worker, SCHEDULE.start + wait, SCHEDULE.finish + wait)
    assert (money(PROBLEM, late), money_until_last(PROBLEM, late)) == pytest.approx((7.0, 8.0))


def test_overlapping_tasks_are_paid_once() -> None:
    both = Schedule(np.array([0, 1, 0], np.int32), np.array([0.0, 0.0, 1.0]), np.array([2.0, 3.0, 5.0]))
    assert money(PROBLEM, both) == pytest.approx(5.0 + 1.5)


def test_utilization_by_resource() -> None:
    assert utilization(PROBLEM, SCHEDULE) == {"cpus": pytest.approx(0.8)}


@pytest.mark.parametrize("spec", ["weighted:makespan=1,money=0.5", {"makespan": 1.0, "money": 0.5}])
def test_weighted(spec: object) -> None:
    assert objective_of(spec).value(PROBLEM, SCHEDULE) == pytest.approx(5.0 + 0.5 * 7.0)  # type: ignore[arg-type]


def test_weights_that_make_no_sense() -> None:
    with pytest.raises(ConfigError, match=r"weight -1.0 of objective 'money'"):
        objective_of({"money": -1.0})
    with pytest.raises(UnknownName, match="No objective named 'mony' to weigh"):
        objective_of({"mony": 1.0})
    with pytest.raises(ConfigError, match="write weights as"):
        objective_of("weighted:makespan")


def test_the_cheapest_plan_uses_the_cheap_worker_only() -> None:
    workers = Workers.of([Worker("dear", speed=2.0, price_per_hour=10.0), Worker("cheap", price_per_hour=1.0)])
    plan = place(SubTasks.build([1800.0, 1800.0]), workers, objective="money", time_limit=0.5)
    assert (plan.worker.tolist(), plan.value) == ([1, 1], pytest.approx(1.0))


def test_least_total_time_uses_the_fast_worker_only() -> None:
    workers = Workers.of([Worker("slow"), Worker("fast", speed=4.0)])
    plan = place(SubTasks.build([4.0, 8.0, 12.0]), workers, objective="total_time", time_limit=0.5)
    assert (plan.worker.tolist(), plan.value) == ([1, 1, 1], 6.0)


def test_least_total_completion_is_that_of_shortest_first() -> None:
    plan = place(SubTasks.build([3.0, 1.0, 2.0]), Workers.identical(1), objective="total_completion", time_limit=0.5)
    assert plan.value == 1.0 + 3.0 + 6.0


def test_money_where_a_free_worker_cannot_run_everything() -> None:
    workers = Workers.of([Worker("free"), Worker("paid", labels=frozenset({"ssd"}), price_per_hour=3600.0)])
    tasks = SubTasks.build([2.0, 3.0], requires={"ssd": np.array([True, False])})
    plan = place(tasks, workers, objective="money", time_limit=0.2)
    assert (plan.worker.tolist(), plan.value) == ([1, 0], 2.0)
