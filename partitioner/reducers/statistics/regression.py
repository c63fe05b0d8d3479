"""``regression``: how well numbers were predicted, as scikit-learn measures it on all the data at once."""

from __future__ import annotations

from collections.abc import Mapping
from math import nan as not_a_number
from math import sqrt
from typing import Any

import numpy as np

from partitioner.model.data import Floats
from partitioner.reducers.base import Reducer
from partitioner.reducers.columns import check_missing, check_weights, finite_columns, table_of
from partitioner.reducers.exact import UNIT, exact_products, ratio

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

    def create_accumulator(self) -> Sums:
        """No rows."""
        return {"rows": 0, "largest": 0.0, **dict.fromkeys(_SUMMED, 0)}

    def add_input(self, accumulator: Sums, value: Any) -> Sums:
        """With the rows of one output. Raises ProgramError where a column is not there or holds no numbers."""
        held = finite_columns(table_of(value, self.name), self.wanted, self.nan)
        label, prediction = held["label"], held["prediction"]
        weight = held.get("weight", np.ones(len(label)))
        check_weights(weight, self.wanted["weight"])
        return self.merge_accumulators(accumulator, _sums(label, prediction, weight))

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


def _sums(label: Floats, prediction: Floats, weight: Floats) -> dict[str, Any]:
    """Sums over one output, in units of 2^-1127 and weighted."""
    error = prediction - label
    size = np.abs(error)
    plain = np.column_stack([np.ones(len(label)), error, size, size / np.maximum(np.abs(label), SMALLEST), label])
    weights = np.broadcast_to(weight[:, None], plain.shape)
    totals = exact_products(weights, plain)
    squares = np.column_stack([error, label])
    squared = exact_products(weights[:, :2], squares, squares)
    found = dict(zip(("weight", "error", "absolute", "share", "label"), totals, strict=True))
    largest = float(size.max(initial=0.0))
    return {"rows": len(label), "largest": largest, "squared": squared[0], "label_squared": squared[1], **found}


def _explained(left_over: int, spread: int) -> float:
    """1 less the share that is left over; of labels that never change 1 where nothing is, else 0, as in scikit-learn."""
    if spread == 0:
        return 1.0 if left_over == 0 else 0.0
    return ratio(spread - left_over, spread)
