"""``encoder``: a fitted ``OneHotEncoder``, ``OrdinalEncoder``, ``LabelEncoder`` or ``TargetEncoder`` of all rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from partitioner.errors import ConfigError
from partitioner.reducers.models.categories import Categories, output_columns
from partitioner.reducers.models.estimator import EstimatorReducer, check_kind, unfitted
from partitioner.reducers.models.rows import Layout, same_columns
from partitioner.reducers.models.targets import Targets

KINDS = {
    "one_hot": "preprocessing:OneHotEncoder",
    "ordinal": "preprocessing:OrdinalEncoder",
    "label": "preprocessing:LabelEncoder",
    "target": "preprocessing:TargetEncoder",
}
COUNTING = ("min_frequency", "max_categories")


class Encoder(EstimatorReducer):
    """The program returns tables, or arrays of columns. ``kind``: ``"one_hot"``, ``"ordinal"``, ``"label"`` (one column) or
    ``"target"`` (needs ``label``, the column of the target); other options are those of scikit-learn's class.

    ``features`` as in ``Layout``. The different values of each column are kept; a target encoder's are with their means.
    """

    name = "encoder"
    exact = True
    allows_nan = True  # as a category, as in scikit-learn

    def __init__(
        self,
        kind: str = "one_hot",
        features: str | Sequence[str] | None = None,
        label: str | None = None,
        **options: Any,
    ) -> None:
        self.kind, self.options = check_kind(kind, KINDS), options
        if (label is None) == (kind == "target"):
            raise ConfigError(
                f"label is {label!r}; kind='target' needs the column of the target, and the other encoders have none."
            )
        for name in COUNTING:
            if options.get(name) is not None:
                raise ConfigError(f"{name} counts how often a category is there, which is not kept; leave it out.")
        self.layout = Layout.of(features, label, missing=True)
        self.exact = kind != "target"
        unfitted(KINDS[kind], options)

    def create_accumulator(self) -> Any:
        """No rows."""
        return None

    def add_input(self, accumulator: Any, value: Any) -> Any:
        """With the rows of one output. Raises ProgramError for columns that hold lists."""
        if self.kind == "target":
            return self.merge_accumulators(accumulator, Targets.of(value, self.layout, self.options, self.name))
        table, names = output_columns(value, self.layout, self.name)
        found = Categories.of(table, names)
        return self.merge_accumulators(accumulator, found) if table.num_rows else accumulator

    def merge_accumulators(self, left: Any, right: Any) -> Any:
        """Both as one. Raises ProgramError where columns differ."""
        if left is None or right is None:
            return left if right is None else right
        same_columns(left, right)
        return left.merged(right)

    def extract_output(self, accumulator: Any) -> Any:
        """The fitted encoder; None of no rows. Raises ConfigError for a label encoder of several columns."""
        if accumulator is None:
            return None
        model = unfitted(KINDS[self.kind], self.options)
        if self.kind == "target":
            return accumulator.fitted(model)
        rows = accumulator.as_rows()
        if self.kind != "label":
            return model.fit(rows)
        if accumulator.width != 1:
            raise ConfigError(
                f"a label encoder has one column, and there are {accumulator.width}; name it with features=."
            )
        return model.fit(rows[:, 0] if accumulator.names is None else rows.iloc[:, 0])
