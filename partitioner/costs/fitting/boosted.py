"""A boosted cost: what multiplies, and categories such as models and adapters, learned where measurements are many.

Histogram gradient boosting (Ke et al., LightGBM, 2017; scikit-learn's ``HistGradientBoostingRegressor``) on absolute errors,
so that a few stragglers do not pull it, then scaled so that the totals agree: a sum of many skewed times follows the mean.
Trees know no more than the range they saw, so it serves rows or requests of a kind, not pieces of another size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from partitioner.errors import CostError, MissingDependency
from partitioner.model.data import Floats

LEAST = 150
"""Measurements from which trees have enough to tell noise from structure."""

RARE = 20
"""A category that was seen less often counts as one of the others: shrinkage by pooling."""

MOST_CATEGORIES = 250
"""Of one column; scikit-learn's histograms hold 255 values."""

LATER = 0.2
"""Part of the measurements, the newest, that models are compared on before they are fitted to all."""


@dataclass(frozen=True, slots=True, eq=False)
class Boosted:
    """A fitted model over ``numbers`` (with ``products`` of pairs of them) and ``categories``; ``scale`` corrects totals."""

    numbers: tuple[str, ...]
    products: tuple[tuple[str, str], ...]
    categories: Mapping[str, Mapping[str, int]]
    scale: float
    model: Any

    def predict(self, numbers: Mapping[str, Floats], categories: Mapping[str, Sequence[str]] | None = None) -> Floats:
        """float64[n] seconds, at least 0, of n rows from their columns by name. CostError names a column that is missing."""
        x = _design(self.numbers, self.products, self.categories, numbers, categories or {})
        return np.maximum(np.asarray(self.model.predict(x), np.float64) * self.scale, 0.0)

    def words(self) -> str:
        """What it looks at, in one sentence."""
        kinds = ", ".join(f"{name} ({len(codes)} kinds)" for name, codes in self.categories.items())
        pairs = ", ".join(f"{a} x {b}" for a, b in self.products)
        return (
            f"boosted trees over {', '.join(self.numbers)}"
            + (f"; {pairs}" if pairs else "")
            + (f"; {kinds}" if kinds else "")
        )


def boost(
    seconds: Floats,
    numbers: Mapping[str, Floats],
    categories: Mapping[str, Sequence[str]] | None = None,
    products: Sequence[tuple[str, str]] = (),
    seed: int = 0,
) -> Boosted:
    """Fit ``seconds`` float64[n], in the order in which they were measured, by columns of n values.

    Raises CostError for fewer than ``LEAST`` measurements, MissingDependency without scikit-learn.
    """
    if len(seconds) < LEAST:
        raise CostError(f"{len(seconds)} measurements are too few for boosted trees; they need {LEAST}.")
    try:
        from sklearn.ensemble import HistGradientBoostingRegressor
    except ModuleNotFoundError as error:
        raise MissingDependency(
            'boosted costs need scikit-learn, which is not installed: pip install "batch-partitioner[ml]"'
        ) from error
    codes = {name: _codes(values) for name, values in (categories or {}).items()}
    names, pairs = tuple(numbers), tuple(products)
    x = _design(names, pairs, codes, numbers, categories or {})
    first = len(names) + len(pairs)
    regressor = HistGradientBoostingRegressor(
        loss="absolute_error",
        learning_rate=0.03,
        max_iter=500,
        max_leaf_nodes=15,
        min_samples_leaf=20,
        categorical_features=list(range(first, first + len(codes))) or None,
        random_state=seed,
    )
    with threadpool_limits(1):  # its threads wait actively for each other: on a busy machine that takes minutes
        model = regressor.fit(x, seconds)
    fitted = float(np.maximum(model.predict(x), 0.0).sum())
    return Boosted(names, pairs, codes, float(seconds.sum()) / fitted if fitted > 0 else 1.0, model)


def later_error(predicted: Floats, actual: Floats) -> float:
    """Mean absolute error over the mean: what models are compared by, on measurements that came after those fitted."""
    return float(np.abs(predicted - actual).mean() / max(float(actual.mean()), 1e-300))


def split_in_time(n: int) -> tuple[slice, slice]:
    """The earlier measurements to fit, and the newest to compare on."""
    at = n - max(1, round(LATER * n))
    return slice(0, at), slice(at, n)


def _codes(values: Sequence[str]) -> dict[str, int]:
    """Category to code, from 1, of those that are frequent; the others, and new ones, are 0."""
    names, counts = np.unique(np.asarray(values, str), return_counts=True)
    order = np.argsort(-counts, kind="stable")[: MOST_CATEGORIES - 1]
    kept = [str(names[i]) for i in order if counts[i] >= RARE]
    return {name: code for code, name in enumerate(kept, start=1)}


def _design(
    names: Sequence[str],
    products: Sequence[tuple[str, str]],
    codes: Mapping[str, Mapping[str, int]],
    numbers: Mapping[str, Floats],
    categories: Mapping[str, Sequence[str]],
) -> Floats:
    for name in [*names, *codes]:
        if name not in numbers and name not in categories:
            raise CostError(f"the boosted cost needs {name!r}; there are {', '.join([*numbers, *categories])}.")
    columns = [np.asarray(numbers[name], np.float64) for name in names]
    columns += [np.asarray(numbers[a], np.float64) * np.asarray(numbers[b], np.float64) for a, b in products]
    columns += [np.array([known.get(str(v), 0) for v in categories[name]], np.float64) for name, known in codes.items()]
    return np.stack(columns, axis=1)
