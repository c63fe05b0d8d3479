"""What it costs that output is on the medium (setting ``fsync``): many small sub-tasks with each of its values, in turns.

python -m benchmarks.durable_commits [--tasks 400] [--rounds 3] [--folder /some/disk]

Prints the seconds of the middle round of each, and their ratio to ``never``. The folder should be on the disk in question: a
memory file system syncs for nothing.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import pandas as pd
import pyarrow as pa

import partitioner as pt
from benchmarks.versions import versions


def program(batch: pd.DataFrame) -> pd.DataFrame:
    """The rows as they are."""
    return batch


def seconds(home: Path, tasks: int, fsync: str) -> float:
    """One run of empty sub-tasks."""
    table = pa.table({"x": range(tasks)})
    before = time.perf_counter()
    pt.run(
        table,
        program,
        cost="rows",
        max_tasks=tasks,
        min_tasks_per_slot=tasks,
        engine="serial",
        checkpoint=str(home),
        fsync=fsync,
        progress=False,
        report=False,
    )
    return time.perf_counter() - before


def main() -> None:
    """Print both figures and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", default=None)
    options = parser.parse_args()
    print(versions("pyarrow", "obstore"))
    found: dict[str, list[float]] = {"each": [], "end": [], "never": []}
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        seconds(Path(folder) / "warm", 10, "never")
        for i in range(options.rounds):
            for fsync, measured in found.items():
                measured.append(seconds(Path(folder) / f"{i}-{fsync}", options.tasks, fsync))
    middle = {fsync: statistics.median(measured) for fsync, measured in found.items()}
    for fsync, figure in middle.items():
        print(f"{options.tasks} sub-tasks, fsync={fsync!r}: {figure:.2f} s, {figure / middle['never']:.2f} times")


if __name__ == "__main__":
    main()
