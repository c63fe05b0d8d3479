"""The portfolio: never worse than its members, tells its story, and answers at any limit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partitioner.model import Edges, SubTasks, Worker, Workers
from partitioner.placement.api import place
from partitioner.placement.check import violations

RAGGED = SubTasks.build(np.random.default_rng(4).lognormal(1, 1, 30))


def test_it_says_who_won_and_the_figures_of_the_others() -> None:
    plan = place(RAGGED, Workers.identical(4), time_limit=0.5)
    figures = plan.reasons["portfolio"]
    assert plan.reasons["winner"] in figures
    assert figures[plan.reasons["winner"]]["makespan"] == plan.makespan == min(f["makespan"] for f in figures.values())
    assert "lpt" in figures


def test_a_tiny_limit_still_gives_a_plan() -> None:
    plan = place(RAGGED, Workers.identical(4), time_limit=1e-9)
    assert violations(plan) == []
    assert "lpt" in plan.reasons["portfolio"]


def test_it_stops_when_the_plan_is_proven_optimal() -> None:
    plan = place(SubTasks.build([1.0] * 4), Workers.identical(2))
    assert (plan.gap, plan.reasons["proven_optimal"], list(plan.reasons["portfolio"])) == (0.0, True, ["lpt"])
    assert set(plan.reasons["not_run"].values()) == {"plan proven optimal"}


@settings(deadline=None, max_examples=6)
@given(st.lists(st.integers(1, 50), min_size=1, max_size=14), st.sampled_from([(1.0, 1.0), (1.0, 2.0, 4.0)]))
def test_never_worse_than_lpt(times: list[int], speeds: tuple[float, ...]) -> None:
    workers = Workers.of(Worker(f"w{j}", speed=s) for j, s in enumerate(speeds))
    tasks = SubTasks.build(times)
    best = place(tasks, workers, time_limit=0.1).makespan
    assert best <= place(tasks, workers, algorithm="lpt").makespan * (1 + 1e-9)


def test_only_algorithms_that_support_dependencies_take_part() -> None:
    edges = Edges(np.array([0, 0]), np.array([1, 2]), np.zeros(2), np.zeros(2))
    plan = place(SubTasks.build([3.0, 4.0, 5.0, 9.0], edges=edges), Workers.identical(2), time_limit=0.5)
    assert not {"multifit", "karmarkar_karp", "block_exchange"} & set(plan.reasons["portfolio"])
    assert violations(plan) == []


@pytest.mark.parametrize("seed", [0, 1])
def test_shared_workers_with_gpus_within_a_quarter_of_the_bound(seed: int) -> None:
    draw = np.random.default_rng(seed)
    tasks = SubTasks.build(draw.lognormal(1, 0.5, 40), gpus=draw.choice([0.0, 0.25, 0.5, 1.0], 40))
    plan = place(tasks, Workers.identical(3, cpus=8.0, gpus=2.0), time_limit=1.0)
    assert violations(plan) == []
    assert plan.gap < 0.25
