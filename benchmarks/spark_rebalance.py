"""Largest / mean partition cost before and after ``pt.rebalance``, on Spark and Dask.

python -m benchmarks.spark_rebalance [--rows 200000] [--partitions 12] [--engine spark dask]

Frames: one key holds half of the rows (kept together by ``by``; the key alone is then the bound, shown), the same balanced
row by row, and rows whose cost varies 1,000-fold, sorted by it as time-ordered data often is.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

import partitioner as pt
from benchmarks.spark_cluster import cluster
from benchmarks.versions import versions


def rows_of(n: int) -> pd.DataFrame:
    """Half of the rows have key 0, the others one of 5,000; costs from 1 to 1,000."""
    rng = np.random.default_rng(7)
    key = np.where(rng.random(n) < 0.5, 0, rng.integers(1, 5001, n))
    return pd.DataFrame({"id": np.arange(n), "key": key, "cost": np.geomspace(1, 1000, n), "one": np.ones(n)})


def spark_loads(frame: Any, column: str) -> list[float]:
    """Summed cost of every partition."""

    def total(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        yield pa.record_batch({"load": [float(sum(b.column(column).to_numpy().sum() for b in batches))]})

    return frame.mapInArrow(total, "load double").toArrow()["load"].to_pylist()


def dask_loads(frame: Any, column: str) -> list[float]:
    """Summed cost of every partition."""
    return frame.map_partitions(lambda p: pd.Series([float(p[column].sum())]), meta=(None, float)).compute().tolist()


def table(frame: Any, loads: Any, partitions: int, data: pd.DataFrame, engine: str) -> None:
    """Print one line per case."""
    cases = (
        ("half of the rows in one key, by key", "one", {"by": "key"}, float((data["key"] == 0).mean() * partitions)),
        ("half of the rows in one key, by row", "one", {}, 1.0),
        ("cost per row varies 1,000-fold", "cost", {"cost": "cost"}, 1.0),
        ("the same, keys kept together", "cost", {"cost": "cost", "by": "key"}, None),
    )
    for what, column, options, bound in cases:
        if bound is None:
            bound = max(1.0, data.groupby("key")["cost"].sum().max() / (data["cost"].sum() / partitions))
        start = frame if "by" not in options else grouped(frame, engine, partitions)
        before = loads(start, column)
        after = loads(pt.rebalance(frame, partitions=partitions, **options), column)
        ratio = [max(x) * len(x) / sum(x) for x in (before, after)]
        others = sorted(after)[:-1]
        rest = max(others) / (sum(others) / len(others)) if bound > 1.0 else ratio[1]
        print(
            f"{engine:7}{what:38}{len(after):>6}{ratio[0]:>9.3f}{ratio[1]:>9.3f}{bound:>9.3f}{rest:>11.3f}", flush=True
        )


def grouped(frame: Any, engine: str, partitions: int) -> Any:
    """How a user keeps keys together without ``rebalance``: by hash."""
    if engine == "spark":
        return frame.repartition(partitions, "key")
    return frame.shuffle("key", npartitions=partitions)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--partitions", type=int, default=12)
    parser.add_argument("--engine", nargs="+", default=["spark", "dask"])
    options = parser.parse_args()
    data = rows_of(options.rows)
    print(versions("pyspark", "dask", "pandas", "pyarrow"))
    print(
        f"{options.rows} rows, {options.partitions} partitions; largest / mean partition cost; bound: of the heaviest key"
    )
    print(f"{'':45}{'parts':>6}{'before':>9}{'after':>9}{'bound':>9}{'the others':>11}")
    if "dask" in options.engine:
        import dask.dataframe as dd

        table(dd.from_pandas(data, npartitions=options.partitions), dask_loads, options.partitions, data, "dask")
    if "spark" in options.engine:
        with cluster(3, **{"spark.sql.adaptive.enabled": False}) as spark:
            frame = spark.createDataFrame(pa.Table.from_pandas(data, preserve_index=False))
            frame = frame.repartitionByRange(options.partitions, "id").persist()
            table(frame, spark_loads, options.partitions, data, "spark")


if __name__ == "__main__":
    main()
