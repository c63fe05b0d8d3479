import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partitioner.model import Edges, SubTasks, Worker, Workers
from partitioner.placement.algorithms.auto import Auto
from partitioner.placement.algorithms.graph_search import GraphSearch, _Shared
from partitioner.placement.algorithms.heft import Heft
from partitioner.placement.base import NEVER
from partitioner.placement.check import violations
from partitioner.placement.objectives import objective_of
from partitioner.placement.problem import Problem
from partitioner.placement.schedules.sequence import slots_of
from partitioner.placement.search.graph_kernel import OUT, Frame, Solution, measure, put_back
from partitioner.placement.search.slot_graph import graph_of, work_of

SPEEDS = (1.0, 1.0, 2.0, 4.0)


def graph(seed: int, n: int = 30, density: float = 0.1, moved: float = 0.0) -> SubTasks:
    draw = np.random.default_rng(seed)
    a, b = np.triu_indices(n, 1)
    kept = draw.random(len(a)) < density
    count = int(kept.sum())
    delay = draw.integers(0, 3, count).astype(np.float64) * (draw.random(count) < 0.2)
    edges = Edges(a[kept].astype(np.int64), b[kept].astype(np.int64), delay, draw.random(count) * moved)
    return SubTasks.build(draw.integers(0, 10, n).astype(np.float64), edges=edges)


def workers() -> Workers:
    return Workers.of(Worker(f"w{j}", speed=s) for j, s in enumerate(SPEEDS))


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10_000), st.sampled_from([0.0, 5.0]))
def test_never_worse_than_heft_and_always_sound(seed: int, moved: float) -> None:
    tasks = graph(seed, moved=moved)
    heft = Heft().place(tasks, workers(), bandwidth=1.0)
    plan = GraphSearch(rounds=40).place(tasks, workers(), seed=seed, time_limit=60.0, bandwidth=1.0)
    assert violations(plan) == []
    assert plan.makespan <= heft.makespan * (1 + 1e-9)
    edges = tasks.edges
    wait = np.where(plan.worker[edges.source] != plan.worker[edges.target], edges.bytes, 0.0) + edges.delay
    assert np.all(plan.start[edges.target] >= plan.finish[edges.source] + wait - 1e-9)


@pytest.mark.parametrize("seconds", [0.01, 0.3])
def test_auto_is_never_worse_than_heft_on_a_graph(seconds: float) -> None:
    tasks = graph(11, n=80, density=0.1)
    heft = Heft().place(tasks, workers())
    plan = Auto().place(tasks, workers(), time_limit=seconds)
    assert violations(plan) == []
    assert plan.makespan <= heft.makespan


def test_improves_on_heft() -> None:
    tasks = graph(1, n=60, density=0.2)
    heft = Heft().place(tasks, workers())
    plan = GraphSearch(rounds=600).place(tasks, workers(), time_limit=60.0)
    assert plan.makespan < 0.97 * heft.makespan


def test_windows_of_a_large_graph_improve_on_heft() -> None:
    tasks = graph(2, n=300, density=0.15)
    heft = Heft().place(tasks, workers())
    plan = GraphSearch(rounds=600).place(tasks, workers(), time_limit=60.0)
    assert violations(plan) == []
    assert plan.makespan < 0.995 * heft.makespan


@pytest.mark.parametrize("shared", [False, True])
def test_same_seed_and_rounds_same_plan(shared: bool) -> None:
    cluster = Workers.identical(2, cpus=2.0, memory_bytes=8.0) if shared else workers()
    tasks = graph(7).with_columns(memory_bytes=np.tile([3.0, 5.0, 1.0], 10)) if shared else graph(7)
    first, second = (GraphSearch(rounds=60).place(tasks, cluster, seed=4, time_limit=60.0) for _ in range(2))
    assert first.worker.tolist() == second.worker.tolist()
    assert first.start.tolist() == second.start.tolist()


def test_starts_from_a_known_plan_and_never_returns_a_worse_one() -> None:
    problem, makespan = Problem(graph(9), workers()), objective_of("makespan")
    known = GraphSearch(rounds=300).solve(problem, makespan, 0, NEVER)
    assert GraphSearch(rounds=0).improve(problem, known, makespan, 0, NEVER).makespan == known.makespan


def test_project_on_one_worker_reaches_the_optimum() -> None:
    # 3 + 2 units side by side, then the pair that needs all five: heft's order gives 9, the optimum is 8
    tasks = SubTasks.build(
        [4.0, 4.0, 2.0, 2.0, 2.0],
        cpus=np.zeros(5),
        resources={"crew": np.array([3.0, 2.0, 5.0, 3.0, 2.0])},
        edges=Edges(np.array([2]), np.array([3]), np.zeros(1), np.zeros(1)),
    )
    plan = GraphSearch(rounds=50).place(tasks, Workers.identical(1, resources={"crew": 5.0}), time_limit=60.0)
    assert violations(plan) == []
    assert plan.makespan == 8.0


def test_other_objectives_are_searched_too() -> None:
    edges = Edges(np.array([0]), np.array([2]), np.zeros(1), np.zeros(1))
    tasks = SubTasks.build([1.0, 5.0, 1.0], edges=edges)
    plan = GraphSearch(rounds=100).place(tasks, Workers.identical(1), "total_completion", time_limit=60.0)
    assert plan.value == 1.0 + 2.0 + 7.0


def test_hard_deadlines_come_before_the_makespan() -> None:
    edges = Edges(np.array([0]), np.array([1]), np.zeros(1), np.zeros(1))
    tasks = SubTasks.build(
        [1.0, 6.0, 2.0], edges=edges, deadline=[np.inf, np.inf, 2.0], hard_deadline=np.array([False, False, True])
    )
    plan = GraphSearch(rounds=50).place(tasks, Workers.identical(1), time_limit=60.0)
    assert plan.finish[2] == 2.0


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.integers(0, 29), st.sampled_from([0.0, 4.0]))
def test_the_length_of_a_reinsertion_is_what_it_turns_out_to_be(seed: int, v: int, moved: float) -> None:
    problem = Problem(graph(seed, moved=moved), workers(), bandwidth=1.0)
    kernel = graph_of(problem, slots_of(problem))
    frame = Frame(np.zeros(len(SPEEDS)), np.zeros(len(SPEEDS)), np.ones(problem.n, np.int64))
    rng = np.random.default_rng(seed)
    slot = rng.integers(0, len(SPEEDS), problem.n)
    lasting = kernel.seconds[np.arange(problem.n), slot]
    solution = Solution(problem.topological.copy(), slot, lasting, *(np.zeros(problem.n) for _ in range(3)))
    before = measure(kernel, frame, solution, 0, problem.n - 1)
    slot[v], lasting[v] = OUT, kernel.least[v]
    others = measure(kernel, frame, solution, 0, problem.n - 1)
    path, where = put_back(kernel, frame, solution, v, 0.0, rng, work_of(kernel))
    partly = measure(kernel, frame, solution, where, where)
    after = measure(kernel, frame, solution, 0, problem.n - 1)
    assert after == pytest.approx(max(others, path))
    assert partly == pytest.approx(after)
    assert after <= before * (1 + 1e-9)


@pytest.mark.parametrize(
    ("tasks", "workers", "message"),
    [
        (20_001, 2, "20001 tasks (its limit is 20000)"),
        (9_000, 600, "5400000 pairs of task and slot (its limit is 5000000)"),
    ],
)
def test_what_is_too_large_is_refused(tasks: int, workers: int, message: str) -> None:
    assert GraphSearch().refusals(Problem(SubTasks.build(np.ones(tasks)), Workers.identical(workers))) == [message]


def test_implied_dependencies_are_dropped() -> None:
    edges = Edges(np.array([0, 1, 0, 0]), np.array([1, 2, 2, 3]), np.array([0.0, 0, 0, 2]), np.zeros(4))
    problem = Problem(SubTasks.build(np.ones(4), edges=edges), Workers.identical(2))
    kernel = graph_of(problem, slots_of(problem))
    assert kernel.parents.offset.tolist() == [0, 0, 1, 2, 3]
    assert kernel.parents.task.tolist() == [0, 1, 0]
    assert kernel.parents.delay.tolist() == [0.0, 0.0, 2.0]


def test_an_interrupt_ends_every_thread() -> None:
    program = (
        "import numpy as np\n"
        "from partitioner.model import Edges, SubTasks, Worker, Workers\n"
        "from partitioner.placement.algorithms.graph_search import GraphSearch\n"
        "edges = Edges(np.array([0, 0, 1, 2]), np.array([1, 2, 3, 3]), np.zeros(4), np.zeros(4))\n"
        "tasks = SubTasks.build([2.0, 4.0, 4.0, 2.0], edges=edges)\n"
        "workers = Workers.of([Worker('fast', speed=2.0), Worker('slow')])\n"
        "GraphSearch(rounds=1).place(tasks, workers)\n"
        "print('searching', flush=True)\n"
        "GraphSearch().place(tasks, workers, time_limit=3600.0)\n"
    )
    search = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert search.stdout is not None
    assert search.stdout.readline() == "searching\n"
    time.sleep(0.5)
    search.send_signal(signal.SIGINT)
    _, errors = search.communicate(timeout=60)
    assert "KeyboardInterrupt" in errors
    assert search.returncode != 0


def test_threads_share_the_best_solution() -> None:
    shared = _Shared(1.0)
    worse, better = (Solution(np.arange(2), *(np.full(2, k) for _ in range(5))) for k in (2.0, 1.0))
    assert shared.exchange(worse, 9.0) == (worse, 9.0)
    assert shared.exchange(better, 8.0) == (better, 8.0)
    mine, length = shared.exchange(worse, 9.0)
    assert length == 8.0
    assert mine.start.tolist() == [1.0, 1.0]
    assert mine.start is not better.start


def test_a_bound_that_is_known_ends_the_search() -> None:
    """Told that the plan of heft is optimal, which it is not, the search does not even begin."""
    tasks = graph(1, n=60, density=0.2)
    tasks = tasks.with_columns(seconds=tasks.seconds + 1)
    problem, makespan = Problem(tasks, workers()), objective_of("makespan")
    heft = Heft().solve(problem, makespan, 0, NEVER)
    assert GraphSearch(rounds=600).improve(problem, heft, makespan, 0, NEVER).makespan < heft.makespan
    told = replace(heft, bound=heft.makespan, bound_by="told")
    assert GraphSearch(rounds=600).improve(problem, told, makespan, 0, NEVER) is told


def test_compiled_and_plain_searches_find_the_same_plan() -> None:
    program = (
        "import numpy as np\n"
        "from partitioner.model import Edges, SubTasks, Workers\n"
        "from partitioner.placement.algorithms.graph_search import GraphSearch\n"
        "edges = Edges(np.arange(0, 18), np.arange(2, 20), np.zeros(18), np.zeros(18))\n"
        "tasks = SubTasks.build(np.arange(20) % 7 + 1.0, edges=edges)\n"
        "plan = GraphSearch(rounds=50).place(tasks, Workers.identical(3), seed=3, time_limit=60.0)\n"
        "print(plan.worker.tolist(), plan.start.tolist())\n"
    )
    compiled, plain = (
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "NUMBA_DISABLE_JIT": disabled},
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        ).stdout
        for disabled in ("0", "1")
    )
    assert compiled == plain != ""
