"""``max_batch_weight="auto"``: the largest batch whose memory is safe, found by growing batches in all slots at once.

Each round puts one batch through the program in every slot. The next is twice as large, as long as the line through the
peaks so far says that it stays within the limit; then what the line, or halving between good and bad, says is tried. A
batch that runs out of memory, or kills its process, ends the growth and not the run.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import inf, sqrt
from typing import Any

import numpy as np

from partitioner.attempt.probe import Asked, Tried, end_of_probe, probe
from partitioner.engines.base import Engine
from partitioner.model import Dataset, Fragments, Workers
from partitioner.stages.resolved import Resolved
from partitioner.stages.start import Start
from partitioner.stages.steps import Costed
from partitioner.store.run_directory import RunDirectory

AUTO = "auto"

SAFE = 0.9
"""Of the memory that a slot may use: what is measured is a sample, and rows differ."""

SAFE_GPU = 0.9
"""Of a device's memory: allocators keep some of it in pieces."""

BUDGET_SECONDS = 60.0
"""The probe takes no longer than about that: a bound found so far is better than a run that does not begin."""

CALL_SECONDS = 20.0
"""A batch that takes so long is large enough whatever its memory: larger ones would not pay, and could not be stopped."""

FRAGMENTS = 16
"""Of the dataset, evenly spread, that rows are taken of."""

REFINEMENTS = 4
"""Tries between the largest good batch and the smallest bad one."""

WORTH = 1.05
"""A refinement must promise so many times the weight."""

Measure = Callable[[float], "Round"]


@dataclass(frozen=True, slots=True)
class Round:
    """One batch in all slots: its ``weight``; ``share`` of the memory limit at the peak, the most of all slots, infinite
    where it ran out; why it ``failed``, empty where it went well; ``largest``: a larger one cannot be made of the data."""

    weight: float
    share: float
    seconds: float
    failed: str = ""
    memory: bool = False
    largest: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """The bound and the reason for it, as the plan tells it."""

    weight: float
    why: str


def wanted(parts: Resolved) -> bool:
    """Whether the run asks for it."""
    return parts.batching.get("max_batch_weight") == AUTO


def settled(
    parts: Resolved, costed: Costed, engine: Engine, started: Start, directory: RunDirectory
) -> tuple[Costed, dict[str, Any]]:
    """The job with its bound, and what the plan says of it; as it was where none is wanted."""
    if not wanted(parts) or costed.job is None:
        return costed, {}
    with_one = Prober(parts, costed.dataset, engine, started, directory)
    try:
        found = grown(with_one, with_one.first())
    finally:
        engine.call_slots(end_of_probe, started.slots, directory.url)
    job = replace(costed.job, batching={**costed.job.batching, "max_batch_weight": found.weight})
    return replace(costed, job=job), {"max_batch_weight": f"{found.weight:.6g}, {found.why}"}


def grown(measure: Measure, first: float) -> Found:
    """The largest weight that is safe, from ``first`` on.

    Doubles while the line through the last two peaks stays within the limit, then refines. Pure but for ``measure``.
    """
    good: list[Round] = []
    weight, why, bad = first, "", inf
    began = time.monotonic()
    while not why:
        tried = measure(weight)
        if tried.failed or tried.share > 1:
            bad, why = weight, _why_bad(tried)
            break
        good.append(tried)
        why = _enough(tried, began)
        weight = tried.weight * 2
        if not why and (expected := _expected(good, weight)) > 1:
            bad = weight
            why = f"a batch of {weight:.6g} would take {expected:.0%} of the memory that is safe"
    if not good:
        return Found(first, f"the least that makes sense, for {why}")
    best = _refined(measure, good, bad, began) if bad < inf else good[-1]
    return Found(best.weight, f"the largest of {len(good)} sizes tried that is safe (peak {best.share:.0%}): {why}")


def _refined(measure: Measure, good: list[Round], bad: float, began: float) -> Round:
    best = good[-1]
    for _ in range(REFINEMENTS):
        aim = min(_fitting(good), sqrt(best.weight * bad))
        if not aim > best.weight * WORTH or time.monotonic() - began > BUDGET_SECONDS:
            break
        tried = measure(aim)
        if tried.failed or tried.share > 1:
            bad = aim
        elif tried.weight <= best.weight:
            break
        else:
            best = tried
            good.append(tried)
    return best


def _enough(tried: Round, began: float) -> str:
    """Why no larger batch is tried, though this one is safe; nothing where one is."""
    if tried.largest:
        return "the data makes no larger batch"
    if tried.seconds > CALL_SECONDS:
        return f"a call takes {tried.seconds:.0f} s already"
    if time.monotonic() - began > BUDGET_SECONDS:
        return f"the {BUDGET_SECONDS:.0f} s of the probe are over"
    return ""


def _why_bad(tried: Round) -> str:
    if tried.failed:
        return f"a batch of {tried.weight:.6g} {'ran out of memory' if tried.memory else 'failed'} ({tried.failed})"
    return f"a batch of {tried.weight:.6g} takes {tried.share:.0%} of the memory that is safe"


def _expected(good: Sequence[Round], weight: float) -> float:
    """The share at ``weight`` by the line through the last two rounds, which may bend upwards: the steeper counts."""
    slopes = [(b.share - a.share) / (b.weight - a.weight) for a, b in pairwise(good) if b.weight > a.weight]
    return good[-1].share + max(slopes[-2:], default=0.0) * (weight - good[-1].weight)


def _fitting(good: Sequence[Round]) -> float:
    """The weight whose peak is the limit, by the same line; infinite where it does not rise."""
    rise = _expected(good, good[-1].weight + 1) - good[-1].share
    return good[-1].weight + (1 - good[-1].share) / rise if rise > 0 else inf


class Prober:
    """Puts batches through the program in all slots; what they take counts against what a slot may use."""

    def __init__(
        self, parts: Resolved, dataset: Dataset, engine: Engine, started: Start, directory: RunDirectory
    ) -> None:
        self._parts, self._engine, self._started, self._directory = parts, engine, started, directory
        self._fragments = _spread(dataset.fragments)
        rows = dataset.rows
        size = parts.batching.get("batch_size")
        self._most_rows = min(rows if rows > 0 else 1_000_000, size if isinstance(size, int) else 1_000_000)
        self._limit = _limit(parts, started.workers) * started.slots_in_process

    def first(self) -> float:
        """The weight of the heaviest row there is in the sample, as every slot sees it."""
        return self._asked(0.0, heaviest=True).weight

    def __call__(self, weight: float) -> Round:
        """One round: heavy rows, and rows of middling weight, of which there are more in a batch."""
        heavy = self._asked(weight, heaviest=True)
        if heavy.failed or heavy.share > 1:
            return heavy
        middling = self._asked(weight, heaviest=False)
        worst = middling if middling.failed or middling.share > heavy.share else heavy
        return replace(worst, weight=weight, largest=heavy.largest and middling.largest)

    def _asked(self, weight: float, heaviest: bool) -> Round:
        asked = Asked(self._fragments, weight, self._parts.config.padded, self._most_rows, heaviest)
        at = self._directory
        answers = self._engine.call_slots(probe, self._started.slots, at.url, at.key, asked)
        told = [answer for found in answers.values() for answer in found]
        tried = [answer for answer in told if isinstance(answer, Tried)]
        lost = [answer for answer in told if not isinstance(answer, Tried)]
        if lost or not tried:
            why = f"its process: {lost[0]}" if lost else "no slot answered"
            return Round(max((t.weight for t in tried), default=weight), inf, 0.0, why, memory=True)
        largest = all(t.rows >= self._most_rows for t in tried)
        seconds = max(t.seconds for t in tried)
        failed = next((t.failure for t in tried if t.failure is not None), None)
        if failed is not None:
            text = f"{failed.type}: {failed.message}".partition("\n")[0][:200]
            return Round(weight, inf, seconds, text, failed.memory, largest)
        slots = Counter(t.host for t in tried)
        share = max(_share(t, self._limit, slots[t.host]) for t in tried)
        return Round(max(weight, max(t.weight for t in tried)), share, seconds, largest=largest)


def _share(tried: Tried, limit: float, slots: int) -> float:
    """Of what is safe: the process beside its limit, and beside its part of what the machine has free, which ``slots``
    share; and the device."""
    room = min(limit, tried.baseline_bytes + tried.free_bytes / slots) * SAFE
    shares = [tried.peak_bytes / max(room, 1.0)]
    if tried.gpu_total_bytes:
        shares.append(tried.gpu_bytes / (tried.gpu_total_bytes * SAFE_GPU))
    return max(shares)


def _limit(parts: Resolved, workers: Workers) -> float:
    """Bytes that one slot may use, infinite where nobody says."""
    allowed = parts.limits(workers).allowed_mem
    return inf if allowed is None else float(allowed)


def _spread(fragments: Fragments) -> Fragments:
    count = min(len(fragments), FRAGMENTS)
    return fragments.take(np.unique(np.linspace(0, len(fragments) - 1, count).round()) if count else [])


def known(description: Mapping[str, Any]) -> dict[str, float]:
    """The settings of batches that a run found before it was stopped, as ``run.json`` has them."""
    found = description.get("batching", {})
    return {str(name): float(value) for name, value in found.items()}
