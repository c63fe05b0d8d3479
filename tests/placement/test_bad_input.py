"""What no algorithm could mend is said before any runs."""

import numpy as np
import pytest

from partitioner.errors import ConfigError, InfeasiblePlan, UnknownName
from partitioner.model import Edges, SubTasks, Worker, Workers
from partitioner.placement.api import place

ONE = Workers.identical(1)


def edges(*pairs: tuple[int, int]) -> Edges:
    source, target = (np.array(column, np.int64) for column in zip(*pairs, strict=True))
    return Edges(source, target, np.zeros(len(pairs)), np.zeros(len(pairs)))


def test_a_cycle_is_printed() -> None:
    tasks = SubTasks.build([1.0] * 4, ["a", "b", "c", "d"], edges=edges((0, 1), (1, 2), (2, 1), (2, 3)))
    with pytest.raises(ConfigError, match=r"cycle: (b -> c -> b|c -> b -> c)"):
        place(tasks, ONE)


def test_a_task_that_depends_on_itself() -> None:
    with pytest.raises(ConfigError, match="cycle: a -> a"):
        place(SubTasks.build([1.0], ["a"], edges=edges((0, 0))), ONE)


def test_more_gpus_than_any_worker_has() -> None:
    with pytest.raises(InfeasiblePlan, match="needs gpus = 3, the largest worker has 2"):
        place(SubTasks.build([1.0], gpus=[3.0]), Workers.identical(2, gpus=2.0))


def test_more_gpu_memory_than_any_device_has() -> None:
    tasks = SubTasks.build([1.0], gpus=[0.5], gpu_memory_bytes=[32e9])
    with pytest.raises(InfeasiblePlan, match=r"gpu_memory_bytes = 3.2e\+10 on one GPU, the largest has 1.6e\+10"):
        place(tasks, Workers.identical(1, gpus=1.0, gpu_memory_bytes=16e9))


def test_a_label_that_no_worker_has() -> None:
    with pytest.raises(InfeasiblePlan, match="requires the label 'ssd', which no worker has"):
        place(SubTasks.build([1.0], requires={"ssd": np.array([True])}), ONE)


def test_resources_that_only_different_workers_have() -> None:
    workers = Workers.of([Worker("a", cpus=8, memory_bytes=1e9), Worker("b", cpus=1, memory_bytes=9e9)])
    with pytest.raises(InfeasiblePlan, match="each worker lacks something"):
        place(SubTasks.build([1.0], cpus=[4.0], memory_bytes=[5e9]), workers)


def test_a_gpu_wish_between_one_and_two() -> None:
    with pytest.raises(
        ConfigError, match=r"'gpus': 1.5 is not allowed, it must be a fraction below 1 or a whole number"
    ):
        place(SubTasks.build([1.0], gpus=[1.5]), Workers.identical(1, gpus=2.0))


def test_a_hard_deadline_below_the_shortest_time() -> None:
    tasks = SubTasks.build([8.0], ["a"], deadline=[3.0], hard_deadline=np.array([True]))
    with pytest.raises(InfeasiblePlan, match=r"hard deadline 3 s of task 'a' cannot be met.*until 4 s"):
        place(tasks, Workers.of([Worker("w", speed=2.0)]))


def test_more_work_before_hard_deadlines_than_slots_offer() -> None:
    tasks = SubTasks.build([4.0, 4.0, 4.0], deadline=[5.0] * 3, hard_deadline=np.ones(3, bool))
    with pytest.raises(InfeasiblePlan, match="hold 12 s of work, but 2 slots offer only 10 s"):
        place(tasks, Workers.identical(2))


def test_a_soft_deadline_that_is_missed_is_counted() -> None:
    plan = place(SubTasks.build([4.0, 4.0], deadline=[5.0, 5.0]), ONE)
    assert plan.reasons["deadlines_missed"] == 1


def test_edf_names_deadlines_that_nobody_can_meet() -> None:
    plan = place(SubTasks.build([4.0, 1.0], ["late", "fine"], deadline=[3.0, 5.0]), ONE, algorithm="edf")
    assert (plan.reasons["impossible_deadlines"], plan.reasons["impossible_first"]) == (1, ["late"])


@pytest.mark.parametrize("limit", [0, -1.0, float("nan")])
def test_a_time_limit_that_is_not_above_zero(limit: float) -> None:
    with pytest.raises(ConfigError, match="above 0"):
        place(SubTasks.build([1.0]), ONE, time_limit=limit)


def test_an_unknown_algorithm_lists_the_known_ones() -> None:
    with pytest.raises(UnknownName, match=r"No placement named 'ltp'.*Did you mean 'lpt'"):
        place(SubTasks.build([1.0]), ONE, algorithm="ltp")


def test_an_unknown_objective_lists_the_known_ones() -> None:
    with pytest.raises(UnknownName, match=r"No objective named 'makspan'.*Did you mean 'makespan'"):
        place(SubTasks.build([1.0]), ONE, objective="makspan")


def test_not_a_number_in_an_array() -> None:
    with pytest.raises(ConfigError, match=r"task 't000001' \(row 2\), column 'seconds': nan"):
        place(SubTasks.build([1.0, np.nan]), ONE)


def test_a_plan_over_the_load_bound_is_infeasible() -> None:
    tasks = SubTasks.build([4.0, 3.0], ["a", "b"])
    assert place(tasks, Workers.identical(2), load_bound=4.0).makespan == 4.0
    with pytest.raises(InfeasiblePlan, match="weighted load of 8 s, the load bound is 4 s"):
        place(tasks, Workers.identical(2), load_bound=4.0, load_weights={"a": 2.0})
