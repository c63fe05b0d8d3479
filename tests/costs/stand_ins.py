"""What is measured where no clock is read: seconds by a formula, and texts whose lengths are skewed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa

from partitioner.costs.expression import evaluate
from partitioner.costs.formulas.formula import parse
from partitioner.costs.measuring.measurements import Timing
from partitioner.model import Dataset, Fragments
from partitioner.model.data import Floats, Ints
from partitioner.testing.tables import TableSource


class FormulaRunner:
    """A runner whose seconds are a formula over data columns, with multiplicative noise: no clock is read.

    ``fixed`` seconds per piece; ``memory_per_byte`` of peak above 100 MB; ``cpu_share`` of the seconds, without noise, are
    CPU seconds. ``seconds`` adds up what was run.
    """

    def __init__(
        self,
        truth: str,
        fixed: float = 0.0,
        noise: float = 0.02,
        seed: int = 0,
        memory_per_byte: float = 0.0,
        cpu_share: float = 0.0,
    ) -> None:
        self.truth, self.fixed, self.noise = parse(truth), fixed, noise
        self.rng = np.random.default_rng(seed)
        self.memory_per_byte, self.cpu_share = memory_per_byte, cpu_share
        self.seconds = 0.0

    def __call__(
        self, dataset: Dataset, pieces: Fragments, seconds_limit: float, sizes: Ints | None = None
    ) -> list[Timing]:
        """Timings of the calls until ``seconds_limit``."""
        began = self.seconds
        timings: list[Timing] = []
        starts = np.arange(len(pieces)) if sizes is None else np.cumsum(sizes) - sizes
        alone = self.true(replace(dataset, fragments=pieces)) - self.fixed
        true = np.add.reduceat(alone, starts) + self.fixed
        for seconds, size in zip(true, np.add.reduceat(pieces.bytes, starts), strict=True):
            if timings and self.seconds - began > seconds_limit:
                break
            noisy = float(seconds * np.exp(self.noise * self.rng.standard_normal()))
            self.seconds += noisy
            peak = 1e8 + self.memory_per_byte * float(size)
            cpu = self.cpu_share * float(seconds)
            timings.append(Timing(noisy, cpu_seconds=cpu, peak_memory_bytes=peak, process="p"))
        return timings

    def true(self, dataset: Dataset) -> Floats:
        """float64[n]: the noiseless seconds of each fragment."""
        seconds: Floats = evaluate([self.truth], dataset)[0] + self.fixed
        return seconds


def text_dataset(fragments: int = 20, rows: int = 200, seed: int = 0) -> Dataset:
    """Fragments of ``rows`` texts whose lengths are log-normal, at most 5,000 characters."""
    rng = np.random.default_rng(seed)
    lengths = np.minimum(rng.lognormal(5.0, 1.0, fragments * rows).astype(np.int64) + 1, 5000)
    table = pa.table({"text": pa.array(["x" * n for n in lengths])})
    return TableSource(table).dataset([rows] * fragments)
