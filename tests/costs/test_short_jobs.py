"""Pilots of jobs of some seconds: a hundredth of them is a few calls, most of which warm a process up."""

import numpy as np
import pyarrow as pa
import pytest

from partitioner.costs.calibrated import LEAST_SECONDS, Calibrated
from partitioner.costs.measuring.measurements import Timing
from partitioner.costs.measuring.schedule import doubling
from partitioner.testing.tables import TableSource
from tests.costs.stand_ins import FormulaRunner

TASKS = 32


class WarmingUp(FormulaRunner):
    """Slots that are processes of their own: their first calls take up to ``WARM`` seconds longer, each a third of the one
    before, as was seen of pandas in new processes; each looks at its own clock.
    """

    WARM = 0.03

    def __init__(self, truth, call, slots, seed):
        super().__init__(truth, fixed=call, noise=0.1, seed=seed)
        self.calls, self.longest = [0] * slots, 0.0

    def __call__(self, dataset, pieces, seconds_limit, sizes=None):
        slots, timings = len(self.calls), super().__call__(dataset, pieces, np.inf, sizes)
        took, found = np.zeros(slots), []
        for i, timing in enumerate(timings):
            slot = i % slots
            if took[slot] > seconds_limit:
                found.append(None)
                continue
            seconds = timing.seconds + self.WARM * 0.3 ** self.calls[slot]
            self.calls[slot] += 1
            took[slot] += seconds
            found.append(Timing(seconds, cpu_seconds=seconds, peak_memory_bytes=1e8, process=f"p{slot}"))
        self.longest += took.max()
        return found


def short_texts(seed):
    """7,950 texts of about 100 characters in five fragments of very different size."""
    lengths = np.random.default_rng(seed).lognormal(4.6, 0.8, 7950).clip(1, 3000).astype(int)
    table = pa.table({"id": np.arange(len(lengths)), "text": ["x" * n for n in lengths]})
    return TableSource(table).dataset([3000, 200, 50, 4000, 700])


@pytest.mark.parametrize("slots", [1, 2])
@pytest.mark.parametrize("work", [1.0, 5.0, 20.0])
@pytest.mark.parametrize(
    ("truth", "call"),
    [
        ("1e-6 * len(text)", 3e-4),
        ("1.3e-4 * rows", 3e-4),
        ("5e-7 * len(text) + 6.5e-5 * rows", 3e-4),
        ("1e-6 * len(text)", 5e-3),
    ],
)
def test_jobs_of_some_seconds_are_predicted(truth, call, work, slots):
    off = []
    for seed in range(5):
        dataset = short_texts(seed)
        scale = float(work / FormulaRunner(truth).true(dataset).sum())
        runner = WarmingUp(f"{scale!r} * ({truth})", call, slots, seed)
        costs = Calibrated(seed=seed).bind(runner=runner, slots=slots).estimate(dataset)
        true = work + TASKS * call
        off.append(np.log((costs.seconds.sum() + TASKS * costs.fixed_seconds) / true))
        allowed = max(0.01 * true / slots, LEAST_SECONDS) + WarmingUp.WARM / 0.7
        assert runner.longest < 2 * allowed  # one call that began in time may end as late again
    assert np.median(np.abs(off)) < 0.12
    assert np.max(np.abs(off)) < 0.35


def test_calls_that_double_hold_what_there_is():
    assert doubling(254, 2).tolist() == [1, 1, 2, 2, 4, 4, 8, 8, 16, 16, 32, 32, 64, 64]
    assert doubling(253, 2).tolist() == [1, 1, 2, 2, 4, 4, 8, 8, 16, 16, 32, 32]
    assert doubling(7, 1).tolist() == [1, 2, 4]
    assert doubling(1, 2).tolist() == []
    assert doubling(0, 2).tolist() == []
