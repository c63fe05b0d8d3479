"""Makespan over the measured lower bound with calibrated costs, beside rows and bytes, where cost follows neither.

    python -m benchmarks.cost_choice [--workers 4]

Every row has the same bytes and a ``size``; work grows with its square, and sizes ascend through the file, as in a log that
grew busier. The bound is measured: the larger of total work / workers and the longest sub-task's longest row.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from typing import Any

import dask
import numpy as np
import pandas as pd

import partitioner as pt

COSTS: dict[str, Any] = {"calibrate": {"model": "calibrated", "features": ["size"]}, "rows": "rows", "bytes": "bytes"}


def work(rows: pd.DataFrame) -> pd.DataFrame:
    """A loop of ``size`` squared steps per row."""
    return pd.DataFrame({"sum": [sum(i & 7 for i in range(size * size)) for size in rows["size"]]})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--largest", type=int, default=220)
    given = parser.parse_args()
    sizes = np.sort(np.random.default_rng(5).integers(1, given.largest, given.rows))
    rows = pd.DataFrame({"size": sizes})
    print(f"Python {sys.version.split()[0]}, dask {dask.__version__}, {given.rows} rows, {given.workers} workers")
    print(f"{'cost':12}{'makespan s':>12}{'bound s':>10}{'over bound':>12}{'largest / mean sub-task':>26}{'pilot':>10}")
    with tempfile.TemporaryDirectory() as home:
        engine = {"engine": "dask", "workers": given.workers}
        for name, cost in COSTS.items():
            run = pt.run(rows, work, engine=engine, cost=cost, checkpoint=home, report=False, progress=False)
            print(_line(name, run, given.workers))


def _line(name: str, run: pt.Run, workers: int) -> str:
    seconds = np.array([r.seconds for r in run.records])
    makespan = max(r.finished for r in run.records) - min(r.started for r in run.records)
    bound = seconds.sum() / workers
    pilot = run.plan.reasons.get("pilot", {}).get("share_of_seconds")
    spent = "-" if pilot is None else f"{pilot:.2%}"
    uneven = seconds.max() / seconds.mean()
    return f"{name:12}{makespan:12.2f}{bound:10.2f}{makespan / bound - 1:12.1%}{uneven:26.2f}{spent:>10}"


if __name__ == "__main__":
    main()
