"""Coiled's work-stealing workload: 500 skewed sleeps on 40 slots, and a straggling worker, beside plain Dask and Spark.

python -m benchmarks.coiled_sleeps [--engine dask|spark|straggler] [--scale 1.0] [--plain] [--repeat 1]

dask: 2 workers of 20 threads; spark: local-cluster[2,8,1024]; both sleep ``minimum(lognormal(1, 1.3, 500), 60)`` of seed
42 times ``--scale``, declared to us. Wall seconds from call to result over the bound, and the gap between two
consecutive sub-tasks of a slot. straggler: 10 Dask workers of one thread, 400 sleeps of 1 s (times ``--scale``), and one
worker whose event loop is blocked for 1 s in every 1.5 s. Sleeps leave the cores free, so slots may outnumber them.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

import partitioner as pt
from benchmarks.versions import versions
from partitioner.model import CommitRecord
from partitioner.report.facts import read


def nap(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Sleep for what each row says."""
    for seconds in batch.column(0).to_pylist():
        time.sleep(seconds)
    return batch


def sleeps(scale: float) -> np.ndarray:
    """The seconds of Coiled's workload."""
    return np.minimum(np.random.RandomState(42).lognormal(1, 1.3, 500), 60) * scale


def bound(seconds: np.ndarray, slots: int) -> float:
    """Wall seconds that no schedule beats."""
    return max(float(seconds.sum()) / slots, float(seconds.max()))


def ours(engine: Any, seconds: np.ndarray, slots: int, one_row_each: bool) -> tuple[float, Any]:
    """Wall seconds of ``pt.run`` from call to result, the run, and where its seconds went."""
    each = {"min_tasks_per_slot": -(-len(seconds) // slots)} if one_row_each else {}
    with tempfile.TemporaryDirectory() as checkpoint:
        begin, began = time.perf_counter(), time.time()
        run = pt.run(
            pa.table({"s": seconds}),
            nap,
            batch_format="arrow",
            cost={"model": "declared", "seconds": "s"},
            engine=engine,
            checkpoint=checkpoint,
            progress=False,
            report=False,
            **each,
        )
        wall = time.perf_counter() - begin
        assert sum(record.rows_out for record in run.records) == len(seconds)
        phases = [f"{name} {took:.2f}" for name, took in read(run.directory).phases.items() if took >= 0.05]
        first, last = min(r.started for r in run.records) - began, max(r.finished for r in run.records) - began
        ends = f"first sub-task after {first:.2f} s, the last ended {wall - last:.2f} s before the result"
        return wall, (run, f"{ends}; {', '.join(phases)}")


def gaps(records: Sequence[CommitRecord], per_worker: int) -> list[float]:
    """Seconds between the end of a sub-task and the start of the next in the same slot (the one that was free longest)."""
    found: list[float] = []
    for worker in {r.worker_id for r in records}:
        free: list[float] = []
        for start, finish in sorted((r.started, r.finished) for r in records if r.worker_id == worker):
            ended = [at for at in free if at <= start]
            if ended and len(free) >= per_worker:
                free.remove(max(ended))
                found.append(start - max(ended))
            free.append(finish)
    return found


def told(name: str, wall: float, least: float, found: Any = None, per_worker: int = 1) -> None:
    """One line of the table; for a run of ours also where the time went."""
    line = f"{name:34}{wall:9.2f}{wall / least:9.3f}"
    if found is not None:
        run, phases = found
        first, last = min(r.started for r in run.records), max(r.finished for r in run.records)
        between = gaps(run.records, per_worker)
        line += f"  planned {run.plan.makespan:.2f}, ran {last - first:.2f}, {len(run.records)} sub-tasks"
        line += f", gap {1000 * statistics.median(between):.1f} ms" if between else ""
        line += f"\n{'':4}{phases}"
    print(line, flush=True)


def on_dask(options: argparse.Namespace) -> None:
    """Ours and ``client.map`` on 2 workers of 20 threads."""
    from distributed import Client, LocalCluster

    seconds = sleeps(options.scale)
    least = bound(seconds, 40)
    print(f"2 Dask workers of 20 threads, bound {least:.2f} s")
    with LocalCluster(n_workers=2, threads_per_worker=20, dashboard_address=":0") as cluster, Client(cluster) as client:
        client.gather(client.map(abs, range(100), pure=False))
        if options.plain:
            begin = time.perf_counter()
            client.gather(client.map(time.sleep, seconds.tolist(), pure=False))
            told("plain Dask", time.perf_counter() - begin, least)
        for _ in range(options.repeat):
            told("ours, one row each", *_with(ours(client, seconds, 40, True), least), 20)
            told("ours, default split", *_with(ours(client, seconds, 40, False), least), 20)


def _with(result: tuple[float, Any], least: float) -> tuple[float, float, Any]:
    return result[0], least, result[1]


def on_spark(options: argparse.Namespace) -> None:
    """Ours and ``parallelize`` on local-cluster[2,8,1024], sleeps halved."""
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    from pyspark.sql import SparkSession

    seconds = sleeps(options.scale / 2)
    least = bound(seconds, 16)
    print(f"Spark local-cluster[2,8,1024], bound {least:.2f} s")
    with tempfile.TemporaryDirectory() as work:
        os.environ["SPARK_WORKER_DIR"] = work
        builder = SparkSession.builder.master("local-cluster[2,8,1024]").config("spark.ui.enabled", "false")
        builder = builder.config("spark.ui.showConsoleProgress", "false")
        builder = builder.config("spark.executorEnv.PYTHONPATH", os.getcwd())
        if not options.no_daemon:
            builder = builder.config("spark.python.daemon.module", "partitioner.engines.spark_daemon")
        session = builder.getOrCreate()
        context: Any = session.sparkContext
        context.setLogLevel("ERROR")
        context.parallelize(range(16), 16).map(lambda _: time.sleep(0.5)).collect()
        if options.plain:
            begin = time.perf_counter()
            context.parallelize(seconds.tolist(), len(seconds)).map(time.sleep).collect()
            told("plain Spark", time.perf_counter() - begin, least)
        for _ in range(options.repeat):
            told("ours, one row each", *_with(ours(session, seconds, 16, True), least), 8)
            told("ours, default split", *_with(ours(session, seconds, 16, False), least), 8)
        session.stop()


async def _block(busy: float, every: float) -> None:
    while True:
        time.sleep(busy)
        await asyncio.sleep(every - busy)


def _straggle(dask_worker: Any) -> None:
    dask_worker.loop.add_callback(_block, 1.0, 1.5)


def with_straggler(options: argparse.Namespace) -> None:
    """Ours and ``client.map`` where one of ten workers can hardly talk."""
    from distributed import Client, LocalCluster

    seconds = np.full(400, options.scale)
    least = bound(seconds, 10)
    print(f"10 Dask workers of one thread, one straggles, bound {least:.2f} s")
    plans: list[tuple[str, Callable[[Any], tuple[float, Any]]]] = []
    if options.plain:
        plans.append(("plain Dask", lambda client: (_plain(client, seconds), None)))
    plans += [
        ("ours, default split", lambda client: ours(client, seconds, 10, False)),
        ("ours, one row each", lambda client: ours(client, seconds, 10, True)),
    ] * options.repeat
    for name, how in plans:
        with (
            LocalCluster(n_workers=10, threads_per_worker=1, dashboard_address=":0") as cluster,
            Client(cluster) as client,
        ):
            client.gather(client.map(abs, range(100), pure=False))
            client.run(_straggle, workers=[next(iter(client.scheduler_info(n_workers=-1)["workers"]))])
            wall, run = how(client)
            told(name, wall, least, run, 1)


def _plain(client: Any, seconds: np.ndarray) -> float:
    begin = time.perf_counter()
    client.gather(client.map(time.sleep, seconds.tolist(), pure=False))
    return time.perf_counter() - begin


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", choices=["dask", "spark", "straggler"], default="dask")
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--plain", action="store_true")
    parser.add_argument(
        "--no-daemon", action="store_true", help="Spark: a session without the setting that shares imports."
    )
    parser.add_argument("--repeat", type=int, default=1)
    options = parser.parse_args()
    print(versions("dask", "distributed", "pyspark", "pyarrow"))
    print(f"{'':34}{'seconds':>9}{'/ bound':>9}")
    {"dask": on_dask, "spark": on_spark, "straggler": with_straggler}[options.engine](options)


if __name__ == "__main__":
    main()
