"""``regression``: how well numbers were predicted, as scikit-learn measures it on all the data at once."""

from __future__ import annotations

from collections.abc import Mapping
from math import nan as not_a_number
from math import sqrt
from typing import Any

import numpy as np

from partitioner.model.data import Floats
from partitioner.reducers.base import Reducer
from partitioner.reducers.columns import check_missing, check_weights, finite_columns, known_columns, table_of
from partitioner.reducers.exact import UNIT, exact_products, exact_squares, exact_sums, ratio
from partitioner.reducers.observations import Observations

Sums = Mapping[str, Any]
SMALLEST = float(np.finfo(np.float64).eps)  # what scikit-learn divides by where a label is 0


class Regression(Reducer):
    """The program returns tables with the true number in ``label``, the predicted one in ``prediction``, and, where it is
    named, a ``weight`` of 0 or more.

    Sums are exact and rounded once. ``nan``: ``"raise"``, or ``"omit"`` for leaving out rows with a missing value.
    """

    name = "regression"
    takes = "data"
    commutative = exact = mergeable = True

    def __init__(
        self, label: str = "label", prediction: str = "prediction", weight: str | None = None, nan: str = "raise"
    ) -> None:
        self.wanted = {"label": label, "prediction": prediction, "weight": weight}
        self.nan = check_missing(nan)
        self.looks_at = (self.name, label, prediction, nan)
        self.group_parts = _PARTS if weight is None else None

    def create_accumulator(self) -> Sums:
        """No rows."""
        return {"rows": 0, "largest": 0.0, **dict.fromkeys(_SUMMED, 0)}

    def add_input(self, accumulator: Sums, value: Any) -> Sums:
        """With the rows of one output. Raises ProgramError where a column is not there or holds no numbers."""
        held = finite_columns(table_of(value, self.name), self.wanted, self.nan)
        label, prediction = held["label"], held["prediction"]
        weight = held.get("weight")
        if weight is not None:
            check_weights(weight, self.wanted["weight"])
        return self.merge_accumulators(accumulator, _sums(label, prediction, weight))

    def seen(self, value: Any) -> Observations:
        """What is summed of each row, as columns; rows with a missing value are not known."""
        held, known = known_columns(table_of(value, self.name), self.wanted, self.nan)
        columns = np.where(known[:, None], _columns(held["label"], held["prediction"]), 0.0)
        squared = columns[:, :1] ** 2
        every = np.hstack([columns, squared])
        return Observations(
            every, np.broadcast_to(known[:, None], every.shape), (every.shape[1],), (*_COLUMNS, "squared")
        )

    def extract_groups(self, rows: Any, names: tuple[str, ...], parts: Mapping[str, Any]) -> dict[str, Any]:
        """The figures of every key, from sums as exact as two doubles."""
        count = parts["count"][:, 0]
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = dict(zip(names, ((parts["sum"] + parts["rest"]) / parts["count"]).T, strict=True))
            spread = dict(zip(names, parts["squares"].T, strict=True))
            left = {"r2": mean["squared"] * count, "explained_variance": spread["error"]}
            explained = {
                name: np.where(spread["label"] > 0, 1.0 - over / spread["label"], np.where(over > 0, 0.0, 1.0))
                for name, over in left.items()
            }
        largest = np.where(count > 0, parts["high"][:, names.index("absolute")], not_a_number)
        return {
            "rows": count.astype(np.int64),
            "weight": count,
            "mae": mean["absolute"],
            "mse": mean["squared"],
            "rmse": np.sqrt(mean["squared"]),
            **{name: np.where(count < 2, not_a_number, values) for name, values in explained.items()},
            "mape": mean["share"],
            "bias": mean["error"],
            "max_error": largest,
        }

    def merge_accumulators(self, left: Sums, right: Sums) -> Sums:
        """The sums added, the largest error kept."""
        added = {name: left[name] + right[name] for name in ("rows", *_SUMMED)}
        return {**added, "largest": max(left["largest"], right["largest"])}

    def extract_output(self, accumulator: Sums) -> dict[str, float]:
        """``rows``, ``mae``, ``mse``, ``rmse``, ``r2``, ``explained_variance``, ``mape`` (a share), ``bias`` (prediction
        less label), ``max_error`` and ``weight``, their sum; NaN of no rows, and ``r2`` of fewer than two.
        """
        sums, weight = accumulator, accumulator["weight"]
        mean = {name: ratio(sums[name], weight) for name in ("error", "absolute", "share")}
        mse = ratio(sums["squared"], weight)
        few = sums["rows"] < 2
        spread = (sums["label_squared"] * weight) - sums["label"] ** 2  # W^2 times the variance of the labels
        left_over = sums["squared"] * weight
        return {
            "rows": sums["rows"],
            "weight": ratio(weight, 1 << UNIT),
            "mae": mean["absolute"],
            "mse": mse,
            "rmse": sqrt(mse),
            "r2": not_a_number if few else _explained(left_over, spread),
            "explained_variance": not_a_number if few else _explained(left_over - sums["error"] ** 2, spread),
            "mape": mean["share"],
            "bias": mean["error"],
            "max_error": sums["largest"] if sums["rows"] else not_a_number,
        }


_SUMMED = ("weight", "error", "absolute", "squared", "share", "label", "label_squared")


_COLUMNS = ("error", "absolute", "share", "label")
_PARTS = ("count", "high", "mean", "rest", "squares", "sum")


def _columns(label: Floats, prediction: Floats) -> Floats:
    """float64[n, 4]: the error, its size, its share of the label, and the label."""
    error = prediction - label
    size = np.abs(error)
    return np.column_stack([error, size, size / np.maximum(np.abs(label), SMALLEST), label])


def _sums(label: Floats, prediction: Floats, weight: Floats | None) -> dict[str, Any]:
    """Sums over one output, in units of 2^-1127 and weighted."""
    columns = _columns(label, prediction)
    squares = columns[:, [0, 3]]
    if weight is None:
        whole, totals, squared = len(label) << UNIT, exact_sums(columns), exact_squares(squares)
    else:
        weights = np.broadcast_to(weight[:, None], columns.shape)
        (whole,), totals = exact_sums(weight[:, None]), exact_products(weights, columns)
        squared = exact_products(weights[:, :2], squares, squares)
    found = dict(zip(_COLUMNS, totals, strict=True))
    largest = float(columns[:, 1].max(initial=0.0))
    both = {"squared": squared[0], "label_squared": squared[1]}
    return {"rows": len(label), "weight": whole, "largest": largest, **both, **found}


def _explained(left_over: int, spread: int) -> float:
    """1 less the share that is left over; of labels that never change 1 where nothing is, else 0, as in scikit-learn."""
    if spread == 0:
        return 1.0 if left_over == 0 else 0.0
    return ratio(spread - left_over, spread)
