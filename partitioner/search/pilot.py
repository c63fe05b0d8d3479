"""What a fit costs: measured on a fraction of the rows for each set of parameters, or a declared function of them."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import log
from typing import Any

import numpy as np

from partitioner.engines.base import Engine
from partitioner.errors import CostError
from partitioner.search.calls import Call, run_calls

LEAST_ROWS = 20
"""Of the smaller sample: fewer rows seldom hold every class."""

MOST_EXPONENT = 3.0
"""Seconds grow with rows to this power at most: a kernel method's."""

Parameters = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class DeclaredCosts:
    """``cost(parameters)``: seconds of one fit."""

    cost: Callable[[Parameters], float]

    def __call__(self, calls: Sequence[Call], engine: Engine) -> list[float]:
        """Seconds of each fit. CostError naming the parameters of one that is no number of at least 0."""
        found = [float(self.cost(keywords["parameters"])) for _, _, keywords in calls]
        for seconds, (_, _, keywords) in zip(found, calls, strict=True):
            if not (np.isfinite(seconds) and seconds >= 0):
                raise CostError(
                    f"cost gave {seconds} seconds for {keywords['parameters']}; give a number of at least 0."
                )
        return found


@dataclass(frozen=True, slots=True)
class PilotCosts:
    """Fits each set of parameters on ``fraction`` of the training rows of the first split, and on half of those.

    How seconds grow with rows is the median over all sets: single ratios of short fits are noise.
    ``options``: settings of the pilot's run.
    """

    fraction: float
    seed: int
    options: Mapping[str, Any]

    def __call__(self, calls: Sequence[Call], engine: Engine) -> list[float]:
        """Seconds of each fit, of all its training rows."""
        sets = {_name(keywords["parameters"]): (arguments, keywords) for _, arguments, keywords in reversed(calls)}
        names = sorted(sets)
        first = [sets[name] for name in names]
        train = first[0][1]["train"]
        rows = [max(LEAST_ROWS, int(len(train) * share)) for share in (self.fraction / 2, self.fraction)]
        if rows[0] >= rows[1] or rows[1] >= len(train):
            return [1.0 for _ in calls]  # so few rows that a pilot would cost what it saves
        picked = [_some(train, first[0][0][2], n, self.seed) for n in rows]
        pilots: list[Call] = [
            (fit_seconds, (*arguments, kept, keywords["parameters"], keywords["fit_params"]), {})
            for kept in picked
            for arguments, keywords in first
        ]
        found, _ = run_calls(pilots, [1.0] * len(pilots), engine=engine, **self.options)
        seconds = drawn_out(np.array(found).reshape(2, -1), rows, len(train))
        by_name = dict(zip(names, seconds, strict=True))
        return [by_name[_name(keywords["parameters"])] for _, _, keywords in calls]


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


def _name(parameters: Parameters) -> str:
    return repr(sorted((str(key), repr(value)) for key, value in parameters.items()))
