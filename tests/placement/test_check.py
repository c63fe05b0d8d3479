"""The checker finds what is wrong, one defect at a time."""

from dataclasses import replace

import numpy as np
import pytest

from partitioner.model import Edges, Plan, SubTasks, Worker, Workers
from partitioner.placement.algorithms.lpt import Lpt
from partitioner.placement.check import check, violations


def plan_of(tasks: SubTasks, workers: Workers, worker: list[int], start: list[float], finish: list[float]) -> Plan:
    last = max(finish)
    return Plan(
        tasks, workers, np.array(worker, np.int32), np.array(start), np.array(finish), makespan=last, lower_bound=1.0,
        gap=last - 1.0, utilization=0.5, objective="makespan", value=last, algorithm="hand",
    )  # fmt: skip


TWO = SubTasks.build([2.0, 3.0], ["a", "b"])


def test_a_sound_plan_has_no_violations() -> None:
    assert violations(plan_of(TWO, Workers.identical(2), [0, 1], [0.0, 0.0], [2.0, 3.0])) == []


def test_overlap_on_one_core() -> None:
    wrong = plan_of(TWO, Workers.identical(1), [0, 0], [0.0, 1.0], [2.0, 4.0])
    assert violations(wrong) == ["worker worker-0 holds 2.0 of cpus, its capacity is 1.0"]


def test_a_task_may_start_the_moment_another_ends() -> None:
    assert violations(plan_of(TWO, Workers.identical(1), [0, 0], [0.0, 2.0], [2.0, 5.0])) == []


def test_a_task_that_is_too_short() -> None:
    wrong = plan_of(TWO, Workers.identical(2), [0, 1], [0.0, 0.0], [1.0, 3.0])
    assert violations(wrong) == ["task a lasts 1.0 s instead of 2.0 s"]


def test_speed_divides_the_seconds() -> None:
    assert violations(plan_of(TWO, Workers.of([Worker("w", speed=2.0)]), [0, 0], [0.0, 1.0], [1.0, 2.5])) == []


def test_seconds_by_class_replace_seconds_and_speed() -> None:
    tasks = TWO.with_columns(seconds_by_class={"gpu": np.array([1.0, np.nan])})
    workers = Workers.of([Worker("w", speed=2.0, worker_class="gpu"), Worker("v")])
    assert violations(plan_of(tasks, workers, [0, 1], [0.0, 0.0], [1.0, 3.0])) == []
    assert len(violations(plan_of(tasks, workers, [0, 0], [0.0, 1.0], [1.0, 2.5]))) == 1


def test_a_start_before_the_release() -> None:
    wrong = plan_of(SubTasks.build([2.0], ["a"], release=[1.0]), Workers.identical(1), [0], [0.0], [2.0])
    assert violations(wrong) == ["task a starts at 0.0 before its release 1.0"]


def test_a_delay_that_is_cut_short() -> None:
    tasks = TWO.with_columns(edges=Edges(np.array([0]), np.array([1]), np.array([1.0]), np.zeros(1)))
    wrong = plan_of(tasks, Workers.identical(2), [0, 1], [0.0, 2.5], [2.0, 5.5])
    assert violations(wrong) == ["task b starts before a and its delay are over"]


def test_a_missing_label() -> None:
    tasks = TWO.with_columns(requires={"ssd": np.array([True, False])})
    wrong = plan_of(tasks, Workers.identical(2), [0, 1], [0.0, 0.0], [2.0, 3.0])
    assert violations(wrong) == ["task a needs label 'ssd', its worker lacks it"]


def test_three_fractions_that_need_a_third_device() -> None:
    tasks = SubTasks.build([1.0] * 3, gpus=[0.6] * 3)
    workers = Workers.identical(1, cpus=4.0, gpus=2.0)
    assert "no 1 GPU(s)" in violations(plan_of(tasks, workers, [0, 0, 0], [0.0] * 3, [1.0] * 3))[0]


def test_a_hard_deadline_that_is_missed() -> None:
    tasks = SubTasks.build([2.0], ["a"], deadline=[1.0], hard_deadline=np.array([True]))
    assert violations(plan_of(tasks, Workers.identical(1), [0], [0.0], [2.0])) == ["task a misses its hard deadline"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"makespan": 4.0, "gap": 3.0}, "the last finish is 3.0"),
        ({"lower_bound": 3.5, "gap": 3.0 / 3.5 - 1}, "above the makespan"),
        ({"gap": 0.1}, "does not follow"),
        ({"utilization": 1.2}, "outside"),
    ],
)
def test_figures_that_the_plan_cannot_back(change: dict[str, float], message: str) -> None:
    right = plan_of(TWO, Workers.identical(2), [0, 1], [0.0, 0.0], [2.0, 3.0])
    with pytest.raises(AssertionError, match=message):
        check(replace(right, **change))


def test_plans_of_an_algorithm_pass() -> None:
    check(Lpt().place(SubTasks.build([3.0, 1.0, 2.0], cpus=[1.0, 2.0, 1.0]), Workers.identical(2, cpus=2.0)))
