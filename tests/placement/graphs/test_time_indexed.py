"""The bound of the time-indexed relaxation: never above the optimum, and above the plain bounds where those are blind."""

import itertools
from dataclasses import replace
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog
from scipy.sparse import csr_matrix

from partitioner.model import Edges, SubTasks, Worker, Workers
from partitioner.placement.algorithms import time_indexed
from partitioner.placement.algorithms.time_indexed import TimeIndexed, makespan_bound
from partitioner.placement.api import place
from partitioner.placement.bounds.proof import proven
from partitioner.placement.bounds.time_indexed_model import _proven
from partitioner.placement.bounds.windows import in_ticks
from partitioner.placement.exact.ticks import Ticks
from partitioner.placement.objectives import objective_of
from partitioner.placement.problem import Problem
from partitioner.placement.search.seeds import start_plans

MAKESPAN = objective_of("makespan")
NEVER = float("inf")


def edges_of(pairs: list[tuple[int, int, float]]) -> Edges:
    source, target = (np.array([p[k] for p in pairs], np.int64) for k in (0, 1))
    delay = np.array([p[2] for p in pairs], np.float64)
    return Edges(source, target, delay, np.zeros(len(pairs)))


def bound_of(tasks: SubTasks, workers: Workers) -> float:
    """The bound of models of at most 400 columns, which are solved at once."""
    problem = Problem(tasks, workers)
    known = start_plans(problem, MAKESPAN, NEVER)[0]
    with patch.object(time_indexed, "_MOST_COLUMNS", 400):
        return makespan_bound(problem, known, NEVER).seconds


def fork_join() -> tuple[SubTasks, Workers]:
    """A task, two of four units that can run together, a task; workers of speed 2 and 1."""
    tasks = SubTasks.build([2.0, 4.0, 4.0, 2.0], edges=edges_of([(0, 1, 0), (0, 2, 0), (1, 3, 0), (2, 3, 0)]))
    return tasks, Workers.of([Worker("fast", speed=2.0), Worker("slow", speed=1.0)])


@st.composite
def small_graphs(draw: st.DrawFn) -> tuple[list[float], list[float], list[tuple[int, int, float]]]:
    """Seconds, releases and dependencies with delays of up to five tasks, whole or in steps that no tick fits."""
    n = draw(st.integers(3, 5))
    step = draw(st.sampled_from([1.0, 0.25, 0.377]))
    seconds = [step * s for s in draw(st.lists(st.integers(0, 12), min_size=n, max_size=n))]
    release = [step * s for s in draw(st.lists(st.sampled_from([0, 0, 0, 3]), min_size=n, max_size=n))]
    pairs = draw(st.sets(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)).filter(lambda p: p[0] < p[1])))
    return seconds, release, [(a, b, step * draw(st.sampled_from([0, 0, 2]))) for a, b in sorted(pairs)]


def orders(n: int, pairs: list[tuple[int, int, float]]) -> list[tuple[int, ...]]:
    """Every order that respects the dependencies."""
    every = itertools.permutations(range(n))
    return [o for o in every if all(o.index(a) < o.index(b) for a, b, _ in pairs)]


def optimum_on_slots(
    seconds: list[float], release: list[float], pairs: list[tuple[int, int, float]], speeds: list[float]
) -> float:
    """The least makespan, over every order and every assignment, each task as early as it can."""
    best = np.inf
    for order in orders(len(seconds), pairs):
        for choice in itertools.product(range(len(speeds)), repeat=len(seconds)):
            free, end = [0.0] * len(speeds), [0.0] * len(seconds)
            for i in order:
                ready = max([release[i], *(end[a] + wait for a, b, wait in pairs if b == i)])
                end[i] = max(ready, free[choice[i]]) + seconds[i] / speeds[choice[i]]
                free[choice[i]] = end[i]
            best = min(best, max(end))
    return best


@settings(deadline=None, max_examples=250)
@given(small_graphs(), st.sampled_from([[1.0], [1.0, 1.0], [2.0, 1.0], [4.0, 2.0, 1.0]]))
def test_never_above_the_optimum(
    graph: tuple[list[float], list[float], list[tuple[int, int, float]]], speeds: list[float]
) -> None:
    seconds, release, pairs = graph
    tasks = SubTasks.build(seconds, release=release, edges=edges_of(pairs))
    workers = Workers.of(Worker(f"w{j}", speed=s) for j, s in enumerate(speeds))
    best = optimum_on_slots(seconds, release, pairs, speeds)
    assert bound_of(tasks, workers) <= best * (1 + 1e-9) + 1e-12


@settings(deadline=None, max_examples=150)
@given(small_graphs(), st.lists(st.integers(1, 4), min_size=5, max_size=5))
def test_never_above_the_optimum_of_a_shared_worker(
    graph: tuple[list[float], list[float], list[tuple[int, int, float]]], cpus: list[int]
) -> None:
    seconds, release, pairs = graph
    n = len(seconds)
    tasks = SubTasks.build(seconds, release=release, cpus=cpus[:n], edges=edges_of(pairs))
    best = min(serial_on_four_cpus(order, seconds, release, cpus, pairs) for order in orders(n, pairs))
    assert bound_of(tasks, Workers.identical(1, cpus=4.0)) <= best * (1 + 1e-9) + 1e-12


def serial_on_four_cpus(
    order: tuple[int, ...],
    seconds: list[float],
    release: list[float],
    cpus: list[int],
    pairs: list[tuple[int, int, float]],
) -> float:
    """Serial schedule generation: every task at the first moment, of those at which something ends, where it fits."""
    start: dict[int, float] = {}
    for i in order:
        ready = max([release[i], *(start[a] + seconds[a] + wait for a, b, wait in pairs if b == i)])
        moments = sorted({ready, *(start[k] + seconds[k] for k in start if start[k] + seconds[k] > ready)})
        start[i] = next(t for t in moments if _fits(i, t, start, seconds, cpus))
    return max(start[i] + seconds[i] for i in order)


def _fits(i: int, at: float, start: dict[int, float], seconds: list[float], cpus: list[int]) -> bool:
    overlapping = [k for k in start if start[k] + 1e-12 < at + seconds[i] and at + 1e-12 < start[k] + seconds[k]]
    moments = {at, *(start[k] for k in overlapping if start[k] > at)}
    used = [sum(cpus[k] for k in overlapping if start[k] <= t + 1e-12 < start[k] + seconds[k]) for t in moments]
    return max(used, default=0) + cpus[i] <= 4


def test_it_sees_what_paths_and_work_do_not() -> None:
    """Within 5 s both middle tasks need the fast worker at once: 6 s, where path and work allow 4.7."""
    tasks, workers = fork_join()
    assert proven(Problem(tasks, workers)).seconds == 5.0
    plan = place(tasks, workers, algorithm="time_indexed")
    assert (plan.makespan, plan.lower_bound, plan.gap) == (6.0, 6.0, 0.0)
    assert plan.reasons["bound_by"] == "time-indexed relaxation"
    assert plan.reasons["proven_optimal"]


def test_another_objective_gets_no_bound_on_the_makespan() -> None:
    tasks, workers = fork_join()
    assert place(tasks, workers, objective="total_completion", algorithm="time_indexed").lower_bound == 5.0


def test_a_head_counts_the_work_before_a_task() -> None:
    """Four tasks of 3 s on two workers come before the last: it starts at 6 s, though no path is longer than 3."""
    tasks = SubTasks.build([3.0] * 4 + [1.0], edges=edges_of([(i, 4, 0) for i in range(4)]))
    whole = in_ticks(Problem(tasks, Workers.identical(2)), Ticks(1.0, True))
    assert whole.head.tolist() == [0, 0, 0, 0, 6]
    assert whole.tail.tolist() == [1, 1, 1, 1, 0]
    assert whole.bound == 7


def test_a_tail_counts_the_work_after_a_task_and_its_delay() -> None:
    tasks = SubTasks.build([1.0] + [3.0] * 4, edges=edges_of([(0, i, 2.0) for i in range(1, 5)]))
    whole = in_ticks(Problem(tasks, Workers.identical(2)), Ticks(1.0, True))
    assert whole.tail.tolist() == [8, 0, 0, 0, 0]


def test_no_time_leaves_the_plain_bound() -> None:
    tasks, workers = fork_join()
    problem = Problem(tasks, workers)
    known = start_plans(problem, MAKESPAN, NEVER)[0]
    assert makespan_bound(problem, known, 0.0) == proven(problem)


def test_what_is_proven_already_is_kept() -> None:
    tasks, workers = fork_join()
    problem = Problem(tasks, workers)
    plan = start_plans(problem, MAKESPAN, NEVER)[0]
    known = replace(plan, bound=5.5, bound_by="what was known")
    assert makespan_bound(problem, known, 0.0) == (5.5, "what was known")
    assert proven(problem).or_higher(5.5, "what was known").or_higher(5.25, "less") == (5.5, "what was known")
    assert proven(problem).seconds == 5.0


def test_too_many_pairs_are_refused() -> None:
    tasks = SubTasks.build(np.ones(20_001))
    assert TimeIndexed().refusals(Problem(tasks, Workers.identical(2))) == [
        "20001 pairs of tasks and worker kinds (its limit is 20000)"
    ]


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 10_000))
def test_duals_that_are_wrong_prove_nothing_false(seed: int) -> None:
    random = np.random.default_rng(seed)
    less = csr_matrix(np.column_stack([-random.uniform(0.5, 2, 4), random.integers(-1, 2, (4, 5))]))
    once = csr_matrix(np.column_stack([np.zeros(2), random.integers(0, 2, (2, 5))]))
    x = random.uniform(0, 1, 5)
    at_most, right = random.uniform(0, 1, 4), once @ np.concatenate([[0.0], x])
    cost = np.array([1.0, 0, 0, 0, 0, 0])
    solved = linprog(cost, less, at_most, once, right, [(-1, None)] + [(0, 1)] * 5)
    assert solved.status == 0
    guess = random.normal(0, 2, 4), random.normal(0, 2, 2)
    assert _proven(cost, less, at_most, once, right, *guess) <= solved.fun + 1e-9
    exact = _proven(cost, less, at_most, once, right, solved.ineqlin.marginals, solved.eqlin.marginals)
    assert exact == pytest.approx(solved.fun, abs=1e-7)


def test_equal_workers_are_one_pool() -> None:
    tasks = SubTasks.build([1.0, 1.0, 1.0], cpus=[1, 2, 3], edges=edges_of([(0, 1, 0)]))
    whole = in_ticks(Problem(tasks, Workers.identical(2, cpus=4.0)), Ticks(1.0, True))
    assert (whole.capacity / whole.demand[0]).tolist() == [[8.0]]
    assert (whole.demand / whole.demand[0]).tolist() == [[1.0], [2.0], [3.0]]


def test_tasks_that_demand_nothing_are_bound_by_their_paths() -> None:
    tasks = SubTasks.build([3.0, 3.0, 1.0], cpus=np.zeros(3), edges=edges_of([(0, 2, 0), (1, 2, 0)]))
    plan = place(tasks, Workers.identical(1), algorithm="time_indexed")
    assert (plan.makespan, plan.lower_bound) == (4.0, 4.0)


def test_rounding_of_the_work_before_a_task_proves_nothing() -> None:
    """200 times 9,999 s at seven tenths of the capacity add up to 1,399,860 s, in floating point to a little more."""
    before = edges_of([(i, 200, 0) for i in range(200)])
    tasks = SubTasks.build([9999.0] * 200 + [1.0, 1.0], cpus=[0.7] * 200 + [1.0, 0.1], edges=before)
    whole = in_ticks(Problem(tasks, Workers.identical(1, cpus=1.0)), Ticks(1.0, True))
    assert whole.head[200] == 1_399_860
