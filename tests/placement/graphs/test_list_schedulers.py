"""The list schedulers for graphs, on the published example and on small instances with known plans."""

import numpy as np
import pytest

from partitioner import registry
from partitioner.model import Edges, Plan, SubTasks, Worker, Workers
from partitioner.placement.check import violations

NAMES = ("heft", "cpop", "peft", "hbmct", "min_min", "max_min", "duplex", "sufferage")


def place(name: str, tasks: SubTasks, workers: Workers, **options: float) -> Plan:
    plan: Plan = registry.load("placements", name)().place(tasks, workers, **options)
    return plan


def transfers_kept(plan: Plan, bandwidth: float) -> bool:
    """Whether every task on another worker than its parent's waits for delay and transfer."""
    edges = plan.tasks.edges
    moved = plan.worker[edges.source] != plan.worker[edges.target]
    ready = plan.finish[edges.source] + edges.delay + np.where(moved, edges.bytes / bandwidth, 0.0)
    return bool(np.all(plan.start[edges.target] >= ready - 1e-9))


@pytest.mark.parametrize(("name", "makespan"), [("heft", 80.0), ("cpop", 86.0)])
def test_published_makespan(name: str, makespan: float, paper_tasks: SubTasks, paper_workers: Workers) -> None:
    assert place(name, paper_tasks, paper_workers, bandwidth=1.0).makespan == makespan


@pytest.mark.parametrize("name", NAMES)
def test_transfers_delay_tasks_on_other_workers(name: str, paper_tasks: SubTasks, paper_workers: Workers) -> None:
    plan = place(name, paper_tasks, paper_workers, bandwidth=1.0)
    assert violations(plan) == []
    assert transfers_kept(plan, 1.0)


@pytest.mark.parametrize("name", NAMES)
def test_bytes_cost_nothing_without_a_bandwidth(name: str) -> None:
    edges = Edges(np.array([0, 0]), np.array([1, 2]), np.zeros(2), np.array([1e12, 1e12]))
    plan = place(name, SubTasks.build([1.0, 5.0, 5.0], edges=edges), Workers.identical(2))
    assert plan.makespan == 6.0


@pytest.mark.parametrize("name", NAMES)
def test_costly_data_stays_where_it_is(name: str) -> None:
    edges = Edges(np.array([0]), np.array([1]), np.zeros(1), np.array([100.0]))
    plan = place(name, SubTasks.build([1.0, 1.0], edges=edges), Workers.identical(2), bandwidth=1.0)
    assert plan.makespan == 2.0
    assert plan.worker[0] == plan.worker[1]


@pytest.mark.parametrize("name", NAMES)
def test_worked_example_6_a_waits_for_b(name: str) -> None:
    edges = Edges(np.array([1]), np.array([0]), np.zeros(1), np.zeros(1))
    plan = place(name, SubTasks.build([5.0, 10.0], ["A", "B"], edges=edges), Workers.identical(2))
    assert (plan.start[0], plan.finish[0]) == (10.0, 15.0)


@pytest.mark.parametrize("name", NAMES)
def test_delay_counts_on_one_worker_too(name: str) -> None:
    edges = Edges(np.array([0]), np.array([1]), np.array([3.0]), np.zeros(1))
    plan = place(name, SubTasks.build([2.0, 4.0], edges=edges), Workers.identical(1))
    assert plan.finish.tolist() == [2.0, 9.0]


@pytest.mark.parametrize("name", NAMES)
def test_worked_example_1_only_the_large_worker_holds_the_long_task(name: str) -> None:
    tasks = SubTasks.build([5.0, 3.0, 8.0, 2.0], cpus=[2.0, 1.0, 3.0, 2.0])
    workers = Workers.of([Worker("A", cpus=2), Worker("B", cpus=1), Worker("C", cpus=3)])
    plan = place(name, tasks, workers)
    assert violations(plan) == []
    assert workers.worker_id[plan.worker[2]] == "C"
    assert plan.lower_bound == 8.0


@pytest.mark.parametrize("name", NAMES)
def test_several_tasks_share_a_worker_while_they_fit(name: str) -> None:
    plan = place(
        name,
        SubTasks.build([4.0, 4.0, 4.0], memory_bytes=[4e9, 4e9, 8e9]),
        Workers.identical(1, cpus=3, memory_bytes=8e9),
    )
    assert violations(plan) == []
    assert plan.makespan == 8.0


@pytest.mark.parametrize("name", NAMES)
def test_release_is_kept(name: str) -> None:
    plan = place(name, SubTasks.build([1.0], release=[7.0]), Workers.identical(2))
    assert plan.start.tolist() == [7.0]


def test_heft_fills_a_hole() -> None:
    # 0 -> 1 with a delay of 10 leaves a hole on the only worker that task 2 fits into
    edges = Edges(np.array([0]), np.array([1]), np.array([10.0]), np.zeros(1))
    plan = place("heft", SubTasks.build([1.0, 1.0, 5.0], edges=edges), Workers.identical(1))
    assert plan.start.tolist() == [0.0, 11.0, 1.0]


def test_min_min_starts_with_the_short_and_max_min_with_the_long() -> None:
    tasks = SubTasks.build([2.0, 4.0, 6.0])
    assert place("min_min", tasks, Workers.identical(2)).makespan == 8.0
    assert place("max_min", tasks, Workers.identical(2)).makespan == 6.0


def test_duplex_is_the_better_of_the_two() -> None:
    assert place("duplex", SubTasks.build([2.0, 4.0, 6.0]), Workers.identical(2)).makespan == 6.0


def test_sufferage_serves_the_task_that_would_lose_most() -> None:
    times = {"a": np.array([1.0, 2.0]), "b": np.array([2.0, 100.0])}
    tasks = SubTasks.build([1.0, 1.0], seconds_by_class=times)
    workers = Workers.of(Worker(name, worker_class=name) for name in "ab")
    assert place("sufferage", tasks, workers).makespan == 2.0
    assert place("min_min", tasks, workers).makespan == 3.0


def test_hbmct_moves_tasks_off_the_fastest_worker() -> None:
    # all six start on the fast worker, 6 s; moving two to the slow one balances at 4 s
    workers = Workers.of([Worker("slow"), Worker("fast", speed=2.0)])
    assert place("hbmct", SubTasks.build([2.0] * 6), workers).makespan == 4.0


def test_too_many_pairs_are_refused() -> None:
    from partitioner.placement.algorithms.sufferage import Sufferage
    from partitioner.placement.problem import Problem

    problem = Problem(SubTasks.build(np.ones(30_000)), Workers.identical(1_000))
    assert Sufferage().refusals(problem) == ["30000000 pairs of task and worker (its limit is 20000000)"]
