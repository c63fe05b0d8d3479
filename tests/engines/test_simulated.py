import pytest

from partitioner.engines.simulated_world import Faults
from partitioner.simulation import simulate
from tests.coordinator.paper import plan_of


def test_a_slow_worker_takes_longer_from_that_second_on_also_over_what_runs():
    faults = Faults(slowdowns=(("worker-0", 10.0, 4.0),))
    assert faults.finish("worker-0", 0.0, 10.0) == 10.0
    assert faults.finish("worker-0", 4.0, 10.0) == 10.0 + 4.0 * 4.0
    assert faults.finish("worker-0", 12.0, 2.0) == 20.0
    assert faults.finish("worker-1", 12.0, 2.0) == 14.0


def test_a_worker_recovers_with_a_later_factor_of_one():
    faults = Faults(slowdowns=(("w", 0.0, 2.0), ("w", 10.0, 1.0)))
    assert faults.finish("w", 0.0, 8.0) == 13.0


def test_a_simulation_is_slowed_down():
    assert simulate(plan_of([10.0], 1), {"slowdowns": [["worker-0", 5, 3]]}).makespan == pytest.approx(20.0)


def test_the_noise_of_a_sub_task_depends_on_no_order():
    faults = Faults(noise=0.3)
    assert faults.noise_of(7, "t000001") == faults.noise_of(7, "t000001") != faults.noise_of(7, "t000002")
