"""Means of a target by category: what ``TargetEncoder`` is made of.

Micci-Barreca, "A preprocessing scheme for high-cardinality categorical attributes" (2001), as scikit-learn reads it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isnan
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from partitioner.errors import ProgramError
from partitioner.frames import decoded, doubles, to_numpy
from partitioner.model.data import Floats
from partitioner.reducers.columns import column_of, missing_message, table_of
from partitioner.reducers.exact import UNIT, exact_squares, exact_sums, ratio
from partitioner.reducers.groups import Groups
from partitioner.reducers.models.categories import Categories, output_columns
from partitioner.reducers.models.rows import Layout
from partitioner.reducers.observations import Observations

PARTS = ("count", "mean", "squares")


@dataclass(frozen=True, slots=True, eq=False)
class Targets:
    """``columns``: of each feature its ``Groups`` of the target; with classes ``counts`` of each (category, class) pair.

    ``whole``: rows and exact sums of the target and its squares (units of 2^-1127), or the rows of each class.
    """

    columns: tuple[Any, ...]
    whole: Any
    classes: bool
    categories: Categories

    @property
    def names(self) -> tuple[str, ...] | None:
        """Of the features."""
        return self.categories.names

    @property
    def width(self) -> int:
        """How many features."""
        return self.categories.width

    @classmethod
    def of(cls, value: Any, layout: Layout, options: Mapping[str, Any], reducer: str) -> Targets | None:
        """Of one output; None without rows. Raises ProgramError for a target that is missing or no number."""
        table, names = output_columns(value, layout, reducer)
        y = _target(value, str(layout.label), reducer)
        if not len(y):
            return None
        kind = options.get("target_type", "auto")
        classes = not pa.types.is_floating(y.type) if kind == "auto" else kind != "continuous"
        categories = Categories.of(table, names)
        whole: Any
        keys = [_keys(table[name]) for name in table.column_names]
        if classes:
            whole = {row["values"]: row["counts"] for row in pc.value_counts(y).to_pylist()}
            return cls(tuple(_counted(key, y) for key in keys), whole, True, categories)
        values = to_numpy(doubles(y))[:, None]
        seen = Observations(values, np.ones(values.shape, bool), (1,), ("y",))
        whole = (len(values), exact_sums(values)[0], exact_squares(values)[0])
        return cls(tuple(Groups.of(key, seen, PARTS) for key in keys), whole, False, categories)

    def merged(self, later: Targets) -> Targets:
        """Both as one."""
        if self.classes != later.classes:
            raise ProgramError("The target is whole numbers or text first and fractions later; set target_type=.")
        categories = self.categories.merged(later.categories)
        pairs = zip(self.columns, later.columns, strict=True)
        if self.classes:
            return Targets(tuple(_added(a, b) for a, b in pairs), _added(self.whole, later.whole), True, categories)
        whole = tuple(a + b for a, b in zip(self.whole, later.whole, strict=True))
        return Targets(tuple(a.merged(b) for a, b in pairs), whole, False, categories)

    def fitted(self, model: Any) -> Any:
        """The encoder: fitted to one row of each category, and then given the means of all rows."""
        kind, rows = model.target_type, self.categories.as_rows()
        model.set_params(target_type="continuous").fit(rows, np.arange(len(rows)) + 0.5)
        model.set_params(target_type=kind)
        means, variances, labels = self._of_all()
        several = self.classes and (len(labels) > 2 or kind == "multiclass")
        model.target_type_ = ("multiclass" if several else "binary") if self.classes else "continuous"
        model.classes_ = self._labels(labels, several) if self.classes else None
        model.target_mean_ = means if several else means[0]
        model.encodings_ = []
        for known, column in zip(model.categories_, self.columns, strict=True):
            by_key = (
                _counted_means(column, labels[1:] if len(means) == 1 else labels) if self.classes else _means(column)
            )
            found = [by_key[_known(category)] for category in known.tolist()]
            for i, (mean, variance) in enumerate(zip(means, variances, strict=True)):
                statistics = [(count, averages[i], squares[i]) for count, averages, squares in found]
                model.encodings_.append(np.array([_encoding(*s, mean, variance, model.smooth) for s in statistics]))
        return model

    def _of_all(self) -> tuple[Floats, Floats, list[Any]]:
        """Mean and variance of the target (of each class, where there are more than two), and the classes."""
        if not self.classes:
            n, total, squares = self.whole
            variance = ratio((squares << UNIT) * n - total * total, n * n << 2 * UNIT)
            return np.array([ratio(total, n << UNIT)]), np.array([variance]), []
        labels = sorted(self.whole)
        rows = sum(self.whole.values())
        counted = labels if len(labels) > 2 else labels[1:] or [None]
        shares = np.array([self.whole.get(label, 0) / rows for label in counted])
        return shares, shares * (1 - shares), labels

    def _labels(self, labels: list[Any], several: bool) -> Any:
        text = any(isinstance(label, str) for label in labels)
        return np.array(labels, dtype=object) if text and self.names is not None and not several else np.array(labels)


Statistics = dict[Any, tuple[int, Floats, Floats]]
"""By category how many rows, and of each target column the mean and the squared deviations summed."""


def _means(groups: Groups) -> Statistics:
    held = zip(
        groups.keys.to_pylist(), groups.rows.tolist(), groups.parts["mean"], groups.parts["squares"], strict=True
    )
    return {_known(key): (rows, mean, squares) for key, rows, mean, squares in held}


def _counted_means(pairs: Mapping[Any, int], classes: list[Any]) -> Statistics:
    counts: dict[Any, dict[Any, int]] = {}
    for (key, label), count in pairs.items():
        counts.setdefault(_known(key), {})[label] = count
    found: Statistics = {}
    for key, by_class in counts.items():
        rows = sum(by_class.values())
        here = np.array([by_class.get(label, 0) for label in classes] or [0], np.float64)
        found[key] = (rows, here / rows, here * (1 - here / rows))
    return found


def _known(category: Any) -> Any:
    """NaN and null are one category."""
    return None if isinstance(category, float) and isnan(category) else category


def _encoding(count: int, mean: float, squares: float, overall: float, variance: float, smooth: Any) -> float:
    """The mean of a category drawn towards that of all rows."""
    if smooth != "auto":
        return float((smooth * overall + count * mean) / (smooth + count))
    whole = variance * count
    apart = whole + squares / count
    if apart == 0:
        return float(overall)
    share = whole / apart
    return float(share * mean + (1 - share) * overall)


def _target(value: Any, label: str, reducer: str) -> pa.Array:
    if isinstance(value, tuple) and len(value) == 2:
        return pa.array(np.asarray(value[1]))
    column = column_of(table_of(value, reducer), label)
    missing = pc.is_null(column, nan_is_null=True)
    if count := pc.sum(missing).as_py():
        raise ProgramError(missing_message(label, missing.index(True).as_py(), count))
    found = column.combine_chunks()
    return pa.concat_arrays(found.chunks) if isinstance(found, pa.ChunkedArray) else found


def _keys(column: pa.ChunkedArray) -> pa.Array:
    """The categories, NaN as null."""
    found = decoded(column)
    if pa.types.is_floating(found.type):
        found = pc.if_else(pc.is_nan(found), pa.scalar(None, found.type), found)
    found = found.combine_chunks()
    return pa.concat_arrays(found.chunks) if isinstance(found, pa.ChunkedArray) else found


def _counted(key: pa.Array, y: pa.Array) -> dict[Any, int]:
    grouped = pa.table({"k": key, "y": y}).group_by(["k", "y"], use_threads=False).aggregate([([], "count_all")])
    found = grouped.to_pydict()
    return {(k, c): n for k, c, n in zip(found["k"], found["y"], found["count_all"], strict=True)}


def _added(left: Mapping[Any, int], right: Mapping[Any, int]) -> dict[Any, int]:
    return {key: left.get(key, 0) + right.get(key, 0) for key in {**left, **right}}
