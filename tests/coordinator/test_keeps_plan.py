"""Simulated runs beside their plans, in small; ``benchmarks.keeps_plan`` is the full form."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.keeps_plan import noisily, random_plan, slowed
from partitioner.placement.algorithms.round_robin import RoundRobin
from partitioner.simulation import simulate
from tests.coordinator.paper import by_hand


@pytest.mark.parametrize("seed", range(24))
def test_durations_as_predicted_give_the_planned_makespan(seed: int) -> None:
    plan = random_plan(seed)
    run = simulate(plan)
    assert run.makespan == pytest.approx(plan.makespan, rel=1e-6)
    assert run.moved == 0


def test_even_a_plan_that_could_be_better_is_kept_while_nothing_differs_from_it() -> None:
    plan = random_plan(2)
    uneven = RoundRobin().place(plan.tasks, plan.workers)
    run = simulate(uneven)
    assert uneven.makespan > plan.makespan * 1.02
    assert run.makespan == pytest.approx(uneven.makespan, rel=1e-6)


def test_noise_costs_little_beside_list_schedules_that_know_the_durations() -> None:
    assert np.mean([noisily(seed).ratio for seed in range(12)]) <= 1.03


def test_a_worker_that_becomes_slow_costs_little_beside_list_schedules_that_know_it() -> None:
    assert np.mean([slowed(seed).ratio for seed in range(12)]) <= 1.2


@pytest.mark.parametrize(
    ("tasks", "workers", "slower", "seconds"),
    [(12, 2, 10, 110.0), (24, 8, 10, 40.0), (40, 4, 10, 130.0), (20, 4, 30, 70.0)],
)
def test_a_worker_that_falls_behind_is_noticed_before_anything_of_it_ends(
    tasks: int, workers: int, slower: float, seconds: float
) -> None:
    plan = by_hand([10.0] * tasks, workers, [i % workers for i in range(tasks)])
    run = simulate(plan, {"slowdowns": [["worker-0", 0.0, slower]]})
    assert run.makespan == pytest.approx(seconds)
    assert sum(worker == "worker-0" for _, worker, _, _ in run.timeline) <= 1  # its first, or a copy of that elsewhere
