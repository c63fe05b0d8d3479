"""Driver overhead per sub-task on Dask: 2,000 empty sub-tasks beside ``client.map`` over as many no-op tasks.

python -m benchmarks.overhead [--tasks 2000] [--workers 2] [--profile]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from typing import Any

import pyarrow as pa

from benchmarks.stage import Stage, a_row_each
from benchmarks.versions import versions
from partitioner.engines.dask import DaskEngine


def no_op(i: int) -> int:
    """The least a Dask task can do."""
    return i


def timed(function: Callable[[], Any]) -> tuple[float, float]:
    """Wall and CPU seconds of this process."""
    begin, cpu = time.perf_counter(), time.process_time()
    function()
    return time.perf_counter() - begin, time.process_time() - cpu


def ours(tasks: int, engine: DaskEngine, rows: pa.Table) -> None:
    with tempfile.TemporaryDirectory() as checkpoint:
        a_row_each(rows.slice(0, tasks), engine, checkpoint)


def main() -> None:
    """Run both on one cluster and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=2000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--profile", action="store_true")
    options = parser.parse_args()
    engine = DaskEngine(workers=options.workers)
    client = engine._client
    rows = pa.table({"x": range(options.tasks)})
    try:
        client.gather(client.map(no_op, range(100), pure=False))
        ours(100, engine, rows.slice(0, 100))
        plain = timed(lambda: client.gather(client.map(no_op, range(options.tasks), pure=False)))
        with Stage(options.profile) as measured:
            whole = timed(lambda: ours(options.tasks, engine, rows))
    finally:
        engine.close()
    measured.show()
    print(versions("dask", "distributed", "pyarrow"))
    print(f"{options.tasks} sub-tasks, {options.workers} Dask workers of one thread, one cluster, one run")
    print(f"{'':44}{'seconds':>9}{'ms per task':>13}{'driver CPU ms per task':>24}")
    for what, (seconds, cpu) in (
        ("client.map of no-ops, gathered", plain),
        ("execute stage (attempts, commits, ledger)", (measured.seconds, measured.cpu_seconds)),
        ("whole run (plan, preflight, manifest too)", whole),
    ):
        print(f"{what:44}{seconds:9.2f}{1000 * seconds / options.tasks:13.2f}{1000 * cpu / options.tasks:24.2f}")


if __name__ == "__main__":
    main()
