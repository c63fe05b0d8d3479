"""Same tables, same seed, same plan: for every algorithm that searches, on every run, in every process and thread."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from partitioner import registry
from partitioner.errors import ConfigError
from partitioner.model import Edges, Plan, SubTasks, Worker, Workers
from partitioner.placement import clock
from partitioner.placement.api import compare, place
from partitioner.placement.base import Algorithm
from partitioner.placement.problem import Problem
from partitioner.placement.schedule import Schedule
from partitioner.placement.schedules.list_rules import list_schedule

STEPS = 60_000


def independent() -> tuple[SubTasks, Workers]:
    return SubTasks.build(np.random.default_rng(0).lognormal(1, 1, 40)), Workers.identical(8)


def unrelated() -> tuple[SubTasks, Workers]:
    draw = np.random.default_rng(1)
    times = {c: draw.integers(1, 100, 40).astype(np.float64) for c in "abc"}
    return SubTasks.build(np.full(40, np.nan), seconds_by_class=times), Workers.of(
        Worker(f"w{c}", worker_class=c, labels=frozenset({c, "x"})) for c in "abc"
    )


def shared() -> tuple[SubTasks, Workers]:
    draw = np.random.default_rng(2)
    return SubTasks.build(draw.lognormal(1, 1, 30), cpus=draw.choice([0.5, 1.0, 3.0], 30)), Workers.identical(
        3, cpus=4.0
    )


def graph() -> tuple[SubTasks, Workers]:
    draw = np.random.default_rng(3)
    a, b = np.triu_indices(30, 1)
    kept = draw.random(len(a)) < 0.15
    count = int(kept.sum())
    edges = Edges(a[kept].astype(np.int64), b[kept].astype(np.int64), draw.random(count), np.zeros(count))
    return SubTasks.build(draw.lognormal(1, 1, 30), edges=edges), Workers.identical(3)


INSTANCES = (independent, unrelated, shared, graph)
SEARCHES = [n for n in registry.names("placements") if registry.load("placements", n).anytime]


def told(plan: Plan) -> dict[str, object]:
    """Everything that a plan says but how long planning took."""
    values = plan.to_json()
    values.pop("planning_seconds")
    return values


@pytest.mark.parametrize("make", INSTANCES, ids=lambda make: make.__name__)
@pytest.mark.parametrize("name", SEARCHES)
def test_the_same_plan_again(name: str, make: object) -> None:
    tasks, workers = make()  # type: ignore[operator]
    if registry.load("placements", name)().refusals(Problem(tasks, workers)):
        return
    first, second = (place(tasks, workers, algorithm=name, seed=4, steps=STEPS) for _ in range(2))
    assert told(first) == told(second)


def test_every_search_counts() -> None:
    assert [name for name in SEARCHES if not registry.load("placements", name).counts] == []


def test_auto_needs_no_limit_to_be_repeatable() -> None:
    tasks, workers = SubTasks.build([5.0, 4.0, 3.0, 3.3]), Workers.identical(2)
    assert told(place(tasks, workers)) == told(place(tasks, workers))


def test_the_same_plan_in_other_processes() -> None:
    """Whatever order their sets and dictionaries of text have."""
    program = (
        "import json\nfrom tests.placement.test_repeatable import *\n"
        "print(json.dumps([told(place(*make(), steps=60_000)) for make in INSTANCES], sort_keys=True))"
    )
    runs = [
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.getcwd()},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert len(runs[0]) > 1000
    assert runs[0] == runs[1]


def test_the_same_plan_in_threads() -> None:
    """Each counts for itself."""
    cases = [(make(), name) for make in (independent, shared) for name in ("auto", "genetic", "local_search")]
    alone = [told(place(*tables, algorithm=name, steps=60_000)) for tables, name in cases]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda case: told(place(*case[0], algorithm=case[1], steps=60_000)), cases))
    assert together == alone


def test_compare_is_repeatable_too() -> None:
    tables = independent()
    first, second = (compare(*tables, algorithms=["auto", "hybrid", "lpt"], steps=50_000) for _ in range(2))
    assert [told(plan) for plan in first.plans] == [told(plan) for plan in second.plans]


def test_more_steps_are_no_worse() -> None:
    tasks, workers = independent()
    few, many = (place(tasks, workers, algorithm="local_search", steps=steps) for steps in (100, 300_000))
    assert many.makespan < few.makespan


def test_a_time_limit_and_steps_exclude_each_other() -> None:
    with pytest.raises(ConfigError, match=r"time limit 1.0 s and 1000 steps: give one of them"):
        place(*independent(), time_limit=1.0, steps=1000)


@pytest.mark.parametrize("steps", [0, -5, True, "many", float("nan")])
def test_steps_must_be_above_zero(steps: object) -> None:
    with pytest.raises(ConfigError, match=f"steps {steps}: it must be above 0"):
        place(*independent(), steps=steps)  # type: ignore[arg-type]


class ByTheClock(Algorithm):
    """Looks at seconds alone."""

    name = "by_the_clock"
    supports = registry.load("placements", "lpt").supports
    guarantee = "none"
    complexity = "the time limit"
    anytime = True
    role = "search"

    def solve(self, problem: Problem, objective: object, seed: int, deadline: float) -> Schedule:
        return list_schedule(problem, -problem.fastest)


def test_who_stops_by_the_clock_is_given_no_steps() -> None:
    with pytest.raises(ConfigError, match="'by_the_clock' stops by the clock and counts no steps"):
        place(*independent(), algorithm=ByTheClock(), steps=1000)
    assert place(*independent(), algorithm=ByTheClock(), time_limit=1.0).algorithm == "by_the_clock"


def test_the_counted_clock_moves_by_what_is_spent() -> None:
    with clock.counted():
        clock.spend(250_000)
        assert (clock.now(), clock.is_counted()) == (0.25, True)
    assert not clock.is_counted()
