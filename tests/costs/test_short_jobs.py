"""Pilots of jobs of some seconds: a hundredth of them is a few calls, most of which warm a process up."""

import numpy as np
import pytest

from benchmarks.pilots import JOBS, WARM, WARMER, one
from partitioner.costs.calibrated import LEAST_SECONDS
from partitioner.costs.measuring.schedule import doubling


@pytest.mark.parametrize("slots", [1, 2])
@pytest.mark.parametrize("seconds", [1.0, 5.0, 20.0])
@pytest.mark.parametrize("job", JOBS)
def test_jobs_of_some_seconds_are_predicted(job, seconds, slots):
    off = []
    for seed in range(5):
        log_ratio, pilot, makespan = one(job, seconds, 0.1, seed, slots)
        off.append(abs(log_ratio))
        allowed = max(0.01 * makespan, LEAST_SECONDS) + WARM / (1 - WARMER)
        assert pilot < 2 * allowed  # a call that began in time may take as long as all before it
    assert np.median(off) < 0.12
    assert np.max(off) < 0.35


def test_calls_that_double_hold_what_there_is():
    assert doubling(254, 2).tolist() == [1, 1, 2, 2, 4, 4, 8, 8, 16, 16, 32, 32, 64, 64]
    assert doubling(253, 2).tolist() == [1, 1, 2, 2, 4, 4, 8, 8, 16, 16, 32, 32]
    assert doubling(7, 1).tolist() == [1, 2, 4]
    assert doubling(1, 2).tolist() == []
    assert doubling(0, 2).tolist() == []
