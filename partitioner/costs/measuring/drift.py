"""Whether a program still costs what its profile says, and how far machines let one run differ from another."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from partitioner.model.data import Floats
from partitioner.model.explanation import NINETY

THRESHOLD = 0.2
"""A change of the median ratio of less than 20 % is not worth a word: machines differ by that from day to day."""

SIGNIFICANCE = 4.0
"""Standard errors of the median that a change must exceed: one false alarm in some ten thousand runs."""

LEAST = 5

SPELL, SPELL_WEIGHT = 0.15, 3.0
"""How fast a machine is in one spell beside the next, as a standard deviation in logs, and as how many runs that counts.

Of two shared cores six seconds of a loop, beside the next thirty, differed by 0.125 (``benchmarks.spells`` tells of yours);
between instances of a cloud it was 0.2 and more (Schad et al., Runtime Measurements in the Cloud, PVLDB 3, 2010).
"""


@dataclass(frozen=True, slots=True)
class DriftReport:
    """Actual against predicted seconds of one run: ``ratio`` 2.0 means twice as slow as predicted.

    ``low`` and ``high`` bound the ratio at four standard errors; ``measurements`` sub-tasks were compared.
    """

    drifted: bool
    ratio: float
    low: float
    high: float
    measurements: int
    message: str

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


NEWEST = 20
"""Runs that tell how far the next may differ."""


def spell(ratios: Sequence[float] = ()) -> float:
    """Standard deviation, in logs, of what a run takes beside what was measured in other spells on the same machines.

    ``ratios``: actual / predicted seconds of earlier runs, the oldest first, of which the newest count. Far ones count as
    two standard deviations: such a program was changed, and its profile is scaled.
    """
    logs = np.clip(np.log(np.array([ratio for ratio in ratios if ratio > 0])), -2 * SPELL, 2 * SPELL)[-NEWEST:]
    return float(np.sqrt((SPELL_WEIGHT * SPELL**2 + (logs**2).sum()) / (SPELL_WEIGHT + len(logs))))


def all_work(seconds: float, deviation: float) -> dict[str, Any]:
    """What a cost model tells of all its seconds together, with a 90 % interval; ``deviation`` is relative.

    The interval of a plan, and the ETA of its run until sub-tasks have shown better, are as wide as this.
    """
    reach = NINETY * deviation * seconds
    return {"work": {"seconds": seconds, "low": max(seconds - reach, 0.0), "high": seconds + reach}}


def detect(predicted: Floats, actual: Floats, what: str = "the program") -> DriftReport:
    """Compare n sub-tasks by the median of their log ratios; its standard error is from the median absolute deviation.

    Median and MAD are not moved by stragglers (Huber, Robust Statistics, 1981); the efficiency of a median is 2 / pi.
    """
    kept = (predicted > 0) & (actual > 0)
    n = int(kept.sum())
    if n < LEAST:
        return DriftReport(False, 1.0, 0.0, math.inf, n, f"{n} sub-tasks are too few to tell drift; {LEAST} would do.")
    logs = np.log(actual[kept] / predicted[kept])
    median = float(np.median(logs))
    spread = max(1.4826 * float(np.median(np.abs(logs - median))), 0.01)
    error = SIGNIFICANCE * spread * math.sqrt(math.pi / 2 / n)
    drifted = abs(median) > math.log1p(THRESHOLD) and abs(median) > error
    ratio = math.exp(median)
    bounds = f"between {math.exp(median - error):.2f} and {math.exp(median + error):.2f}, {n} sub-tasks"
    said = f"{what} took {ratio:.2f} times the predicted seconds ({bounds})"
    message = f"Cost drift: {said}; the profile is scaled to it." if drifted else f"No drift: {said}."
    return DriftReport(drifted, ratio, math.exp(median - error), math.exp(median + error), n, message)
