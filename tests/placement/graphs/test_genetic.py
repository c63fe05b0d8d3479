import random

import numpy as np
import pytest

from partitioner.model import Edges, SubTasks, Worker, Workers
from partitioner.placement.algorithms.genetic import Genetic
from partitioner.placement.base import NEVER
from partitioner.placement.check import violations
from partitioner.placement.objectives import objective_of
from partitioner.placement.problem import Problem
from partitioner.placement.search.seeds import start_plans

UNLIKE = {name: np.random.default_rng(k).integers(5, 30, 20).astype(np.float64) for k, name in enumerate("abcd")}
TASKS = SubTasks.build(np.ones(20), seconds_by_class=UNLIKE)
WORKERS = Workers.of(Worker(name, worker_class=name) for name in "abcd")


def test_improves_on_the_rules_it_starts_from() -> None:
    problem, makespan = Problem(TASKS, WORKERS), objective_of("makespan")
    best_rule = start_plans(problem, makespan, NEVER)[0]
    plan = Genetic(generations=60).place(TASKS, WORKERS, seed=1, time_limit=60.0)
    assert violations(plan) == []
    assert plan.makespan < best_rule.makespan


def test_without_a_generation_the_best_start_is_returned() -> None:
    problem, makespan = Problem(TASKS, WORKERS), objective_of("makespan")
    best_rule = start_plans(problem, makespan, NEVER)[0]
    assert Genetic(generations=0).improve(problem, best_rule, makespan, 0, NEVER).makespan <= best_rule.makespan


def test_same_seed_and_generations_same_plan() -> None:
    first, second = (Genetic(generations=5).place(TASKS, WORKERS, seed=2, time_limit=60.0) for _ in range(2))
    assert first.worker.tolist() == second.worker.tolist()


def test_more_generations_are_never_worse() -> None:
    spans = [Genetic(generations=g).place(TASKS, WORKERS, seed=3, time_limit=60.0).makespan for g in (0, 5, 20)]
    assert spans == sorted(spans, reverse=True)


def test_the_global_random_state_is_left_alone() -> None:
    random.seed(11)
    state = random.getstate()
    Genetic(generations=2).place(TASKS, WORKERS, time_limit=60.0)
    assert random.getstate() == state


@pytest.mark.parametrize("objective", ["total_completion", "money", "loss", "utilization"])
def test_any_objective(objective: str) -> None:
    edges = Edges(np.array([0, 1]), np.array([2, 3]), np.zeros(2), np.zeros(2))
    tasks = SubTasks.build([3.0, 1.0, 2.0, 2.0], edges=edges, deadline=[4.0, 2.0, 6.0, 4.0])
    cluster = Workers.of([Worker("dear", speed=2.0, price_per_hour=9.0), Worker("cheap", price_per_hour=1.0)])
    none = Genetic(generations=0).place(tasks, cluster, objective, time_limit=60.0)
    some = Genetic(generations=15).place(tasks, cluster, objective, time_limit=60.0)
    assert violations(some) == []
    worse = some.value < none.value if objective == "utilization" else some.value > none.value
    assert not worse
