"""Workers held to 1 GB: a program that needs many times its input, in naive partitions and in planned sub-tasks.

    python -m benchmarks.memory_limit

Each row becomes a matrix of ``width`` columns of float64, all rows of a call at once. Plain Dask runs it over the partitions
its reader makes; this library calibrates bytes on a pilot and cuts sub-tasks to what a worker can hold.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

import dask
import dask.dataframe as dd
import numpy as np
import pandas as pd
from distributed import Client, KilledWorker, LocalCluster

import partitioner as pt

WIDTH = 3_000


def widen(rows: pd.DataFrame) -> pd.DataFrame:
    """Row sums of a wide matrix that is held in memory: ``WIDTH`` x 8 bytes per row."""
    matrix = np.repeat(rows["x"].to_numpy(np.float64)[:, None], WIDTH, axis=1)
    matrix += np.arange(WIDTH)
    return pd.DataFrame({"sum": matrix.sum(axis=1)})


def plain(path: Path, cluster: LocalCluster) -> str:
    """What a user would write; the number of worker deaths the scheduler saw, and how it ended."""
    with Client(cluster) as client:
        try:
            frame = dd.read_parquet(path).map_partitions(widen, meta={"sum": "f8"})
            rows = len(frame.compute())
            return f"finished, {rows} rows; {_deaths(client)} worker deaths"
        except KilledWorker as error:
            return f"KilledWorker ({type(error).__name__}); {_deaths(client)} worker deaths"


def planned(path: Path, cluster: LocalCluster, home: str) -> str:
    """The same program through this library."""
    with Client(cluster) as client:
        before = _deaths(client)
        run = pt.run(str(path), widen, engine=client, cost="calibrate", checkpoint=home, report=False, progress=False)
        peak = max(r.peak_memory_bytes for r in run.records)
        return (
            f"finished, {run.counts['rows_out']} rows in {len(run.records)} sub-tasks; {_deaths(client) - before} worker "
            f"deaths; largest predicted peak {run.plan.tasks.memory_bytes.max() / 1e6:.0f} MB, measured {peak / 1e6:.0f} MB"
        )


def _deaths(client: Client) -> int:
    """Workers that the scheduler removed so far."""

    def removed(dask_scheduler: Any) -> int:
        events = dask_scheduler.get_events("all")
        return sum(1 for _, message in events if isinstance(message, dict) and message.get("action") == "remove-worker")

    return int(client.run_on_scheduler(removed))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=200_000)
    given = parser.parse_args()
    print(
        f"Python {sys.version.split()[0]}, dask {dask.__version__}; workers of 1 GB, {given.rows} rows in 2 row groups"
    )
    dask.config.set({"logging": {"distributed": "critical"}})
    with tempfile.TemporaryDirectory() as home:
        path = Path(home, "input.parquet")
        pd.DataFrame({"x": np.arange(given.rows)}).to_parquet(path, row_group_size=given.rows // 2)
        for name, call in (("plain Dask", lambda c: plain(path, c)), ("planned", lambda c: planned(path, c, home))):
            with LocalCluster(n_workers=2, threads_per_worker=1, memory_limit="1GB", dashboard_address=":0") as cluster:
                print(f"{name:12}{call(cluster)}", flush=True)


if __name__ == "__main__":
    main()
