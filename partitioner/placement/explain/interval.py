"""When a plan will be done before it begins: an interval that holds the truth nine times in ten.

As the ETA of a run (``coordinator.eta``), whose constants these are: the sub-tasks are handed out many times in the plan's
order, each time with other durations, always to the slot on which they are expected to end first. Of very many the
middle ones are spread over the slots as a whole; the longest and the last are handed out one by one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from partitioner.coordinator import eta
from partitioner.coordinator.forecast import PRIOR_WEIGHT
from partitioner.model import Plan
from partitioner.model.data import Floats, Ints

MODEL = 0.015
"""Standard deviation, in logs, of how far a run keeps to such schedules: of random plans with noise of 0.1 and 0.3, known
from earlier runs, the interval then holds 85 to 95 % (``benchmarks.keeps_plan``). A whole run evens out more than what is
left of one, so this is less than the ETA's.
"""

PRIOR = 0.3
"""Standard deviation of log(actual / predicted) where no run has shown one; counts as ``PRIOR_WEIGHT`` completions."""

SINGLE = 1000
"""Sub-tasks handed out one by one, half of them the first, half the last: 0.1 s with 40 slots."""


@dataclass(frozen=True, slots=True)
class Interval:
    """Seconds until the last sub-task ends: ``low`` and ``high`` hold the truth nine times in ten."""

    low: float
    middle: float
    high: float


def interval(plan: Plan, seen: int = 0, spread: float = PRIOR, seed: int = 0) -> Interval:
    """The interval of a plan; ``spread`` of log(actual / predicted) that ``seen`` completions have shown.

    Where none has been seen, what the cost model doubts of all work together counts as well. What memory, dependencies
    and releases cost is that of the plan: it stretches all durations alike.
    """
    if not len(plan):
        return Interval(0.0, 0.0, 0.0)
    slots, begin = _slots(plan), float(plan.start.min())
    exact = _ends(plan, slots, np.ones((1, 1)), 0.0, 1.0, np.random.default_rng(seed))
    stretch = (plan.makespan - begin) / float(exact[0]) if exact[0] > 0 else 1.0
    known = np.sqrt((PRIOR_WEIGHT * PRIOR**2 + seen * spread**2) / (PRIOR_WEIGHT + seen))
    rng = np.random.default_rng(seed)
    draws = max(eta.FEWEST, min(eta.DRAWS, eta.CELLS // len(slots)))
    doubt = np.hypot(known / np.sqrt(2 * PRIOR_WEIGHT + seen), MODEL)
    doubt = doubt if seen else np.hypot(doubt, plan.doubt)
    common = np.exp(doubt * rng.standard_normal((draws, 1)))
    ends = _ends(plan, slots, common, float(known), stretch, rng)
    low, middle, high = (begin + np.quantile(ends, [(1 - eta.SHARE) / 2, 0.5, (1 + eta.SHARE) / 2])).tolist()
    return Interval(low, middle, high)


def _slots(plan: Plan) -> Ints:
    """int64[slots]: the worker of each slot."""
    per_task = max(float(plan.tasks.cpus.mean()), 1e-9)
    counts = np.maximum(1, np.floor(plan.workers.cpus / per_task + 1e-9)).astype(np.int64)
    return np.repeat(np.arange(len(plan.workers)), np.minimum(counts, len(plan)))


def _ends(plan: Plan, slots: Ints, common: Floats, spread: float, stretch: float, rng: np.random.Generator) -> Floats:
    """float64[draws]: the end of each draw."""
    order = np.lexsort((np.arange(len(plan)), plan.start))
    # On its own worker; elsewhere by the ratio of speeds.
    reference = (plan.finish - plan.start) * plan.workers.speed[plan.worker] * stretch
    slower = common / plan.workers.speed[slots]
    free = np.zeros((len(common), len(slots)))
    cut = SINGLE // 2 if len(order) > SINGLE else len(order)
    for i in order[:cut].tolist():
        _hand_out(free, float(reference[i]), slower, spread, rng)
    free = (
        _spread_out(free, reference[order[cut : len(order) - cut]], slower, spread, rng) if cut < len(order) else free
    )
    for i in order[max(cut, len(order) - cut) :].tolist():
        _hand_out(free, float(reference[i]), slower, spread, rng)
    ends: Floats = free.max(axis=1)
    return ends


def _hand_out(free: Floats, seconds: float, slower: Floats, spread: float, rng: np.random.Generator) -> None:
    """One sub-task to the slot on which it is expected to end first, in every draw; how long it takes shows later."""
    rows, j = np.arange(len(free)), (free + seconds * slower).argmin(axis=1)
    free[rows, j] += seconds * slower[rows, j] * np.exp(spread * rng.standard_normal(len(free)))


def _spread_out(free: Floats, seconds: Floats, slower: Floats, spread: float, rng: np.random.Generator) -> Floats:
    """Many sub-tasks as a whole: they fill up the slots that are free first."""
    scatter = spread * float(np.sqrt((seconds**2).sum())) * rng.standard_normal(len(free))
    work = np.maximum(0.0, float(seconds.sum()) * np.exp(spread**2 / 2) + scatter)
    open_now = np.ones(free.shape, bool)
    level: Floats = np.zeros(len(free))
    for _ in range(8):  # slots that are busy beyond the level take nothing
        weight = np.where(open_now, 1 / slower, 0.0)
        level = ((weight * free).sum(axis=1) + work) / weight.sum(axis=1)
        still = free <= level[:, None]
        if (still == open_now).all():
            break
        open_now = still
    filled: Floats = np.maximum(free, level[:, None])
    return filled
