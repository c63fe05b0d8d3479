"""``imputer``: a fitted ``SimpleImputer`` of all rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from partitioner.errors import ConfigError, ProgramError
from partitioner.frames import is_frame
from partitioner.reducers.models.categories import output_columns
from partitioner.reducers.models.counted import Counted, is_text
from partitioner.reducers.models.estimator import EstimatorReducer, check_kind, unfitted
from partitioner.reducers.models.rows import Layout, Rows, same_columns
from partitioner.reducers.observations import Observations
from partitioner.reducers.statistics.ranks import Ranks
from partitioner.reducers.totals import Totals

STRATEGIES = {"mean": False, "median": True, "most_frequent": True, "constant": False}
"""By name whether the different numbers are kept."""
ANYTHING = ("most_frequent", "constant")
TARGET = "impute:SimpleImputer"


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """Of f columns: ``missing`` numbers int64[f], their exact ``totals``, and the ``ranks`` where a strategy needs them."""

    missing: Any
    totals: Totals
    ranks: tuple[Ranks, ...]
    names: tuple[str, ...] | None

    @property
    def width(self) -> int:
        """How many columns."""
        return len(self.missing)


class Imputer(EstimatorReducer):
    """The program returns tables or float64[n, f] with nulls or NaN. ``strategy``: ``"mean"``, ``"median"``,
    ``"most_frequent"`` or ``"constant"``; other options are those of scikit-learn's class.

    Columns of text have the last two. ``features`` as in ``Layout``.
    Medians and most frequent numbers are exact up to ``max_values`` different ones.
    """

    name = "imputer"
    exact = True

    def __init__(
        self,
        strategy: str = "mean",
        features: str | Sequence[str] | None = None,
        max_values: int = 1_000_000,
        **options: Any,
    ) -> None:
        self.strategy, self.max_values = check_kind(strategy, STRATEGIES, "strategy"), max_values
        if "missing_values" in options:
            raise ConfigError("missing_values is always NaN here (and null); write others as null in the program.")
        self.layout = Layout.of(features, missing=True)
        self.options = {**options, "strategy": strategy}
        unfitted(TARGET, self.options)

    def create_accumulator(self) -> Known | Counted | None:
        """No rows."""
        return None

    def add_input(self, accumulator: Known | Counted | None, value: Any) -> Known | Counted | None:
        """With the rows of one output. Raises ProgramError for infinities, and for text where a number is needed."""
        if self.strategy in ANYTHING and (isinstance(value, pa.Table | pa.RecordBatch | dict) or is_frame(value)):
            table, _ = output_columns(value, self.layout, self.name)
            if is_text(table):
                return self.merge_accumulators(accumulator, Counted.of(table)) if table.num_rows else accumulator
        rows = self.layout.read(value, self.name)
        return self.merge_accumulators(accumulator, self._known(rows)) if len(rows.x) else accumulator

    def merge_accumulators(self, left: Any, right: Any) -> Any:
        """Both as one. Raises ProgramError where columns differ."""
        if left is None or right is None:
            return left if right is None else right
        same_columns(left, right)
        if type(left) is not type(right):
            raise ProgramError("The program returned text in one output and only numbers in another; return one type.")
        if isinstance(left, Counted):
            return left.merged(right)
        ranks = tuple(a.merged(b, self.max_values) for a, b in zip(left.ranks, right.ranks, strict=True))
        return replace(left, missing=left.missing + right.missing, totals=left.totals.merged(right.totals), ranks=ranks)

    def extract_output(self, accumulator: Known | Counted | None) -> Any:
        """The fitted imputer; None of no rows. It is that of two rows: what fills, and which columns lack something."""
        if accumulator is None:
            return None
        if isinstance(accumulator, Counted):
            return unfitted(TARGET, self.options).fit(accumulator.as_rows())
        statistics = self._statistics(accumulator)
        lacking = np.where(accumulator.missing > 0, np.nan, statistics)
        rows: Any = np.vstack([statistics, lacking])
        if accumulator.names is not None:
            import pandas as pd

            rows = pd.DataFrame(rows, columns=list(accumulator.names))
        return unfitted(TARGET, self.options).fit(rows)

    def _known(self, rows: Rows) -> Known:
        known = ~np.isnan(rows.x)
        seen = Observations(np.where(known, rows.x, 0.0), known, (rows.x.shape[1],), rows.names)
        kept = [x[k] for x, k in zip(rows.x.T, known.T, strict=True)] if STRATEGIES[self.strategy] else []
        ranks = tuple(Ranks.of(x, np.ones((len(x), 1), np.int64), self.max_values) for x in kept)
        return Known((~known).sum(axis=0), Totals.of(seen, squares=False), ranks, rows.names)

    def _statistics(self, known: Known) -> Any:
        if self.strategy == "median":
            return np.array([ranks.median() for ranks in known.ranks])
        if self.strategy == "most_frequent":
            return np.array([ranks.most_frequent() for ranks in known.ranks])
        return known.totals.mean()
