"""Dask workers of unequal speed: makespan with measured speeds beside speed-blind, and beside the lower bound.

    python -m benchmarks.heterogeneous [--workers 4] [--seconds 40]

One worker does every piece of work twice (its environment says so), which is what a machine of half the speed does. Both
runs calibrate on a pilot; one times the pilot's pieces on every worker, the other takes all workers for equal. The bound is
total measured work at reference speed / sum of true speeds.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile

import dask
import distributed
import numpy as np
import pandas as pd
from distributed import Client, Nanny, Scheduler, SpecCluster

import partitioner as pt


def work(rows: pd.DataFrame) -> pd.DataFrame:
    """CPU-bound, in proportion to ``size``, and twice on a slow worker."""
    times = int(os.environ.get("SLOWDOWN", "1"))
    return pd.DataFrame({"sum": [_spin(size, times) for size in rows["size"]]})


def _spin(size: int, times: int) -> int:
    total = 0
    for _ in range(times):
        total = 0
        for i in range(size):
            total += i & 7
    return total


def cluster(workers: int) -> SpecCluster:
    """One worker with ``SLOWDOWN=2``, the others without."""
    spec = {
        i: {
            "cls": Nanny,
            "options": {"nthreads": 1, "memory_limit": "1GB", "env": {"SLOWDOWN": "2" if i == 0 else "1"}},
        }
        for i in range(workers)
    }
    scheduler = {"cls": Scheduler, "options": {"dashboard": False, "dashboard_address": ":0"}}
    dask.config.set({"logging": {"distributed": "error"}})
    return SpecCluster(workers=spec, scheduler=scheduler, silence_logs=50)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--mean", type=int, default=60_000, help="mean loop length of a row")
    given = parser.parse_args()
    sizes = np.random.default_rng(3).lognormal(0.0, 1.0, given.rows)
    rows = pd.DataFrame({"size": (sizes / sizes.mean() * given.mean).astype(np.int64)})
    print(f"Python {sys.version.split()[0]}, dask {dask.__version__}, distributed {distributed.__version__}")
    print(f"{'speeds':14}{'makespan s':>12}{'bound s':>10}{'over bound':>12}{'work s':>9}   speeds in the plan")
    with tempfile.TemporaryDirectory() as home, cluster(given.workers) as dask_cluster, Client(dask_cluster) as client:
        for measure in (True, False, True, False):
            run = pt.run(
                rows,
                work,
                engine=client,
                cost={"model": "calibrated", "features": ["size"]},
                measure_speeds=measure,
                min_tasks_per_slot=16,
                checkpoint=home,
                report=False,
                progress=False,
            )
            print(_line(run, measure, given.workers))


def _line(run: pt.Run, measured: bool, workers: int) -> str:
    """Reference work is what was measured, with the slow worker's halved."""
    slow = "0"
    work = sum(r.seconds / (2 if r.worker_id == slow else 1) for r in run.records)
    makespan = max(r.finished for r in run.records) - min(r.started for r in run.records)
    bound = work / (workers - 0.5)
    speeds = dict(zip(run.plan.workers.worker_id, run.plan.workers.speed.tolist(), strict=True))
    name = "measured" if measured else "blind"
    return f"{name:14}{makespan:12.2f}{bound:10.2f}{makespan / bound - 1:12.1%}{work:9.1f}   {speeds}"


if __name__ == "__main__":
    main()
