import numpy as np
import pytest

from partitioner.costs.measuring.measurements import Measurements, Timing
from partitioner.costs.measuring.speed import relative_speeds
from partitioner.errors import CostError


def measured(factor, seed=0, first=1.0):
    rng = np.random.default_rng(seed)
    sizes = np.linspace(1.0, 20.0, 20)
    seconds = factor * sizes * np.exp(0.05 * rng.standard_normal(20))
    seconds[0] *= first
    return Measurements.of({"rows": sizes}, [Timing(float(s), process="p") for s in seconds])


def test_a_worker_that_takes_twice_as_long_has_half_the_speed():
    speeds = relative_speeds({"fast": measured(0.1), "slow": measured(0.2, seed=1)})
    assert speeds["fast"].speed == 1.0
    assert speeds["slow"].speed == pytest.approx(0.5, rel=0.05)
    assert speeds["slow"].low < 0.5 < speeds["slow"].high


def test_another_class_can_be_the_reference():
    speeds = relative_speeds({"fast": measured(0.1), "slow": measured(0.2)}, reference="slow")
    assert speeds["fast"].speed == pytest.approx(2.0)


def test_warming_up_does_not_count():
    speeds = relative_speeds({"a": measured(0.1), "b": measured(0.1, first=100.0)})
    assert speeds["b"].speed == pytest.approx(1.0)


def test_other_pieces_are_refused():
    other = Measurements.of({"rows": np.ones(2)}, [Timing(1.0), Timing(2.0)])
    with pytest.raises(CostError, match="'b' ran other pieces than 'a'"):
        relative_speeds({"a": measured(0.1), "b": other})


def test_an_unknown_reference_is_refused():
    with pytest.raises(CostError, match="'x'"):
        relative_speeds({"a": measured(0.1)}, reference="x")
