"""``classification``: how well labels were predicted, as scikit-learn measures it on all the data at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from partitioner.errors import ConfigError, ProgramError
from partitioner.frames import decoded
from partitioner.model.data import Floats
from partitioner.reducers.base import Reducer
from partitioner.reducers.columns import (
    check_missing,
    check_weights,
    column_of,
    finite_columns,
    missing_message,
    table_of,
)
from partitioner.reducers.exact import UNIT, exact_products, exact_sums, ratio
from partitioner.reducers.statistics.chances import chances_of, label_places, surprise
from partitioner.reducers.statistics.confusion import scores

Seen = Mapping[str, Any]
"""``pairs``: rows, or weight in units of 2^-1127, of each (true, predicted); ``rows``; ``surprise`` and its ``weight``."""


class Classification(Reducer):
    """The program returns tables with the true label in ``label`` and the predicted one in ``prediction``.

    ``weight`` names a column of weights. ``classes`` are all classes in order; without it those that were seen, sorted.
    ``probabilities`` names a column with a list of one probability for each of ``classes`` (or, of two, a number, that of
    the second) for the log loss. ``nan``: ``"raise"``, or ``"omit"`` for leaving out rows with a missing label or weight.
    """

    name = "classification"
    takes = "data"
    commutative = exact = mergeable = True

    def __init__(
        self,
        label: str = "label",
        prediction: str = "prediction",
        weight: str | None = None,
        classes: Sequence[Any] | None = None,
        probabilities: str | None = None,
        nan: str = "raise",
    ) -> None:
        if probabilities is not None and (classes is None or len(classes) < 2):
            raise ConfigError(
                f"probabilities={probabilities!r} need classes=[...], two or more, in the order of the probabilities; "
                f"classes is {classes!r}."
            )
        self.label, self.prediction, self.weight, self.probabilities = label, prediction, weight, probabilities
        self.classes = None if classes is None else list(classes)
        self.nan = check_missing(nan)

    def create_accumulator(self) -> Seen:
        """No rows."""
        return {"pairs": {}, "rows": 0, "surprise": 0, "weight": 0}

    def add_input(self, accumulator: Seen, value: Any) -> Seen:
        """With the rows of one output. Raises ProgramError where a column is not there."""
        table = self._known(table_of(value, self.name))
        weight = finite_columns(table, {"weight": self.weight}, "raise").get("weight")
        if weight is not None:
            check_weights(weight, self.weight)
        pairs = self._pairs(table, weight)
        found: dict[str, Any] = {"pairs": pairs, "rows": table.num_rows, "surprise": 0, "weight": 0}
        if self.probabilities is not None and self.classes is not None:
            chances = chances_of(table, self.probabilities, self.classes)
            places = label_places(table[self.label].to_pylist(), self.classes, self.label)
            weights = np.ones(len(chances)) if weight is None else weight
            lost = surprise(chances[np.arange(len(chances)), places])
            (found["surprise"],) = exact_products(weights[:, None], lost[:, None])
            (found["weight"],) = exact_sums(weights[:, None])
        return self.merge_accumulators(accumulator, found)

    def merge_accumulators(self, left: Seen, right: Seen) -> Seen:
        """The counts added."""
        here, there = left["pairs"], right["pairs"]
        pairs = {pair: here.get(pair, 0) + there.get(pair, 0) for pair in {**here, **there}}
        return {"pairs": pairs, **{name: left[name] + right[name] for name in ("rows", "surprise", "weight")}}

    def extract_output(self, accumulator: Seen) -> dict[str, Any]:
        """``rows``, ``classes``, ``confusion`` [true, predicted] (int64; float64 of weights) and what ``scores`` tells of
        it; ``log_loss`` where there are probabilities.
        """
        pairs = accumulator["pairs"]
        classes = self._classes(pairs)
        place = {label: i for i, label in enumerate(classes)}
        confusion = np.zeros((len(classes), len(classes)), np.int64 if self.weight is None else np.float64)
        for (true, predicted), count in pairs.items():
            confusion[place[true], place[predicted]] += count if self.weight is None else ratio(count, 1 << UNIT)
        found = {"rows": accumulator["rows"], "classes": classes, "confusion": confusion, **scores(confusion)}
        if self.probabilities is not None:
            found["log_loss"] = ratio(accumulator["surprise"], accumulator["weight"])
        return found

    def _known(self, table: pa.Table) -> pa.Table:
        """The rows whose label and prediction (and weight, where NaN is left out) are there."""
        columns = [column_of(table, name) for name in (self.label, self.prediction)]
        if self.weight is not None and self.nan == "omit":
            columns.append(pc.cast(column_of(table, self.weight), pa.float64()))
        for name, column in zip((self.label, self.prediction, self.weight), columns, strict=False):
            missing = pc.is_null(column, nan_is_null=True)
            if count := pc.sum(missing).as_py():
                if self.nan == "raise":
                    raise ProgramError(missing_message(str(name), missing.index(True).as_py(), count))
                return self._known(table.filter(pc.invert(missing)))
        return table

    def _pairs(self, table: pa.Table, weight: Floats | None) -> dict[tuple[Any, Any], int]:
        pairs = pa.table({"t": decoded(table[self.label]), "p": decoded(table[self.prediction])})
        if weight is None:
            counted = pairs.group_by(["t", "p"], use_threads=False).aggregate([([], "count_all")]).to_pydict()
            return {(t, p): n for t, p, n in zip(counted["t"], counted["p"], counted["count_all"], strict=True)}
        found: dict[tuple[Any, Any], int] = {}
        codes = pairs.append_column("row", pa.array(np.arange(len(weight))))
        grouped = codes.group_by(["t", "p"], use_threads=False).aggregate([("row", "list")]).to_pydict()
        for t, p, rows in zip(grouped["t"], grouped["p"], grouped["row_list"], strict=True):
            (found[t, p],) = exact_sums(weight[rows][:, None])
        return found

    def _classes(self, pairs: Mapping[tuple[Any, Any], int]) -> list[Any]:
        seen = {label: label for pair in sorted(pairs, key=_order) for label in pair}
        if self.classes is None:
            return sorted(seen, key=lambda label: _order((label,)))
        if other := sorted(seen.keys() - set(self.classes), key=lambda label: _order((label,))):
            raise ProgramError(
                f"Labels or predictions hold {other[0]!r}, which is not one of classes={self.classes}; add it."
            )
        return self.classes


def _order(labels: Sequence[Any]) -> Any:
    """Numbers by size, before text and the like by their type."""
    return [
        ("", label, str(type(label))) if isinstance(label, int | float) else (str(type(label)), label, "")
        for label in labels
    ]
