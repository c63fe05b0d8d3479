"""Simulated runs beside their plans, in small; ``benchmarks.keeps_plan`` is the full form."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.keeps_plan import noisily, random_plan, slowed
from partitioner.placement.algorithms.round_robin import RoundRobin
from partitioner.simulation import simulate


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
