"""Resume of a run that is finished but for one sub-task: seconds to the first sub-task, peak memory of the driver.

python -m benchmarks.resume_many [--tasks 20000] [--small]

Records and outputs are written directly: every output is a hard link to one file, so that a million of them fit a disk, and
records are in segments as the driver leaves them (``--small``: one file each, as workers leave them).
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

import partitioner as pt
from benchmarks.versions import versions
from partitioner.storage import Directory
from partitioner.store.commit_log import SEGMENT
from partitioner.store.run_directory import RunDirectory


def program(batch: pd.DataFrame) -> pd.DataFrame:
    """The rows as they are."""
    return batch


def settings(home: Path, tasks: int) -> dict[str, Any]:
    return {
        "dataset": str(home / "input.parquet"),
        "program": "benchmarks.resume_many:program",
        "cost": "rows",
        "max_tasks": tasks,
        "min_tasks_per_slot": tasks,
        "engine": "serial",
        "output": str(home / "out"),
        "checkpoint": str(home / "runs"),
        "progress": False,
        "report": False,
    }


class Stop(BaseException):
    """Ends the first driver once the run is on record."""


def begun(home: Path, tasks: int) -> RunDirectory:
    """A run of which the plan is made and nothing is done."""
    from partitioner import running

    original = running._execute

    def stop(*_: Any, **__: Any) -> Any:
        raise Stop

    running._execute = stop
    try:
        pt.run(**settings(home, tasks))
    except Stop:
        pass
    finally:
        running._execute = original
    (run,) = (home / "runs").iterdir()
    return RunDirectory(str(run))


def committed(run: RunDirectory, home: Path, tasks: int, small: bool) -> None:
    """Outputs and records of all sub-tasks but the last."""
    from partitioner.attempt.run import run_attempt
    from partitioner.model import Attempt

    keys = run.read_table("tasks")["task_id"].to_pylist()
    event = run_attempt(Attempt(keys[0], 0, 0, "w", run.url, key=run.key))
    assert event.record is not None, event.error
    first = home / "out" / event.record.path
    places = Directory(home / "out")
    for start in range(1, len(keys) - 1, SEGMENT):
        if start % (5 * SEGMENT) == 1 and start > 1:  # a file of ext4 has 65,000 names at most
            first = shutil.copy(first, home / "out" / f".copy-{start}")
        records = []
        for key in keys[start : min(start + SEGMENT, len(keys) - 1)]:
            path = f"part-{key}.parquet"
            os.link(first, home / "out" / path)
            records.append(replace(event.record, task_key=key, path=path, attempt_id=f"{key}-a0"))
        entry = places.entry(records[0].path)  # all of them are one file
        records = [replace(r, tag=entry.tag if entry else "") for r in records]
        for record in records if small else ():
            run.commit(record)
        if not small:
            run.gather(records)


def main() -> None:
    """Print one line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=20_000)
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--resume", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.resume:
        resumed(Path(options.resume).parents[1], options.tasks, options.resume)
        return
    print(versions("pyarrow", "obstore"))
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        table = pa.table({"x": pa.array([0] * options.tasks, pa.int64())})
        pq.write_table(table, home / "input.parquet", row_group_size=max(1, options.tasks // 100))
        run = begun(home, options.tasks)
        committed(run, home, options.tasks, options.small)
        arguments = [sys.executable, "-m", "benchmarks.resume_many", "--tasks", str(options.tasks), "--resume", run.url]
        subprocess.run(arguments, check=True, timeout=3600)


def resumed(home: Path, tasks: int, run: str) -> None:
    """Resume, in a process of its own, and print what it took."""
    before = time.time()
    finished = pt.run(**settings(home, tasks), resume=run)
    whole = time.time() - before
    lines = (json.loads(line) for name in finished.directory.files.names("ledger") for line in _lines(finished, name))
    first = max(line["time"] for line in lines if line["what"] == "submitted") - before
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{tasks} sub-tasks, {finished.attempted} attempted: first after {first:.1f} s, "
        f"all after {whole:.1f} s, peak {peak:.0f} MB; read again: {finished.attempted / tasks:.4%} of the input"
    )


def _lines(finished: pt.Run, name: str) -> list[str]:
    return finished.directory.files.get(name).decode().splitlines()


if __name__ == "__main__":
    main()
