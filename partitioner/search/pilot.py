"""What a fit costs: learned from the first fits, measured on a fraction of the rows, or declared."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import log
from typing import Any

import numpy as np

from partitioner.attempt.job import program_of
from partitioner.costs.measuring.in_slots import InSlots
from partitioner.errors import CostError
from partitioner.model import Costs, Dataset
from partitioner.search import prior
from partitioner.search.calls import CallProgram, Guess, declared
from partitioner.search.digest import Call
from partitioner.search.prior import Parameters

LEAST_ROWS = 20
"""Of the smaller sample: fewer rows seldom hold every class."""

MOST_EXPONENT = 3.0
"""Seconds grow with rows to this power at most: a kernel method's."""


@dataclass(frozen=True, slots=True)
class DeclaredCosts:
    """``cost(parameters)``: seconds of one fit."""

    cost: Callable[[Parameters], float]

    def __call__(self, calls: Sequence[Call]) -> Guess:
        """Seconds of each fit. CostError naming the parameters of one that is no number of at least 0."""
        sets = [keywords["parameters"] for _, _, keywords in calls]
        found = [float(self.cost(parameters)) for parameters in sets]
        for seconds, parameters in zip(found, sets, strict=True):
            if not (np.isfinite(seconds) and seconds >= 0):
                raise CostError(f"cost gave {seconds} seconds for {parameters}; give a number of at least 0.")
        return Guess(declared(found), prior.kinds(sets)[0])


@dataclass(frozen=True, slots=True)
class LearnedCosts:
    """No pilot: one fit of each set of parameters begins first, those that are known to take long before the others.

    What these took is what the other folds are then planned with, while they run. Where every set is fitted once and
    nothing is known of its parameters, a pilot is.
    """

    pilot: PilotCosts

    def __call__(self, calls: Sequence[Call]) -> Guess:
        """How long each fit is beside the shortest."""
        sets = [keywords["parameters"] for _, _, keywords in calls]
        numbers, first = prior.kinds(sets)
        found = prior.weights(sets)
        if all(first) and len(set(found)) == 1 and len(calls) > 1:
            return self.pilot(calls)
        return Guess(declared(found, "seconds of the shortest fit"), numbers, first, prior.traits(sets))


@dataclass(frozen=True, slots=True)
class PilotCosts:
    """Fits each set of parameters on ``fraction`` of the training rows of the first split, and on half of those.

    How seconds grow with rows is the median over all sets: single ratios of short fits are noise.
    """

    fraction: float
    seed: int

    def __call__(self, calls: Sequence[Call]) -> Guess:
        """Seconds of each fit, of all its training rows: measured in all slots of the run before it begins."""
        sets = [keywords["parameters"] for _, _, keywords in calls]
        numbers, first = prior.kinds(sets)
        train = calls[0][2]["train"]
        rows = [max(LEAST_ROWS, int(len(train) * share)) for share in (self.fraction / 2, self.fraction)]
        if rows[0] >= rows[1] or rows[1] >= len(train):
            return Guess(
                declared([1.0 for _ in calls], "fits"), numbers
            )  # so few rows: a pilot would cost what it saves
        picked = [_some(train, calls[0][1][2], n, self.seed) for n in rows]
        return Guess(MeasuredFits([i for i, new in enumerate(first) if new], numbers, picked, len(train)), numbers)


class MeasuredFits(InSlots):
    """Seconds of every call: ``tried`` calls, one of each kind, are fitted on the rows ``picked``, few and twice as many.

    ``alike``: the kind of each call; ``rows`` of a whole fit.
    """

    name = "pilot"
    measures = True

    def __init__(self, tried: Sequence[int], alike: Sequence[int], picked: Sequence[Any], rows: int) -> None:
        self.tried, self.alike, self.picked, self.rows = tried, alike, picked, rows

    def estimate(self, dataset: Dataset) -> Costs:
        """Small fits, in all slots at once."""
        measured = np.full((2, len(self.tried)), np.nan)
        for told in self.runner.ask(fit_share, self.tried, self.picked):
            for size, number, seconds in told:
                measured[size, number] = seconds
        by_kind = np.array(drawn_out(measured, [len(rows) for rows in self.picked], self.rows))
        seconds = by_kind[np.asarray(self.alike)]
        about = {"model": "pilot", "rows of the fits": " and ".join(str(len(rows)) for rows in self.picked)}
        return Costs(seconds, np.zeros(len(seconds)), source=self.name, details=about, memory_declared=True)


def fit_share(
    index: int, count: int, run_url: str, key: bytes, tried: Sequence[int], picked: Sequence[Any]
) -> list[tuple[int, int, float]]:
    """In slot ``index`` of ``count``: its share of the small fits, as size, place among those tried, and seconds."""
    program = program_of(run_url, key)[0].call
    assert isinstance(program, CallProgram), "it is a run of calls"
    found = []
    for size, number in [(s, n) for s in range(len(picked)) for n in range(len(tried))][index::count]:
        _, arguments, keywords = program.calls[tried[number]]
        estimator, x, y = arguments
        seconds = fit_seconds(estimator, x, y, picked[size], keywords["parameters"], keywords["fit_params"])
        found.append((size, number, seconds))
    return found


def drawn_out(measured: Any, rows: Sequence[int], total: int) -> list[float]:
    """Seconds for ``total`` rows, from float64[2, n] for two numbers of rows; NaN (it failed) becomes the largest known."""
    low, high = np.maximum(measured, 1e-6)
    exponents = np.log(high / low) / log(rows[1] / rows[0])
    known = np.isfinite(exponents)
    if not known.any():
        return [1.0 for _ in high]
    exponent = float(np.clip(np.median(exponents[known]), 0.0, MOST_EXPONENT))
    seconds = high * (total / rows[1]) ** exponent
    if not np.isfinite(seconds).all():
        warnings.warn(
            f"{int((~np.isfinite(seconds)).sum())} sets of parameters failed on {rows[1]} rows; they begin first, for "
            "nobody knows how long they take. Give cost= a function of the parameters, or a larger pilot_fraction.",
            stacklevel=2,
        )
    return [float(s) for s in np.where(np.isfinite(seconds), seconds, np.nanmax(seconds))]


def fit_seconds(
    estimator: Any, x: Any, y: Any, rows: Any, parameters: Parameters, fit_params: Mapping[str, Any] | None
) -> float:
    """How long a fit on these rows takes; NaN where it fails, which the search will report of the fit itself."""
    from sklearn.base import clone
    from sklearn.utils import _safe_indexing

    model = clone(estimator).set_params(**clone(dict(parameters), safe=False))
    given = () if y is None else (_safe_indexing(y, rows),)
    sample = _safe_indexing(x, rows)
    began = time.perf_counter()
    try:
        model.fit(sample, *given)
    except Exception as error:
        print(f"the pilot of {dict(parameters)} failed: {error!r}")
        return float("nan")
    return time.perf_counter() - began


def _some(train: Any, y: Any, count: int, seed: int) -> Any:
    """``count`` of the training rows, of every class where there are few enough classes."""
    from sklearn.model_selection import train_test_split
    from sklearn.utils import _safe_indexing
    from sklearn.utils.multiclass import type_of_target

    kept = np.asarray(train)
    labels = None if y is None else _safe_indexing(y, kept)
    if labels is not None and type_of_target(labels) in ("binary", "multiclass"):
        _, sizes = np.unique(labels, return_counts=True)
        if sizes.min() >= 2 and len(sizes) <= min(count, len(kept) - count):
            return train_test_split(kept, train_size=count, random_state=seed, stratify=labels)[0]
    return np.random.default_rng(seed).choice(kept, count, replace=False)
