"""SIGKILL the driver at ten moments, resume from the run directory, compare with an undisturbed run; then kill a worker.

python -m benchmarks.kill_resume [--engine dask|serial] [--tasks 40]

Each row: commits seen when the driver was killed, sub-tasks committed before the resume, attempts of the resume, runs of
committed sub-tasks after it (must be 0), and whether every output file has the bytes of the undisturbed run.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

import partitioner as pt
from benchmarks.versions import versions

ROWS = 4000


def program(batch: pd.DataFrame, marks: str, die: bool = False) -> pd.DataFrame:
    """Note that the sub-task ran, spend about 0.1 s, and double; once, if asked, kill the process in mid-task."""
    key = pt.task_context().task_key
    Path(marks, f"{key}-{os.getpid()}-{time.monotonic_ns()}").touch()
    flag = Path(marks).parent / "killed"
    if die and (batch["x"] == ROWS // 2).any() and not flag.exists():
        flag.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    end = time.perf_counter() + 0.1
    while time.perf_counter() < end:
        sum(range(1000))
    return pd.DataFrame({"y": batch["x"] * 2})


def settings(home: Path, engine: str, tasks: int, **arguments: Any) -> dict[str, Any]:
    return {
        "dataset": str(home.parent / "input.parquet"),
        "program": "benchmarks.kill_resume:program",
        "arguments": {"marks": str(home / "marks"), **arguments},
        "cost": "rows",
        "max_tasks": tasks,
        "min_tasks_per_slot": tasks,
        "engine": {"engine": "dask", "workers": 2} if engine == "dask" else engine,
        "output": str(home / "out"),
        "checkpoint": str(home / "runs"),
        "progress": False,
        "report": False,
    }


def start(home: Path, engine: str, tasks: int) -> subprocess.Popen[bytes]:
    (home / "marks").mkdir(parents=True)
    code = "import json, sys, partitioner as pt; pt.run(**json.loads(sys.argv[1]))"
    return subprocess.Popen([sys.executable, "-c", code, json.dumps(settings(home, engine, tasks))])


def ran(home: Path) -> Counter[str]:
    return Counter(p.name.split("-")[0] for p in (home / "marks").iterdir())


def committed(home: Path) -> set[str]:
    return {p.stem.removeprefix("part-") for p in (home / "out").glob("part-*.parquet")}


def output(home: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in (home / "out").iterdir() if p.name != "_run.json"}


def kill_at(home: Path, engine: str, tasks: int, commits: int) -> None:
    """Kill once that many sub-tasks are committed (0: as soon as the run directory is claimed)."""
    driver = start(home, engine, tasks)
    while len(committed(home)) < commits or not list((home / "runs").glob("*/run.json")):
        assert driver.poll() is None, "the driver ended before it could be killed"
        time.sleep(0.002)
    driver.kill()
    driver.wait()


def resume(home: Path, engine: str) -> dict[str, Any]:
    (run,) = (home / "runs").iterdir()
    command = [sys.executable, "-m", "partitioner.cli", "resume", str(run), "--engine", engine, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", default="dask")
    parser.add_argument("--tasks", type=int, default=40)
    options = parser.parse_args()
    print(versions("dask", "distributed", "pyarrow"))
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        pq.write_table(pa.table({"x": range(ROWS)}), base / "input.parquet", row_group_size=50)
        start(base / "whole", options.engine, options.tasks).wait()
        expected = output(base / "whole")
        print(f"undisturbed: {len(committed(base / 'whole'))} sub-tasks, {sum(ran(base / 'whole').values())} runs")
        print(f"{'killed at':>10}{'committed':>11}{'attempted':>11}{'run again':>11}  output")
        for i in range(10):
            home = base / f"killed-{i}"
            kill_at(home, options.engine, options.tasks, i * options.tasks // 10)
            before, runs = committed(home), ran(home)
            facts = resume(home, options.engine)
            again = sum(ran(home)[key] - runs[key] for key in before)
            same = "identical" if output(home) == expected else "DIFFERENT"
            print(
                f"{i * options.tasks // 10:>10}{len(before):>11}{facts['attempted']:>11}{again:>11}  {same}", flush=True
            )
        home = base / "worker"
        (home / "marks").mkdir(parents=True)
        run = pt.run(**settings(home, "dask", options.tasks, die=True))
        same = "identical" if output(home) == expected else "DIFFERENT"
        killed = (home / "killed").exists()
        print(
            f"worker killed in mid-task: {killed}; {run.attempted} attempts for {options.tasks} sub-tasks; output {same}"
        )


if __name__ == "__main__":
    main()
