"""How near pilots come to the truth, simulated: no clock is read, so that seeds by the hundred tell what one run cannot.

python -m benchmarks.pilots [--seeds 30] [--noise 0.1] [--seconds 1 5 20 60]

7,950 short texts in five fragments of very different size on two slots, jobs of 1 to 60 s by characters, by rows, by both,
and with dear calls. First calls of a process take longer, as those of pandas do. Printed: predicted / true seconds of all,
in logs, for 32 sub-tasks, and the part of the makespan that the pilot takes.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import replace

import numpy as np
import pyarrow as pa

from benchmarks.versions import versions
from partitioner.costs.calibrated import Calibrated
from partitioner.costs.expression import evaluate
from partitioner.costs.formulas.formula import parse
from partitioner.costs.measuring.measurements import Timing
from partitioner.model import Dataset, Fragments
from partitioner.model.data import Floats, Ints
from partitioner.testing.tables import TableSource

TASKS, SLOTS = 32, 2
WARM, WARMER = 0.03, 0.3
"""Seconds that the first call of a process takes longer, and the part of it that remains for each after."""

JOBS = {
    "characters": ("len(text)", 3e-4),
    "rows": ("rows", 3e-4),
    "both": ("len(text) + 130 * rows", 3e-4),
    "dear calls": ("len(text)", 5e-3),
}
"""What rows cost, up to a factor, and the seconds of a call besides."""


class Simulated:
    """A ``Runner`` of ``slots`` processes: seconds by a formula, times lognormal ``noise``, and ``call`` for each call."""

    def __init__(self, truth: str, call: float, noise: float, seed: int, slots: int = SLOTS) -> None:
        self.truth, self.call, self.noise = parse(truth), call, noise
        self.rng = np.random.default_rng(seed)
        self.calls = [0] * slots
        self.seconds = 0.0

    def __call__(
        self, dataset: Dataset, pieces: Fragments, seconds_limit: float, sizes: Ints | None = None
    ) -> list[Timing | None]:
        """Timings; None for calls that a slot did not come to before ``seconds_limit``, by its own clock."""
        starts = np.arange(len(pieces)) if sizes is None else np.cumsum(sizes) - sizes
        true = np.add.reduceat(self.rows(replace(dataset, fragments=pieces)), starts) + self.call
        took = [0.0] * len(self.calls)
        timings: list[Timing | None] = []
        for i, seconds in enumerate(true.tolist()):
            slot = i % len(took)
            if took[slot] > seconds_limit:
                timings.append(None)
                continue
            seconds = seconds * math.exp(self.noise * self.rng.standard_normal()) + WARM * WARMER ** self.calls[slot]
            self.calls[slot] += 1
            took[slot] += seconds
            timings.append(Timing(seconds, cpu_seconds=seconds, peak_memory_bytes=1e8, process=f"p{slot}"))
        self.seconds += max(took)
        return timings

    def rows(self, dataset: Dataset) -> Floats:
        """float64[n]: seconds of the rows of each fragment, without the call."""
        return evaluate([self.truth], dataset)[0]


def short_texts(seed: int) -> Dataset:
    """7,950 texts of about 100 characters in five fragments of very different size, and an id that grows with the rows."""
    lengths = np.random.default_rng(seed).lognormal(4.6, 0.8, 7950).clip(1, 3000).astype(int)
    table = pa.table({"id": np.arange(len(lengths)), "text": ["x" * n for n in lengths]})
    return TableSource(table).dataset([3000, 200, 50, 4000, 700])


def one(job: str, seconds: float, noise: float, seed: int, slots: int = SLOTS) -> tuple[float, float, float]:
    """Log of predicted / true seconds of ``job``; those of the pilot; the true makespan of a balanced run."""
    truth, call = JOBS[job]
    dataset = short_texts(seed)
    scale = seconds / float(Simulated(truth, 0.0, 0.0, 0).rows(dataset).sum())
    runner = Simulated(f"{scale!r} * ({truth})", call, noise, seed, slots)
    costs = Calibrated(seed=seed).bind(runner=runner, slots=slots).estimate(dataset)
    true = seconds + TASKS * call
    predicted = float(costs.seconds.sum()) + TASKS * costs.fixed_seconds
    return math.log(predicted / true), runner.seconds, true / slots


def main() -> None:
    """Print a line for each job and length."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=30)
    parser.add_argument("--noise", type=float, default=0.1)
    parser.add_argument("--seconds", type=float, nargs="+", default=[1.0, 5.0, 20.0, 60.0])
    options = parser.parse_args()
    print(versions("numpy"))
    print(f"{'job':12}{'seconds':>8}{'median error':>14}{'nine in ten':>13}{'worst':>15}{'pilot':>8}")
    for seconds in options.seconds:
        for job in JOBS:
            found = np.array([one(job, seconds, options.noise, seed) for seed in range(options.seeds)])
            off, pilot = found[:, 0], float((found[:, 1] / found[:, 2]).mean())
            median, most = np.quantile(np.abs(off), [0.5, 0.9])
            worst = f"{off.min():+.2f} {off.max():+.2f}"
            print(f"{job:12}{seconds:8g}{median:14.3f}{most:13.2f}{worst:>15}{pilot:8.1%}", flush=True)


if __name__ == "__main__":
    main()
