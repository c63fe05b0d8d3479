"""Overhead per sub-task on Spark: empty sub-tasks beside a plain stage of as many Python tasks, same session.

python -m benchmarks.spark_overhead [--tasks 150] [--executors 3] [--rounds 2]

Rounds alternate between the two, and the best of each counts, for other work on the machine only ever adds time.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from typing import Any

import pyarrow as pa

from benchmarks.coiled_sleeps import gaps
from benchmarks.spark_cluster import cluster, warm_up
from benchmarks.stage import Stage, a_row_each
from benchmarks.versions import versions


def plain(spark: Any, tasks: int) -> float:
    """Seconds of a stage of no-op Python tasks."""
    begin = time.perf_counter()
    assert spark.sparkContext.parallelize(range(tasks), tasks).map(lambda i: i).count() == tasks
    return time.perf_counter() - begin


def ours(spark: Any, tasks: int, checkpoint: str) -> tuple[float, float, float]:
    """Seconds of the execute stage and of the whole run, and the median gap between two sub-tasks of a slot."""
    begin = time.perf_counter()
    with Stage() as stage:
        run = a_row_each(pa.table({"x": range(tasks)}), spark, checkpoint)
    return stage.seconds, time.perf_counter() - begin, statistics.median(gaps(run.records, 1))


def main() -> None:
    """Run both on one cluster and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=150)
    parser.add_argument("--executors", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as checkpoint, cluster(options.executors) as spark:
        warm_up(spark, checkpoint)
        plain(spark, 30)
        rounds = [(plain(spark, options.tasks), *ours(spark, options.tasks, checkpoint)) for _ in range(options.rounds)]
    stage, execute, whole, gap = (min(column) for column in zip(*rounds, strict=True))
    print(versions("pyspark", "pyarrow"))
    print(
        f"{options.tasks} tasks, {options.executors} executors of one core, best of {options.rounds} rounds in one session"
    )
    print(f"{'':44}{'seconds':>9}{'ms per task':>13}{'ratio':>8}")
    for what, seconds in (
        ("plain stage of no-op Python tasks", stage),
        ("execute stage (attempts, commits, ledger)", execute),
        ("whole run (plan, preflight, manifest too)", whole),
    ):
        print(f"{what:44}{seconds:9.2f}{1000 * seconds / options.tasks:13.2f}{seconds / stage:8.2f}")
    print(f"gap between two sub-tasks of a slot, median: {1000 * gap:.1f} ms")


if __name__ == "__main__":
    main()
