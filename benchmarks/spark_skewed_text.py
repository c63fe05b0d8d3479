"""Skewed real text on Spark: cost-sized sub-tasks beside plain Spark, an expert's ``repartition(n)``, and AQE.

python -m benchmarks.spark_skewed_text [FILE] [--executors 3] [--passes 3] [--parts 24] [--rounds 2]

Efficiency is busy time / (slots x makespan). Busy time is what tasks spent between their first input and their last output;
the makespan is that of the job (Spark: from the action to its result; ours: the driver loop, from the first hand-over to the
last commit).
Balance is CPU seconds of all executors / (slots x those of the busiest), which other work on the machine does not touch.
The placement figure is the share of attempts that ran on the executor the plan names.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pandas as pd
import pyarrow as pa

import partitioner as pt
from benchmarks.skewed_text import COST, DATA, META, signatures
from benchmarks.spark_cluster import cluster, warm_up
from benchmarks.stage import Stage
from benchmarks.versions import versions
from partitioner.engines.spark_task import executor_id

SCHEMA = "path string, a long, b long, symbols long, busy double, cpu double, executor string"
Row = tuple[str, int, float, float, float, float, float, pd.DataFrame]


def clocked(passes: int, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """``signatures`` of a partition, with its busy seconds in its last row."""
    begin, cpu = time.perf_counter(), time.process_time()
    tables = [pa.Table.from_pandas(signatures(b.to_pandas(), passes), preserve_index=False) for b in batches]
    if tables:
        table = pa.concat_tables(tables)
        rest = [0.0] * (table.num_rows - 1)
        table = table.append_column("busy", pa.array([*rest, time.perf_counter() - begin]))
        table = table.append_column("cpu", pa.array([*rest, time.process_time() - cpu]))
        table = table.append_column("executor", pa.array([executor_id()] * table.num_rows, pa.string()))
        yield from table.combine_chunks().to_batches()


def plain(name: str, frame: Callable[[], Any], passes: int, slots: int) -> Row:
    """One way a user writes it."""
    begin = time.perf_counter()
    result = frame().select("path", "text").mapInArrow(partial(clocked, passes), SCHEMA).toArrow().to_pandas()
    makespan = time.perf_counter() - begin
    parts = int((result["busy"] > 0).sum())
    busy = float(result.pop("busy").sum())
    even = balance(dict(result.groupby("executor")["cpu"].sum()), slots)
    return name, parts, busy, makespan, makespan, even, float("nan"), in_order(result)


def ours(spark: Any, path: str, passes: int, parts: int, checkpoint: str) -> Row:
    """The same function in sub-tasks."""
    begin = time.perf_counter()
    with Stage() as stage:
        run = pt.run(
            path,
            signatures,
            arguments={"passes": passes},
            cost=COST,
            max_tasks=parts,
            min_tasks_per_slot=parts,
            engine=spark,
            checkpoint=checkpoint,
            progress=False,
            report=False,
        )
    whole = time.perf_counter() - begin
    asked = dict(zip(run.plan.tasks.task_id.to_pylist(), run.plan.worker.tolist(), strict=True))
    obeyed = [run.plan.workers.worker_id[asked[r.task_key]] == r.worker_id for r in run.records]
    busy = sum(r.finished - r.started for r in run.records)
    name = f"ours, cost {COST}"
    share = sum(obeyed) / len(obeyed)
    cpu: dict[str, float] = {}
    for record in run.records:
        cpu[record.worker_id] = cpu.get(record.worker_id, 0.0) + record.cpu_seconds
    even = balance(cpu, len(run.plan.workers))
    return name, len(run.records), busy, stage.seconds, whole, even, share, in_order(run.result.to_pandas())


def balance(cpu: dict[str, float], slots: int) -> float:
    """CPU seconds of all executors / (slots x those of the busiest): what is left when nobody else uses the machine."""
    return sum(cpu.values()) / (slots * max(cpu.values()))


def in_order(result: pd.DataFrame) -> pd.DataFrame:
    """Rows in one order whatever the engine made of it."""
    return result[list(META)].astype({"path": str}).sort_values("path", ignore_index=True)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", nargs="?", default=str(DATA))
    parser.add_argument("--executors", type=int, default=3)
    parser.add_argument("--passes", type=int, default=3)
    parser.add_argument("--parts", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    advisory = os.path.getsize(options.file) // options.parts
    with (
        tempfile.TemporaryDirectory() as checkpoint,
        cluster(options.executors, **{"spark.sql.adaptive.advisoryPartitionSizeInBytes": advisory}) as spark,
    ):
        warm_up(spark, checkpoint)

        def read() -> Any:
            return spark.read.parquet(options.file)

        ways: list[Callable[[], Row]] = [
            lambda: plain("plain Spark, default partitions", read, options.passes, options.executors),
            lambda: plain(
                f"expert's repartition({options.parts})",
                lambda: read().repartition(options.parts),
                options.passes,
                options.executors,
            ),
            lambda: plain(
                "AQE rebalance by bytes", lambda: read().hint("rebalance"), options.passes, options.executors
            ),
            lambda: plain(
                f"pt.rebalance(cost, {options.parts})",
                lambda: pt.rebalance(read(), cost="len(text)", partitions=options.parts),
                options.passes,
                options.executors,
            ),
            lambda: ours(spark, options.file, options.passes, options.parts, checkpoint),
        ]
        rounds = [[way() for way in ways] for _ in range(options.rounds)]
    print(versions("pyspark", "pyarrow", "pandas"))
    print(f"{options.executors} executors of one core; {options.rounds} rounds in one session, the best of each shown")
    print(
        f"{'':34}{'parts':>6}{'busy s':>9}{'makespan s':>12}{'whole s':>9}{'efficiency':>12}{'balance':>9}{'placed':>8}"
    )
    expected = rounds[0][0][-1]
    for tries in zip(*rounds, strict=True):
        assert all(row[-1].equals(expected) for row in tries), f"{tries[0][0]}: the results differ"
        name, parts, busy, makespan, whole, even, placed, _ = min(tries, key=lambda row: row[3])
        share = busy / (options.executors * makespan)
        print(f"{name:34}{parts:>6}{busy:9.2f}{makespan:12.2f}{whole:9.2f}{share:12.3f}{even:9.3f}{placed:8.2f}")


if __name__ == "__main__":
    main()
