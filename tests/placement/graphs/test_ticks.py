import numpy as np
import pytest

from partitioner.placement.exact.lanes import whole_units
from partitioner.placement.exact.ticks import ticks_of


@pytest.mark.parametrize(
    ("values", "per_second"),
    [([1.0, 2.0], 1.0), ([0.5, 2.25], 4.0), ([0.1, 0.7], 10.0), ([1 / 3], 3.0), ([0.001], 1_000.0)],
)
def test_the_coarsest_exact_step(values: list[float], per_second: float) -> None:
    ticks = ticks_of([np.array(values)], 10.0)
    assert (ticks.per_second, ticks.exact) == (per_second, True)


def test_no_exact_step_rounds_down() -> None:
    ticks = ticks_of([np.array([np.pi])], 10.0, finest=1_000)
    assert not ticks.exact
    assert ticks.down(np.array([np.pi])).tolist() == [314]
    assert ticks.up(np.pi) == 315


def test_infinite_times_do_not_matter() -> None:
    assert ticks_of([np.array([np.inf, 2.0])], 5.0).exact


def test_demands_in_a_common_step() -> None:
    units, limit = whole_units(np.array([0.25, 0.5]), 1.0)
    assert (units.tolist(), limit) == ([1, 2], 4)


def test_demands_without_a_common_step_are_rounded_up() -> None:
    units, limit = whole_units(np.array([np.pi]), 10.0)
    assert (units.tolist(), limit) == ([314160], 1_000_000)


def test_an_unlimited_capacity_holds_everything() -> None:
    units, limit = whole_units(np.array([3.0, 4.0]), np.inf)
    assert limit >= units.sum()
