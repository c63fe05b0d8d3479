"""One of eight slots is ten times slower than the others, which nobody said: ``python -m benchmarks.straggler [--short]``.

The program sleeps for every row, in batches. Printed is the makespan beside the bound that knows which slot is slow, with
the rest of running sub-tasks handed over and without; what attempts took that another overtook; and, with ``--spark``, plain
Spark with its own speculation over as many equal partitions.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

import partitioner as pt
from partitioner.engines.dask import DaskEngine

SLOTS, SLOWER = 8, 10.0


def work(batch: pd.DataFrame, seconds: float) -> pd.DataFrame:
    """``seconds`` of sleep for each row, ten times as long on the worker named 0."""
    slow = pt.task_context().worker_id == "0"
    time.sleep(seconds * len(batch) * (SLOWER if slow else 1.0))
    return pd.DataFrame({"y": batch["x"] * 2})


def bound(rows: int, seconds: float) -> float:
    """Seconds that no schedule can beat which knows the slow slot: all rows over the sum of the slots' speeds."""
    return rows * seconds / (SLOTS - 1 + 1 / SLOWER)


def run(home: Path, engine: Any, rows: int, tasks: int, seconds: float, hand_over: bool) -> pt.Run:
    """One run by rows: what they take is learned as it goes."""
    return pt.run(
        pa.table({"x": range(rows)}), work, arguments={"seconds": seconds}, engine=engine, batch_size=4,
        cost="rows", max_tasks=tasks,
        min_tasks_per_slot=tasks // SLOTS, hand_over=hand_over, output=str(home / "out"), checkpoint=str(home / "runs"),
        progress=False, report=False,
    )  # fmt: skip


def plain_spark(rows: int, tasks: int, seconds: float) -> float:
    """Seconds of plain Spark with speculation over equal partitions, one of eight executors being slow."""
    from partitioner.engines.spark_executors import StatusStore
    from partitioner.engines.spark_session import Session, wait_for_executors
    from partitioner.engines.spark_task import executor_id

    settings = {"spark.speculation": True, "spark.ui.enabled": False}
    session = Session(None, f"local-cluster[{SLOTS},1,1024]", settings, 0.5, "straggler")
    session.context.setLogLevel("OFF")
    store = StatusStore(session)
    wait_for_executors(session, lambda: len(store.executors()), 240.0)

    def one(part: Any) -> Any:
        slow = executor_id() == "0"
        for _ in part:
            time.sleep(seconds * (SLOWER if slow else 1.0))
        return iter(())

    session.context.parallelize(range(SLOTS * 4), SLOTS * 4).count()  # Python workers are there
    began = time.perf_counter()
    session.context.parallelize(range(rows), tasks).mapPartitions(one).count()
    took = time.perf_counter() - began
    session.close()
    return took


def main() -> None:
    """Print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--spark", action="store_true")
    asked = parser.parse_args()
    rows, tasks, seconds = (6_400, 64, 0.02) if asked.short else (64_000, 128, 0.02)
    least = bound(rows, seconds)
    print(f"{rows} rows, {tasks} sub-tasks, {SLOTS} slots, one {SLOWER:g} x slower; bound {least:.1f} s")
    with tempfile.TemporaryDirectory() as folder:
        for hand_over in (True, False):
            engine = DaskEngine(workers=SLOTS)
            done = run(Path(folder, str(hand_over)), engine, rows, tasks, seconds, hand_over)
            engine.close()
            s = done.report.summary
            taken = sum(rung.what == "handed over" for rung in s.faults.rungs)
            print(
                f"hand_over={hand_over}: {(s.makespan or 0) / least:.2f} x the bound, {taken} handed over, "
                f"{s.faults.speculation_seconds:.1f} s wasted on back-ups"
            )
    if asked.spark:
        print(f"plain Spark with speculation: {plain_spark(rows, tasks, seconds) / least:.2f} x the bound")


if __name__ == "__main__":
    main()
