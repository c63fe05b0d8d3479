"""A run on a disk that is full in the middle, and its resume once there is room: ``python small_disk.py FOLDER [mount]``.

With ``mount``, by ``unshare --map-root-user --mount``, the disk is a file system of 200 kB that is this process's own.
Without, the kernel refuses files of more than 30 kB. Prints as JSON the error of the run, and what the resume delivered.
"""

from __future__ import annotations

import json
import resource
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

import partitioner as pt
from partitioner.errors import PartitionerError

ROWS, TASKS = 8, 8


def large(batch: pd.DataFrame) -> pd.DataFrame:
    """32 kB of every row, which nothing makes smaller."""
    return pd.DataFrame({"x": batch["x"], "data": [np.random.default_rng(x).bytes(32_000) for x in batch["x"]]})


def run(home: Path, **options: Any) -> pt.Run:
    settings: dict[str, Any] = {"cost": "rows", "engine": "serial", "max_tasks": TASKS, "min_tasks_per_slot": TASKS}
    places = {"checkpoint": str(home / "runs"), "output": str(home / "out"), "progress": False, "report": False}
    return pt.run(pa.table({"x": range(ROWS)}), large, max_retries=0, **settings, **places, **options)


def mount(home: Path, how: str) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", how, "none", str(home)], check=True)


def main() -> None:
    home = Path(sys.argv[1])
    small = "mount" in sys.argv[2:]
    if small:
        mount(home, "size=200k")
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, limits if small else (30_000, limits[1]))
    said = ""
    try:
        run(home)
    except PartitionerError as error:
        said = str(error)
    before = len(list((home / "out").glob("part-*")))
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    if small:
        mount(home, "remount,size=20m")
    (described,) = (home / "runs").glob("*/run.json")
    finished = run(home, resume=str(described.parent))
    x = finished.result.to_pandas()["x"].tolist()
    print(json.dumps({"said": said, "before": before, "x": x, "attempted": finished.attempted}))


if __name__ == "__main__":
    main()
