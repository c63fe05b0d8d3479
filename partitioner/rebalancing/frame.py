"""``partitioner.rebalance``: a DataFrame of the same engine whose partitions cost the same."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import Any

from partitioner.errors import ConfigError, DataError, listed, nearest
from partitioner.rebalancing.cost import RowCost

_ENGINES = {"pyspark": "partitioner.rebalancing.spark", "dask": "partitioner.rebalancing.dask"}


def rebalance(
    frame: Any,
    cost: str | Callable[[Any], Any] = "rows",
    by: str | Sequence[str] | None = None,
    partitions: int | None = None,
) -> Any:
    """A Spark or Dask DataFrame of the same rows, in partitions of equal summed cost.

    Parameters
    ----------
    frame
        A classic Spark DataFrame or a Dask DataFrame.
    cost
        Cost of a row in any unit: ``"rows"``, a column of numbers, a formula over columns such as
        ``"2e-6 * len(text) ** 2"``, or a function from a pandas DataFrame to one number per row.
    by
        Columns whose equal values stay in one partition (null is a value like the others). The largest such key is then a
        lower bound of the largest partition.
    partitions
        How many; by default as many as the frame has.

    The costs are computed now, in one pass over the frame; the rows move when the result is used. Row order is not kept.
    With ``by`` and without, single heavy keys or rows are placed longest first (Graham 1969) and the rest fills up to level.
    Raises DataError for anything that is no such frame, ConfigError for an unknown column or an impossible count, CostError
    for a cost that is negative, NaN or infinite.
    """
    package = type(frame).__module__.partition(".")[0]
    if package not in _ENGINES or type(frame).__name__ != "DataFrame":
        raise DataError(
            f"rebalance takes a Spark or Dask DataFrame, not a {type(frame).__module__}.{type(frame).__name__}; "
            "for data in memory nothing has to be balanced: give it to partitioner.run."
        )
    if partitions is not None and partitions < 1:
        raise ConfigError(f"partitions is {partitions}; a frame has at least 1.")
    keys = [by] if isinstance(by, str) else list(by or ())
    columns = [str(c) for c in frame.columns]
    for key in keys:
        if key not in columns:
            raise ConfigError(f"by names the column {key!r}; the frame has {listed(columns)}.{nearest(key, columns)}")
    engine = importlib.import_module(_ENGINES[package])
    return engine.rebalance(frame, RowCost.of(cost, columns), keys, partitions)
