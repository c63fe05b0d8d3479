"""Algorithms on slots against exhaustive optima, and their guarantees."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partitioner.errors import ConfigError
from partitioner.model import SubTasks, Worker, Workers
from partitioner.placement.algorithms.karmarkar_karp import differencing
from partitioner.placement.algorithms.multifit import first_fit
from partitioner.placement.api import place
from partitioner.placement.search.pair_split import split_alike, split_unlike

TIMES = st.lists(st.integers(1, 40), min_size=1, max_size=8)


def optimum(times: np.ndarray) -> float:
    best = np.inf
    for choice in itertools.product(range(times.shape[1]), repeat=len(times)):
        load = np.zeros(times.shape[1])
        np.add.at(load, list(choice), times[np.arange(len(times)), list(choice)])
        best = min(best, float(load.max()))
    return best


@settings(deadline=None, max_examples=40)
@given(TIMES, st.integers(2, 3))
def test_dp_is_optimal_on_identical_workers(times: list[int], m: int) -> None:
    plan = place(SubTasks.build(times), Workers.identical(m), algorithm="dp")
    assert plan.makespan == optimum(np.repeat(np.array(times, float)[:, None], m, axis=1))
    assert plan.gap == 0.0


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.integers(1, 20), st.integers(1, 20), st.integers(1, 20)), min_size=1, max_size=6))
def test_dp_is_optimal_on_unrelated_workers(rows: list[tuple[int, int, int]]) -> None:
    times = np.array(rows, float)
    workers = Workers.of(Worker(f"w{j}", worker_class=f"c{j}") for j in range(3))
    tasks = SubTasks.build(np.full(len(rows), np.nan), seconds_by_class={f"c{j}": times[:, j] for j in range(3)})
    assert place(tasks, workers, algorithm="dp").makespan == optimum(times)


def test_dp_refuses_too_many_states() -> None:
    tasks = SubTasks.build(np.random.default_rng(0).lognormal(1, 1, 60))
    with pytest.raises(ConfigError, match=r"'dp' met \d+ states at task \d+ of 60 .*Use 'block_exchange'"):
        place(tasks, Workers.identical(10), algorithm="dp", time_limit=2)


@settings(deadline=None, max_examples=40)
@given(TIMES, st.integers(2, 4))
def test_guarantees_on_identical_workers(times: list[int], m: int) -> None:
    best = optimum(np.repeat(np.array(times, float)[:, None], min(m, 3), axis=1)) if m <= 3 else None
    tasks, workers = SubTasks.build(times), Workers.identical(m)
    spans = {name: place(tasks, workers, algorithm=name).makespan for name in ("lpt", "multifit", "karmarkar_karp")}
    assert spans["multifit"] <= spans["lpt"]
    if best is not None:
        assert spans["lpt"] <= best * (4 / 3 - 1 / (3 * m)) + 1e-9
        assert spans["multifit"] <= best * 13 / 11 + 1e-9
        assert spans["karmarkar_karp"] <= best * 4 / 3 + 1e-9


@settings(deadline=None, max_examples=60)
@given(TIMES)
def test_two_equal_workers_are_split_as_evenly_as_possible(times: list[int]) -> None:
    values = np.array(times, float)
    chosen = split_alike(values)
    best = optimum(np.repeat(values[:, None], 2, axis=1))
    assert max(values[chosen].sum(), values[~chosen].sum()) == best


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.integers(1, 30), st.integers(1, 30)), min_size=1, max_size=8))
def test_two_unlike_workers_are_split_as_well_as_possible(rows: list[tuple[int, int]]) -> None:
    times = np.array(rows, float)
    chosen = split_unlike(times[:, 0], times[:, 1], limit=1000.0)
    assert chosen is not None
    assert max(times[chosen, 0].sum(), times[~chosen, 1].sum()) == optimum(times)


def test_no_split_below_an_unreachable_limit() -> None:
    assert split_unlike(np.array([5.0]), np.array([6.0]), limit=5.0) is None


def test_differencing_on_the_classic_example() -> None:
    part = differencing(np.array([8.0, 7.0, 6.0, 5.0, 4.0]), 2)
    assert sorted(np.bincount(part, weights=[8.0, 7.0, 6.0, 5.0, 4.0]).tolist()) == [14.0, 16.0]


def test_first_fit_decreasing() -> None:
    packed = first_fit(np.array([6.0, 5.0, 4.0, 3.0, 2.0]), np.array([10.0, 10.0]), np.inf)
    assert packed is not None
    assert packed.tolist() == [0, 1, 0, 1, 1]
    assert first_fit(np.array([6.0, 6.0, 6.0]), np.array([10.0, 10.0]), np.inf) is None


@pytest.mark.parametrize("algorithm", ["local_search", "hybrid"])
@settings(deadline=None, max_examples=15)
@given(times=TIMES, speeds=st.lists(st.sampled_from([1.0, 2.0, 3.0]), min_size=2, max_size=3))
def test_searches_are_never_worse_than_lpt(algorithm: str, times: list[int], speeds: list[float]) -> None:
    workers = Workers.of(Worker(f"w{j}", speed=s) for j, s in enumerate(speeds))
    tasks = SubTasks.build(times)
    plan = place(tasks, workers, algorithm=algorithm, time_limit=0.1)
    assert plan.makespan <= place(tasks, workers, algorithm="lpt").makespan * (1 + 1e-9)


def test_hybrid_solves_a_perfect_fit() -> None:
    times = [60.0, 30, 10, 55, 25, 20, 50, 35, 15, 45, 40, 15]
    plan = place(SubTasks.build(times), Workers.identical(4), algorithm="hybrid", time_limit=60)
    assert (plan.makespan, plan.gap) == (100.0, 0.0)


def test_lp_rounding_reports_its_bound() -> None:
    times = {"a": np.array([1.0, 9.0, 3.0]), "b": np.array([9.0, 1.0, 3.0])}
    workers = Workers.of([Worker("a", worker_class="a"), Worker("b", worker_class="b")])
    plan = place(SubTasks.build([np.nan] * 3, seconds_by_class=times), workers, algorithm="lp_rounding")
    assert (plan.makespan, plan.lower_bound) == (4.0, 3.0)
