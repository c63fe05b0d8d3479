"""Several sub-tasks at once on a worker: large code paths agree with the checker and stay close to the bound."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partitioner.model import SubTasks, Worker, Workers
from partitioner.placement.algorithms.dot_product import DotProduct
from partitioner.placement.algorithms.fragmentation_aware import FragmentationAware
from partitioner.placement.api import place
from partitioner.placement.base import plan_of
from partitioner.placement.check import violations
from partitioner.placement.objectives import objective_of
from partitioner.placement.problem import Problem
from partitioner.placement.schedules.cluster_state import ClusterState
from partitioner.placement.schedules.start_events import run_events
from partitioner.placement.schedules.waiting_pool import run_pool
from partitioner.placement.schedules.worker_queues import run_queues
from partitioner.placement.search.ruin import ruin_and_recreate


def mixed(seed: int, n: int) -> Problem:
    draw = np.random.default_rng(seed)
    tasks = SubTasks.build(
        draw.lognormal(1, 1, n),
        cpus=draw.choice([1.0, 2.0], n),
        memory_bytes=draw.uniform(0.5e9, 9e9, n),
        requires={"ssd": draw.uniform(size=n) < 0.1},
    )
    labels = frozenset({"ssd"})
    workers = Workers.of(Worker(f"w{j}", cpus=4, memory_bytes=16e9, labels=labels, speed=1.0 + j % 2) for j in range(5))
    return Problem(tasks, workers)


def wrong(problem: Problem, schedule: object) -> list[str]:
    return violations(plan_of(problem, schedule, objective_of("makespan"), "test", 0, 0.0))  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", range(3))
def test_the_pool_of_waiting_tasks_is_sound(seed: int) -> None:
    problem = mixed(seed, 400)
    assert wrong(problem, run_pool(problem, np.argsort(-problem.fastest))) == []


@pytest.mark.parametrize("seed", range(3))
def test_queues_of_given_workers_are_sound(seed: int) -> None:
    problem = mixed(seed, 200)
    assert wrong(problem, run_queues(problem, np.arange(200) % 5, np.arange(200))) == []


@pytest.mark.parametrize("seed", range(3))
def test_events_are_sound(seed: int) -> None:
    problem = mixed(seed, 200)
    assert wrong(problem, run_events(problem, np.argsort(-problem.fastest))) == []


def test_pairing_large_and_small_memory_comes_close_to_the_bound() -> None:
    draw = np.random.default_rng(0)
    tasks = SubTasks.build(
        draw.lognormal(1, 1, 20_000), memory_bytes=np.minimum(draw.lognormal(21.4, 0.6, 20_000), 12e9)
    )
    workers = Workers.of(Worker(f"w{j}", cpus=4, memory_bytes=16e9, speed=(1.0, 1.5, 2.0)[j % 3]) for j in range(10))
    assert place(tasks, workers, algorithm="lpt").gap < 0.01


@settings(deadline=None, max_examples=3)
@given(st.integers(0, 1000))
def test_ruin_and_recreate_is_never_worse_than_its_start(seed: int) -> None:
    problem = mixed(seed, 12)
    start = run_events(problem, np.arange(12))
    found = ruin_and_recreate(problem, start, objective_of("makespan"), seed, deadline=np.inf)
    assert found.makespan <= start.makespan
    assert wrong(problem, found) == []


def gpu_state(shares: list[list[float]]) -> ClusterState:
    tasks = SubTasks.build([1.0, 1.0, 1.0], gpus=[0.5, 0.5, 1.0], cpus=[1.0, 1.0, 1.0])
    state = ClusterState(Problem(tasks, Workers.identical(len(shares), cpus=8.0, gpus=float(len(shares[0])))))
    state.share[:] = shares
    return state


def test_least_fragmentation_fills_the_half_used_device() -> None:
    state, rule = gpu_state([[1.0, 1.0], [1.0, 0.5]]), FragmentationAware()
    rule.prepare(state.problem)
    assert rule.choose(state, 0, np.array([0, 1])) == 1


def test_dot_product_goes_where_least_remains() -> None:
    assert DotProduct().choose(gpu_state([[1.0, 1.0], [0.5, 0.0]]), 0, np.array([0, 1])) == 1


def test_dot_product_prefers_what_is_left_in_the_direction_of_the_demand() -> None:
    workers = Workers.of([Worker("cores", cpus=8.0, memory_bytes=2.0), Worker("memory", cpus=2.0, memory_bytes=8.0)])
    state = ClusterState(Problem(SubTasks.build([1.0], cpus=[2.0], memory_bytes=[1.0]), workers))
    assert DotProduct().choose(state, 0, np.array([0, 1])) == 0


def test_what_is_taken_is_given_back() -> None:
    state = gpu_state([[1.0, 0.5]])
    devices = state.take(0, 0)
    assert (devices, state.share.tolist(), state.free[0, 0]) == ((1,), [[1.0, 0.0]], 7.0)
    state.give_back(0, 0, devices)
    assert (state.share.tolist(), state.free[0, 0]) == ([[1.0, 0.5]], 8.0)


def test_a_whole_gpu_does_not_fit_two_halves() -> None:
    assert gpu_state([[0.5, 0.5], [1.0, 0.0]]).fits(2).tolist() == [False, True]
