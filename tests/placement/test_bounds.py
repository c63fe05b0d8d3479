"""Lower bounds never pass the optimum, found here by exhaustive search that shares no code with them."""

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from partitioner.model import SubTasks, Worker, Workers
from partitioner.placement.algorithms.lp_rounding import relaxation
from partitioner.placement.bounds.combinatorial import lower_bound
from partitioner.placement.problem import Problem

TIMES = st.lists(st.integers(1, 30), min_size=1, max_size=7)


def optimum(times: np.ndarray) -> float:
    """Least makespan of tasks (rows) on one-task workers (columns), by trying every assignment."""
    n, m = times.shape
    best = np.inf
    for choice in itertools.product(range(m), repeat=n):
        load = np.zeros(m)
        for i, j in enumerate(choice):
            load[j] += times[i, j]
        best = min(best, float(load.max()))
    return best


@settings(deadline=None, max_examples=60)
@given(TIMES, st.integers(1, 3))
def test_identical_workers(times: list[int], m: int) -> None:
    tasks, workers = SubTasks.build(times), Workers.identical(m)
    best = optimum(np.repeat(np.array(times, float)[:, None], m, axis=1))
    assert lower_bound(Problem(tasks, workers))[0] <= best


@settings(deadline=None, max_examples=60)
@given(TIMES, st.lists(st.sampled_from([0.5, 1.0, 2.0, 3.0]), min_size=1, max_size=3))
def test_uniform_workers(times: list[int], speeds: list[float]) -> None:
    workers = Workers.of(Worker(f"w{j}", speed=s) for j, s in enumerate(speeds))
    best = optimum(np.array(times, float)[:, None] / np.array(speeds))
    assert lower_bound(Problem(SubTasks.build(times), workers))[0] <= best * (1 + 1e-9)


@settings(deadline=None, max_examples=25)
@given(st.lists(st.tuples(*[st.one_of(st.integers(1, 30), st.none())] * 3).filter(any), min_size=1, max_size=6))
def test_unrelated_workers_and_the_linear_relaxation(rows: list[tuple[int | None, ...]]) -> None:
    times = np.array([[np.inf if t is None else t for t in row] for row in rows], float)
    columns = {f"c{j}": np.where(np.isfinite(times[:, j]), times[:, j], np.nan) for j in range(3)}
    workers = Workers.of(Worker(f"w{j}", worker_class=f"c{j}") for j in range(3))
    problem = Problem(SubTasks.build(np.full(len(rows), np.nan), seconds_by_class=columns), workers)
    best = optimum(times)
    assert lower_bound(problem)[0] <= best
    assert relaxation(problem, best * 2, np.inf)[0] <= best


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 4), st.integers(0, 6)), min_size=1, max_size=5))
def test_shared_worker_with_releases(rows: list[tuple[int, int, int]]) -> None:
    """Serial schedule generation over all orders reaches an optimum of a cumulative resource."""
    tasks = SubTasks.build([r[0] for r in rows], cpus=[r[1] for r in rows], release=[r[2] for r in rows])
    bound = lower_bound(Problem(tasks, Workers.identical(1, cpus=4.0)))[0]
    assert bound <= min(_serial(order) for order in itertools.permutations(rows))


def _serial(order: tuple[tuple[int, int, int], ...]) -> int:
    used = [0] * 100
    last = 0
    for seconds, cpus, release in order:
        at = release
        while any(used[t] + cpus > 4 for t in range(at, at + seconds)):
            at += 1
        for t in range(at, at + seconds):
            used[t] += cpus
        last = max(last, at + seconds)
    return last


def test_two_tasks_must_share_a_slot() -> None:
    found = lower_bound(Problem(SubTasks.build([9.0, 8.0, 7.0, 1.0]), Workers.identical(2)))
    assert found == (15.0, "tasks that must share a slot")


def test_bin_packing_beats_the_other_bounds() -> None:
    tasks = SubTasks.build([10.0, 9.0, 8.0, 4.0, 4.0])
    found = lower_bound(Problem(tasks, Workers.identical(3)))
    assert found == (13.0, "bin packing")


def test_whole_times_make_a_whole_bound() -> None:
    assert lower_bound(Problem(SubTasks.build([3.0, 3.0, 4.0]), Workers.identical(4, cpus=1.0)))[0] == 4.0
    assert lower_bound(Problem(SubTasks.build([3.0, 3.0, 5.0, 2.0, 2.0]), Workers.identical(2)))[0] == 8.0


def test_more_than_half_a_gpu_cannot_be_shared() -> None:
    tasks = SubTasks.build([10.0] * 4, gpus=[0.6] * 4)
    problem = Problem(tasks, Workers.identical(1, cpus=8.0, gpus=2.0))
    assert lower_bound(problem)[0] == 20.0
