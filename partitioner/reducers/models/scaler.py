"""``scaler``: a fitted ``StandardScaler``, ``MinMaxScaler``, ``MaxAbsScaler`` or ``RobustScaler`` of all rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from partitioner.errors import ConfigError
from partitioner.model.data import Floats
from partitioner.reducers.models.estimator import EstimatorReducer, check_kind, unfitted, with_features
from partitioner.reducers.models.rows import Layout, Rows, same_columns
from partitioner.reducers.observations import Observations
from partitioner.reducers.statistics.ranks import Ranks
from partitioner.reducers.totals import Totals
from partitioner.reducers.weighted_totals import WeightedTotals

KINDS = {
    "standard": "preprocessing:StandardScaler",
    "min_max": "preprocessing:MinMaxScaler",
    "max_abs": "preprocessing:MaxAbsScaler",
    "robust": "preprocessing:RobustScaler",
}
EPSILON = float(np.finfo(np.float64).eps)


@dataclass(frozen=True, slots=True, eq=False)
class Spread:
    """Of ``rows``, by column: ``known`` numbers int64[f], extremes ``low`` and ``high``, ``totals`` or ``ranks``.

    ``weighted`` instead of ``totals`` where rows have weights.
    """

    rows: int
    known: Any
    low: Floats
    high: Floats
    totals: Totals | None
    ranks: tuple[Ranks, ...]
    names: tuple[str, ...] | None
    weighted: WeightedTotals | None = None

    @property
    def width(self) -> int:
        """How many columns."""
        return len(self.known)


class Scaler(EstimatorReducer):
    """The program returns tables or float64[n, f]. ``kind``: ``"standard"``, ``"min_max"``, ``"max_abs"`` or ``"robust"``;
    other options are those of scikit-learn's class. NaN and nulls are left out, as there.

    ``features`` as in ``Layout``. ``robust`` keeps the different numbers of each column, up to ``max_values``; of more its
    quantiles are those of a histogram with buckets of equal leading bits. ``weight`` (kind ``"standard"``): the column of
    the weights of rows, or (X, weights), as ``sample_weight`` there.
    """

    name = "scaler"
    exact = True

    def __init__(
        self,
        kind: str = "standard",
        features: str | Sequence[str] | None = None,
        max_values: int = 1_000_000,
        weight: str | None = None,
        **options: Any,
    ) -> None:
        self.kind, self.max_values = check_kind(kind, KINDS), max_values
        if weight is not None and kind != "standard":
            raise ConfigError(
                f"weight is {weight!r}; rows have weights with kind='standard' alone, as in scikit-learn."
            )
        self.layout = replace(Layout.of(features, missing=True), weight=weight)
        self.options = options
        model = unfitted(KINDS[kind], options)
        if kind == "robust" and not 0 <= model.quantile_range[0] <= model.quantile_range[1] <= 100:
            raise ConfigError(f"quantile_range is {model.quantile_range}; it is two percentages in order, 0 to 100.")

    def create_accumulator(self) -> Spread | None:
        """No rows."""
        return None

    def add_input(self, accumulator: Spread | None, value: Any) -> Spread | None:
        """With the rows of one output. Raises ProgramError for infinities and for what is no number."""
        rows = self.layout.read(value, self.name)
        return self.merge_accumulators(accumulator, self._spread(rows)) if len(rows.x) else accumulator

    def merge_accumulators(self, left: Spread | None, right: Spread | None) -> Spread | None:
        """Both as one. Raises ProgramError where columns differ."""
        if left is None or right is None:
            return left if right is None else right
        same_columns(left, right)
        totals = left.totals.merged(right.totals) if left.totals and right.totals else None
        weighted = left.weighted.merged(right.weighted) if left.weighted and right.weighted else None
        return replace(
            left,
            rows=left.rows + right.rows,
            known=left.known + right.known,
            low=np.minimum(left.low, right.low),
            high=np.maximum(left.high, right.high),
            totals=totals,
            weighted=weighted,
            ranks=tuple(a.merged(b, self.max_values) for a, b in zip(left.ranks, right.ranks, strict=True)),
        )

    def extract_output(self, accumulator: Spread | None) -> Any:
        """The fitted scaler; None of no rows."""
        if accumulator is None:
            return None
        model = _FITTED[self.kind](unfitted(KINDS[self.kind], self.options), accumulator)
        return with_features(model, accumulator.names, accumulator.width)

    def _spread(self, rows: Rows) -> Spread:
        known = ~np.isnan(rows.x)
        low, high = (np.where(known, rows.x, edge) for edge in (np.inf, -np.inf))
        seen = Observations(np.where(known, rows.x, 0.0), known, (rows.x.shape[1],), rows.names)
        kept = [x[k] for x, k in zip(rows.x.T, known.T, strict=True)] if self.kind == "robust" else []
        return Spread(
            len(rows.x),
            known.sum(axis=0),
            low.min(axis=0),
            high.max(axis=0),
            Totals.of(seen, squares=True) if self.kind == "standard" and rows.weights is None else None,
            tuple(Ranks.of(x, np.ones((len(x), 1), np.int64), self.max_values) for x in kept),
            rows.names,
            None if rows.weights is None else WeightedTotals.of(seen, rows.weights, squares=True),
        )


def _seen(spread: Spread) -> Any:
    """How many rows, as scikit-learn keeps it: one number where no value is missing."""
    known = spread.known if spread.weighted is None else spread.weighted.masses()
    return known[0] if (known == known[0]).all() else known


def _standard(model: Any, spread: Spread) -> Any:
    if spread.weighted is not None:
        mean, variance, known = spread.weighted.mean(), spread.weighted.variance(), spread.weighted.masses()
    else:
        assert spread.totals is not None, "kind 'standard' keeps totals"
        mean, variance, known = spread.totals.mean(), spread.totals.variance(0), spread.known
    model.fit(_extremes(spread), sample_weight=None if spread.weighted is None else np.ones(2))
    model.n_samples_seen_ = np.asarray(_seen(spread), np.asarray(model.n_samples_seen_).dtype)[()]
    model.mean_ = mean if model.with_mean or model.with_std else None
    model.var_ = variance if model.with_std else None
    bound = known * EPSILON * variance + (known * mean * EPSILON) ** 2  # scikit-learn's for a constant
    model.scale_ = np.where(variance <= bound, 1.0, np.sqrt(variance)) if model.with_std else None
    return model


def _extremes(spread: Spread) -> Floats:
    """Two rows with the range of every column; NaN of one without numbers."""
    both = np.vstack([spread.low, spread.high])
    return np.where(spread.known > 0, both, np.nan)


def _by_extremes(model: Any, spread: Spread) -> Any:
    """``MinMaxScaler`` and ``MaxAbsScaler`` are those of the extreme rows."""
    model.fit(_extremes(spread))
    model.n_samples_seen_ = spread.rows
    return model


def _robust(model: Any, spread: Spread) -> Any:
    shares = np.array(model.quantile_range) / 100.0
    found = np.array([ranks.quantiles(shares)[0] for ranks in spread.ranks]).reshape(-1, 2)
    model.center_ = np.array([ranks.median() for ranks in spread.ranks]) if model.with_centering else None
    model.scale_ = None
    if model.with_scaling:
        scale = found[:, 1] - found[:, 0]
        model.scale_ = np.where(scale < 10 * EPSILON, 1.0, scale)
        if model.unit_variance:
            from scipy.stats import norm

            model.scale_ = model.scale_ / (norm.ppf(shares[1]) - norm.ppf(shares[0]))
    return model


_FITTED: dict[str, Callable[[Any, Spread], Any]] = {
    "standard": _standard,
    "min_max": _by_extremes,
    "max_abs": _by_extremes,
    "robust": _robust,
}
