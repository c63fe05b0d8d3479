"""Plain Spark: ``python -m benchmarks.peer_programs.plain_spark WORKLOAD FOLDER WORKERS THREADS``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pandas as pd
from pyspark.sql import SparkSession

from benchmarks.peer_programs.work import FRAME, PARTS, nap, told


def main() -> None:
    """As a user writes it, and tuned: a partition for every sleep, or more partitions."""
    workload, folder, slots = sys.argv[1], sys.argv[2], int(sys.argv[3]) * int(sys.argv[4])
    builder: Any = SparkSession.builder.master(f"local[{slots}]").config("spark.ui.enabled", "false")
    session = builder.config("spark.executorEnv.PYTHONPATH", sys.path[0]).getOrCreate()
    context = session.sparkContext
    context.setLogLevel("ERROR")
    context.parallelize(range(slots), slots).map(lambda _: nap(0.2)).collect()  # every Python worker is up
    if workload == "sleeps":
        seconds = pd.read_parquet(folder)["s"].tolist()
        told("as written", lambda: context.parallelize(seconds).map(nap).collect(), "pyspark")
        n = len(seconds)
        told(f"tuned: {n} partitions", lambda: context.parallelize(seconds, n).map(nap).collect(), "pyspark")
    else:
        work = FRAME[workload]

        def each(frames: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
            return (work(frame) for frame in frames)

        frame = session.read.parquet(folder)
        told("as written", lambda: frame.mapInPandas(each, "out double").toPandas()["out"], "pyspark")
        finer = frame.repartition(PARTS)
        told(
            f"tuned: repartition({PARTS})",
            lambda: finer.mapInPandas(each, "out double").toPandas()["out"],
            "pyspark",
        )
    session.stop()


if __name__ == "__main__":
    main()
