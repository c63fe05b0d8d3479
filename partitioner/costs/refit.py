"""Predictions corrected while the run goes on, and how long is left."""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass

import numpy as np

from partitioner.costs.regression import robust
from partitioner.model.data import Floats

PRIOR = 3.0
"""The first predictions count as much as this many completions."""

MOVED = 0.1
ENOUGH_FOR_A_LINE = 12
EXACT_UP_TO = 20_000


@dataclass(frozen=True, slots=True, eq=False)
class Correction:
    """``seconds`` float64[n]: actual where finished, else corrected; ``left`` float64[n]: 0 where finished, else the rest.

    A prediction p became ``offset + factor * p``; ``completions`` they rest on; ``moved``: the total of what is left differs
    by more than a tenth and by more than two standard errors, so that splitting and placing it again may pay.
    """

    seconds: Floats
    left: Floats
    factor: float
    offset: float
    completions: int
    moved: bool


def correct(predicted: Floats, actual: Floats, elapsed: Floats | None = None) -> Correction:
    """Correct ``predicted`` float64[n] by ``actual`` float64[n], NaN where not finished.

    ``elapsed`` float64[n] seconds since the start of those running, NaN or 0 elsewhere: one that runs longer than predicted
    is expected to take as long again as its overrun, so that a straggler is never said to be done. All in seconds of one
    speed. The median log ratio is shrunk towards 0 by ``PRIOR``; from ``ENOUGH_FOR_A_LINE`` completions
    that differ in size a line with an offset is fitted, which sees a fixed cost that the predictions lack.
    """
    done = np.isfinite(actual)
    usable = done & (predicted > 0) & (np.nan_to_num(actual) > 0)
    n = int(usable.sum())
    factor, offset, error = 1.0, 0.0, math.inf
    if n:
        logs = np.log(actual[usable] / predicted[usable])
        factor = math.exp(float(np.median(logs)) * n / (n + PRIOR))
        spread = max(1.4826 * float(np.median(np.abs(logs - np.median(logs)))), 0.02)
        error = spread * math.sqrt(math.pi / 2 / n)
        if n >= ENOUGH_FOR_A_LINE and predicted[usable].max() >= 2 * predicted[usable].min():
            line = robust(np.stack([np.ones(n), predicted[usable]], axis=1), actual[usable]).coefficients
            offset, factor = float(line[0]), float(line[1])
    expected = offset + factor * predicted
    ran = np.zeros(len(predicted)) if elapsed is None else np.nan_to_num(elapsed)
    expected = np.where(ran > expected, 2 * ran - expected, expected)
    seconds = np.where(done, actual, expected)
    left = np.where(done, 0.0, np.maximum(expected - ran, 0.0))
    rest = ~done
    before, after = float(predicted[rest].sum()), float((offset + factor * predicted)[rest].sum())
    change = abs(math.log(after / before)) if before > 0 and after > 0 else 0.0
    return Correction(seconds, left, factor, offset, n, change > math.log1p(MOVED) and change > 2 * error)


def eta(left: Floats, speeds: Floats) -> float:
    """Seconds until the last of the sub-tasks is done, on slots of ``speeds`` float64[m] (one entry per slot).

    ``left`` float64[n] reference seconds each, in the order they will start: list scheduling up to ``EXACT_UP_TO`` of them,
    the larger of mean load and longest sub-task beyond. Infinity where work is left and no slot.
    """
    work = left[left > 0]
    if not len(work):
        return 0.0
    if not len(speeds):
        return math.inf
    if len(work) > EXACT_UP_TO:
        return max(float(work.sum() / speeds.sum()), float(work.max() / speeds.max()))
    free = [(0.0, j) for j in range(len(speeds))]
    heapq.heapify(free)
    last = 0.0
    for seconds in work:
        start, j = heapq.heappop(free)
        finish = start + float(seconds / speeds[j])
        last = max(last, finish)
        heapq.heappush(free, (finish, j))
    return last
