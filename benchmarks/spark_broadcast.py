"""A large model on Spark: loaded from the run directory by every Python worker, beside a Spark broadcast of the same bytes.

python -m benchmarks.spark_broadcast [--megabytes 100] [--executors 3] [--tasks 24]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

import partitioner as pt
from benchmarks.spark_cluster import cluster, warm_up
from benchmarks.versions import versions


class Model:
    """Holds an array; answers with its mean."""

    def __init__(self, weights: np.ndarray) -> None:
        self.weights = weights

    def __call__(self, batch: pa.RecordBatch) -> dict[str, Any]:
        """One number per row."""
        return {"y": np.full(batch.num_rows, self.weights[:100].mean())}


def ours(spark: Any, weights: np.ndarray, checkpoint: str, tasks: int) -> tuple[float, float, int]:
    """Seconds of the whole run, mean seconds to load the job, and how many processes loaded it."""
    begin = time.perf_counter()
    rows = pa.table({"x": range(tasks)})
    run = pt.run(
        rows,
        Model,
        arguments={"weights": weights},
        batch_format="arrow",
        max_tasks=tasks,
        min_tasks_per_slot=tasks,
        engine=spark,
        checkpoint=checkpoint,
        progress=False,
        report=False,
    )
    loads = [r.load_seconds for r in run.records if r.load_seconds > 0]
    return time.perf_counter() - begin, float(np.mean(loads)), len(loads)


def broadcast(spark: Any, weights: np.ndarray, tasks: int) -> tuple[float, float, int]:
    """The same with ``sc.broadcast``: its value is read from disk and unpickled by every Python worker."""
    begin = time.perf_counter()
    held = spark.sparkContext.broadcast(weights)

    def answer(parts: Iterator[int]) -> Iterator[float]:
        start = time.perf_counter()
        mean = held.value[:100].mean()
        seconds = time.perf_counter() - start
        assert mean == 1.0
        list(parts)
        yield seconds

    seconds = spark.sparkContext.parallelize(range(tasks), tasks).mapPartitions(answer).collect()
    first = [s for s in seconds if s > 0.001]
    return time.perf_counter() - begin, float(np.mean(first)), len(first)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=100)
    parser.add_argument("--executors", type=int, default=3)
    parser.add_argument("--tasks", type=int, default=24)
    options = parser.parse_args()
    weights = np.ones(options.megabytes * 125_000)
    with tempfile.TemporaryDirectory() as checkpoint, cluster(options.executors) as spark:
        warm_up(spark, checkpoint)
        lines = [("run directory (ours)", *ours(spark, weights, checkpoint, options.tasks))]
        lines.append(("sc.broadcast", *broadcast(spark, weights, options.tasks)))
    print(versions("pyspark", "numpy"))
    print(f"{options.megabytes} MB of weights, {options.tasks} tasks, {options.executors} executors of one core")
    print(f"{'':24}{'whole s':>9}{'load s':>9}{'loads':>7}")
    for what, whole, load, count in lines:
        print(f"{what:24}{whole:9.2f}{load:9.2f}{count:>7}")


if __name__ == "__main__":
    main()
