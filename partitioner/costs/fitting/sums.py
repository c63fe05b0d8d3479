"""Seconds of a row as people would write them: so many per unit of numbers and of their products, times a factor per kind.

Few measurements are enough. The factor of a kind (a model, an adapter) is what its rows took over what was expected of them,
drawn towards 1 the fewer of them there are (shrinkage: Efron and Morris, 1975), so a kind seen once changes little, and one
never seen nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np

from partitioner.costs.fitting.regression import robust
from partitioner.model.data import Floats, Ints

KINDS_DIFFER = 0.5
"""Standard deviation of the factors of kinds, in logs, that is assumed before any is seen: a factor of 1.6 is common."""

LEAST_NOISE = 0.2
"""Standard deviation of single rows, in logs, that is assumed at least: twenty rows that agree are believed, one is not."""

TRIPLES = 4
"""Numbers up to which products of three are considered too: steps x images x size. More would be more terms than rows."""

ROUNDS = 4
"""Fits of terms and factors in turn; after three they hardly move."""

EXTREME = 1e3
"""Kinds differ by such a factor at most: one whose rows took no time has no logarithm."""

SHOWN = 4
"""Kinds of a category that are told by name."""


@dataclass(frozen=True, slots=True, eq=False)
class Sum:
    """``coefficients`` float64[1 + terms] in seconds, the first by itself; ``factors`` by category and kind."""

    terms: tuple[tuple[str, ...], ...]
    coefficients: Floats
    factors: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def predict(self, numbers: Mapping[str, Floats], categories: Mapping[str, Sequence[str]] | None = None) -> Floats:
        """float64[n] seconds, at least 0; a kind never seen counts as the average one."""
        seconds = _design(self.terms, numbers) @ self.coefficients
        for name, known in self.factors.items():
            seconds = seconds * np.array([known.get(kind, 1.0) for kind in (categories or {})[name]])
        return np.asarray(seconds, np.float64)

    def words(self) -> str:
        """The formula, with units, and the kinds that differ most."""
        parts = [f"{self.coefficients[0]:.3g} s"] if self.coefficients[0] > 0 else []
        told = zip(self.coefficients[1:], self.terms, strict=True)
        parts += [f"{c:.3g} s per {' x '.join(term)}" for c, term in told if c > 0]
        return "; ".join([" + ".join(parts) or "0 s", *(kinds_in_words(*named) for named in self.factors.items())])


def fit_sum(
    seconds: Floats, numbers: Mapping[str, Floats], categories: Mapping[str, Sequence[str]] | None = None
) -> Sum:
    """Fit ``seconds`` float64[n] by columns of n values; totals of predicted and actual seconds agree."""
    terms = tuple(
        pair for size in (1, 2, 3) if size < 3 or len(numbers) <= TRIPLES for pair in combinations(numbers, size)
    )
    design = _design(terms, numbers)
    coded = {name: np.unique(np.asarray(kinds, str), return_inverse=True) for name, kinds in (categories or {}).items()}
    factors = {name: np.ones(len(kinds)) for name, (kinds, _) in coded.items()}
    of_rows = np.ones(len(seconds))
    coefficients: Floats = np.zeros(design.shape[1])
    for _ in range(ROUNDS if coded else 1):
        coefficients = robust(design, seconds / of_rows).coefficients
        base = design @ coefficients
        for name, (_, code) in coded.items():
            others = of_rows / factors[name][code]
            factors[name] = _shrunk(seconds, base * others, code)
            of_rows = others * factors[name][code]
    total = float((design @ coefficients * of_rows).sum())
    scale = float(seconds.sum()) / total if total > 0 else 1.0
    known = {name: dict(zip(kinds.tolist(), factors[name].tolist(), strict=True)) for name, (kinds, _) in coded.items()}
    return Sum(terms, coefficients * scale, known)


def _shrunk(actual: Floats, expected: Floats, code: Ints) -> Floats:
    """float64[kinds]: actual over expected seconds of each, beside that of all rows, drawn towards 1 as its rows scatter."""
    count = np.bincount(code)
    whole = max(float(expected.sum()), 1e-300)
    ratio = np.bincount(code, actual) / np.maximum(np.bincount(code, expected), 1e-9 * whole)
    ratio = ratio / max(float(actual.sum()) / whole, 1e-300)
    pull = max(_noise(actual, expected, code), LEAST_NOISE) ** 2 / KINDS_DIFFER**2
    logs = np.log(np.clip(ratio, 1 / EXTREME, EXTREME)) * count / (count + pull)
    return np.asarray(np.exp(logs), np.float64)


def _noise(actual: Floats, expected: Floats, code: Ints) -> float:
    """Standard deviation of log(actual / expected) within kinds, by the median, which stragglers do not move."""
    told = (actual > 0) & (expected > 0)
    told[told] = np.bincount(code[told], minlength=int(code.max()) + 1)[code[told]] > 1
    if not told.any():
        return KINDS_DIFFER
    logs, kind = np.log(actual[told] / expected[told]), code[told]
    usual = np.bincount(kind, logs) / np.maximum(np.bincount(kind), 1)
    return 1.4826 * float(np.median(np.abs(logs - usual[kind])))


def _design(terms: Sequence[tuple[str, ...]], numbers: Mapping[str, Floats]) -> Floats:
    """float64[n, 1 + terms]: ones, and the products of each term; what is below 0 counts as 0."""
    positive = {name: np.maximum(values, 0.0) for name, values in numbers.items()}
    columns = [np.prod([positive[name] for name in term], axis=0) for term in terms]
    return np.stack([np.ones(len(next(iter(positive.values())))), *columns], axis=1)


def kinds_in_words(name: str, factors: Mapping[str, float]) -> str:
    """How many kinds of a category there are, and those that differ most."""
    apart = sorted(factors, key=lambda kind: -abs(np.log(factors[kind])))
    told = ", ".join(f"{kind} x {factors[kind]:.3g}" for kind in apart[:SHOWN])
    more = f", and {len(apart) - SHOWN} more" if len(apart) > SHOWN else ""
    return f"times a factor by {name} ({len(apart)} kinds): {told}{more}"
