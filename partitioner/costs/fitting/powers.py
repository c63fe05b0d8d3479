"""Seconds of a row as a product of powers: so many seconds x steps^1 x size^2 / batch^1, times a factor per kind.

What multiplies is a sum in logarithms (Cobb and Douglas, Am. Econ. Rev. 18, 1928), so a few measurements tell a ratio or a
square, which no sum of products holds, and it goes on beyond what was seen. Factors of kinds are drawn towards 1 as in
``sums``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from partitioner.costs.fitting.regression import HUBER
from partitioner.costs.fitting.sums import KINDS_DIFFER, LEAST_NOISE, kinds_in_words
from partitioner.model.data import Floats, Ints

ROUNDS = 10
"""Fits of powers and factors in turn, with weights against stragglers from the one before."""

BRIEF = 1e-3
"""Share of the median below which seconds count as this: zero has no logarithm."""

TOWARDS_ZERO = 1e-3
"""Weight that draws powers to 0, in measurements: of two columns that say the same each gets half."""


@dataclass(frozen=True, slots=True, eq=False)
class Powers:
    """``seconds`` where all numbers are 1; ``powers`` and ``least`` positive value by number; ``factors`` by category and
    kind.
    """

    seconds: float
    powers: Mapping[str, float]
    least: Mapping[str, float]
    factors: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def predict(self, numbers: Mapping[str, Floats], categories: Mapping[str, Sequence[str]] | None = None) -> Floats:
        """float64[n] seconds; a number below the least positive one seen counts as that, a kind never seen as the usual."""
        found = np.full(len(next(iter(numbers.values()))), self.seconds)
        for name, power in self.powers.items():
            found = found * np.maximum(numbers[name], self.least[name]) ** power
        for name, known in self.factors.items():
            found = found * np.array([known.get(kind, 1.0) for kind in (categories or {})[name]])
        return np.asarray(found, np.float64)

    def words(self) -> str:
        """The formula, with units, and the kinds that differ most."""
        product = " x ".join([f"{self.seconds:.3g} s", *(f"{name}^{power:.2g}" for name, power in self.powers.items())])
        return "; ".join([product, *(kinds_in_words(*named) for named in self.factors.items())])


def fit_powers(
    seconds: Floats, numbers: Mapping[str, Floats], categories: Mapping[str, Sequence[str]] | None = None
) -> Powers:
    """Fit ``seconds`` float64[n] by columns of n values; totals of predicted and actual seconds agree."""
    told = {name: values for name, values in numbers.items() if (values > 0).any()}
    least = {name: float(values[values > 0].min()) for name, values in told.items()}
    logs = [np.log(np.maximum(values, least[name])) for name, values in told.items()]
    design = np.stack([np.ones(len(seconds)), *logs], axis=1)
    target = np.log(np.maximum(seconds, max(BRIEF * float(np.median(seconds)), 1e-9)))
    coded = {name: np.unique(np.asarray(kinds, str), return_inverse=True) for name, kinds in (categories or {}).items()}
    factors = {name: np.zeros(len(kinds)) for name, (kinds, _) in coded.items()}
    weight, of_kinds = np.ones(len(seconds)), np.zeros(len(seconds))
    beta: Floats = np.zeros(design.shape[1])
    for _ in range(ROUNDS):
        beta = _weighted(design, target - of_kinds, weight)
        rest = target - design @ beta
        for name, (_, code) in coded.items():
            others = of_kinds - factors[name][code]
            factors[name] = _drawn(rest - others, code, weight)
            of_kinds = others + factors[name][code]
        left = np.abs(rest - of_kinds)
        weight = np.minimum(1.0, HUBER * max(1.4826 * float(np.median(left)), 1e-6) / np.maximum(left, 1e-300))
    total = float(np.exp(design @ beta + of_kinds).sum())
    scale = float(seconds.sum()) / total if total > 0 else 1.0
    known = {
        name: dict(zip(kinds.tolist(), np.exp(factors[name]).tolist(), strict=True))
        for name, (kinds, _) in coded.items()
    }
    return Powers(float(np.exp(beta[0])) * scale, dict(zip(told, beta[1:].tolist(), strict=True)), least, known)


def _weighted(design: Floats, target: Floats, weight: Floats) -> Floats:
    """float64[p]: weighted least squares; powers, but not the level, drawn to 0 a little."""
    held = np.full(design.shape[1], TOWARDS_ZERO)
    held[0] = 0.0
    gram = (design * weight[:, None]).T @ design + np.diag(held)
    return np.asarray(np.linalg.solve(gram, (design * weight[:, None]).T @ target), np.float64)


def _drawn(rest: Floats, code: Ints, weight: Floats) -> Floats:
    """float64[kinds]: logarithm of the factor of each kind, drawn to that of all rows the fewer rows it has."""
    rest = rest - float((rest * weight).sum() / weight.sum())
    count = np.bincount(code, weight)
    usual = np.bincount(code, rest * weight) / count
    noise = max(1.4826 * float(np.median(np.abs(rest - usual[code]))), LEAST_NOISE)
    return np.asarray(usual * count / (count + noise**2 / KINDS_DIFFER**2), np.float64)
