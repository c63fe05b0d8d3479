"""Whether a program still costs what its profile says."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from partitioner.model.data import Floats

THRESHOLD = 0.2
"""A change of the median ratio of less than 20 % is not worth a word: machines differ by that from day to day."""

SIGNIFICANCE = 4.0
"""Standard errors of the median that a change must exceed: one false alarm in some ten thousand runs."""

LEAST = 5


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
