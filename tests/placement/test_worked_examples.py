"""The worked examples of the algorithms page, each with its known answer."""

import numpy as np
import pytest

from partitioner.errors import ConfigError
from partitioner.model import Edges, Plan, SubTasks, Worker, Workers
from partitioner.placement.algorithms.dp import Dp
from partitioner.placement.algorithms.dynamic import Dynamic
from partitioner.placement.algorithms.lpt import Lpt
from partitioner.placement.algorithms.proportional import Proportional
from partitioner.placement.api import place
from partitioner.placement.check import violations
from partitioner.placement.objectives import resource_losses, time_losses
from partitioner.placement.shares import capability_shares, granted_shares, largest_remainder

FOUR = SubTasks.build([5.0, 3.0, 8.0, 2.0], ["t5", "t3", "t8", "t2"], cpus=[2.0, 1.0, 3.0, 2.0])
THREE = Workers.of([Worker("A", cpus=2), Worker("B", cpus=1), Worker("C", cpus=3)])


@pytest.mark.parametrize("algorithm", ["auto", "lpt", "sjf"])
def test_1_the_task_of_three_cpus_fits_only_the_third_worker(algorithm: str) -> None:
    plan = place(FOUR, THREE, algorithm=algorithm)
    assert plan.workers.worker_id[plan.worker[2]] == "C"


def test_1_the_best_makespan_is_the_longest_task() -> None:
    plan = place(FOUR, THREE)
    assert (plan.makespan, plan.lower_bound, plan.reasons["proven_optimal"]) == (8.0, 8.0, True)


def test_1_a_plan_with_the_large_task_on_a_small_worker_is_invalid() -> None:
    wrong = Plan(
        FOUR, THREE, np.array([0, 1, 0, 2], np.int32), np.array([0.0, 0, 5, 0]), np.array([5.0, 3, 13, 2]),
        makespan=13.0, lower_bound=8.0, gap=13 / 8 - 1, utilization=0.5, objective="makespan", value=13.0, algorithm="hand",
    )  # fmt: skip
    assert violations(wrong) == ["worker A holds 3.0 of cpus, its capacity is 2.0"]


def test_2_a_new_task_goes_to_the_worker_with_the_least_load() -> None:
    loads = {"w1": 10.0, "w2": 20.0, "w3": 30.0, "w4": 15.0, "w5": 5.0}
    workers = Workers.of(Worker(name) for name in loads)
    plan = Dynamic(loads).place(SubTasks.build([4.0]), workers)
    assert (float(np.mean(list(loads.values()))), workers.worker_id[plan.worker[0]]) == (16.0, "w5")


def test_3_shares_follow_the_capabilities() -> None:
    assert capability_shares([100, 200, 300]).tolist() == pytest.approx([1 / 6, 1 / 3, 1 / 2])


@pytest.mark.parametrize(("tasks", "counts"), [(600, [100, 200, 300]), (10, [2, 3, 5])])
def test_3_equal_tasks_are_shared_by_largest_remainder(tasks: int, counts: list[int]) -> None:
    workers = Workers.of(Worker(f"w{s}", speed=s) for s in (100.0, 200.0, 300.0))
    plan = Proportional().place(SubTasks.build(np.ones(tasks)), workers)
    assert np.bincount(plan.worker).tolist() == counts
    assert largest_remainder(tasks, [100, 200, 300]).tolist() == counts


def test_3_tasks_as_shares_of_the_total_capability() -> None:
    shares = np.array([50, 150, 250]) / 600
    assert shares.round(4).tolist() == [0.0833, 0.25, 0.4167]


def test_5_pooled_and_mean_granted_shares() -> None:
    pooled, mean = granted_shares([20, 30, 40, 10, 25], [18, 28, 38, 9, 20])
    assert (pooled, round(mean, 4)) == (0.904, 0.8967)


def test_5_a_grant_above_the_request_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"granted 11.0 of 10.0 requested"):
        granted_shares([10], [11])


def test_6_a_dependent_task_starts_when_the_other_has_finished() -> None:
    edges = Edges(np.array([1]), np.array([0]), np.zeros(1), np.zeros(1))
    plan = place(SubTasks.build([5.0, 10.0], ["A", "B"], edges=edges), Workers.identical(2))
    assert (plan.start.tolist(), plan.finish.tolist()) == ([10.0, 0.0], [15.0, 10.0])


def test_7_time_loss_and_resource_loss() -> None:
    assert time_losses(np.array([12.0, 8.0]), np.array([10.0, 10.0])).tolist() == pytest.approx([0.2, 0.0])
    assert resource_losses(np.array([6.0]), np.array([4.0])).tolist() == [0.5]


def test_7_a_limit_of_zero_is_invalid() -> None:
    with pytest.raises(ConfigError, match="above 0"):
        time_losses(np.array([1.0]), np.array([0.0]))


NINE = SubTasks.build([7.0, 7, 6, 6, 5, 5, 4, 4, 4])


def test_8_lpt_gives_15_where_the_optimum_is_12() -> None:
    assert Lpt().place(NINE, Workers.identical(4)).makespan == 15.0
    assert Dp().place(NINE, Workers.identical(4)).makespan == 12.0


@pytest.mark.parametrize("algorithm", ["auto", "hybrid", "local_search", "multifit"])
def test_8_better_algorithms_find_12(algorithm: str) -> None:
    plan = place(NINE, Workers.identical(4), algorithm=algorithm, time_limit=60)
    assert (plan.makespan, plan.reasons["proven_optimal"]) == (12.0, True)


def test_9_unit_tasks_on_speeds_1_2_3() -> None:
    plan = place(SubTasks.build(np.ones(12)), Workers.of(Worker(f"w{s}", speed=s) for s in (1.0, 2.0, 3.0)))
    assert (np.bincount(plan.worker).tolist(), plan.makespan) == ([2, 4, 6], 2.0)
