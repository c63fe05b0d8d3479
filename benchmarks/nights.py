"""Ten nights of a schedule in mode incremental beside full runs: rows processed, and whether the output is the same.

python -m benchmarks.nights [--files 100] [--rows 1000] [--big 100000]

Each night 1 % of the files changes, and now and then one is added or removed. Then one big file whose rows are told by key
and watermark: 1 % of them changed, scattered over all of it, and in the last night 0.1 % added and removed besides; about
100 microseconds a row.
"""

from __future__ import annotations

import argparse
import tempfile
from hashlib import sha256
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

import partitioner as pt
from benchmarks.versions import versions


def double(batch: pd.DataFrame) -> pd.DataFrame:
    """Twice x."""
    return pd.DataFrame({"y": batch["x"] * 2})


def night(home: Path, output: str, mode: str, dataset: str = "in", program: Any = double, **more: Any) -> pt.Run:
    """One run over the input as it is."""
    options: dict[str, Any] = {"cost": "rows", "engine": "serial", "progress": False, "report": False}
    places = {"output": str(home / output), "checkpoint": str(home / "runs")}
    return pt.run(str(home / dataset), program, mode=mode, **options, **places, **more)


def slow(batch: pd.DataFrame) -> pd.DataFrame:
    """A digest of each x, over and over."""
    found = []
    for x in batch["x"].tolist():
        digest = str(x).encode()
        for _ in range(300):
            digest = sha256(digest).digest()
        found.append(digest.hex())
    return pd.DataFrame({"y": found})


def one_big_file(home: Path, rows: int) -> None:
    """Three nights of one file: all of it, 1 % changed, and some added and removed besides."""
    (home / "big").mkdir()
    draw = np.random.default_rng(7)
    frame = pd.DataFrame({"id": np.arange(rows), "at": np.zeros(rows, np.int64), "x": np.arange(rows)})
    by = {"key": "id", "watermark": "at"}
    heads = (
        ("rows", 9),
        ("ran", 9),
        ("share", 8),
        ("sub-tasks", 11),
        ("sub-task s", 12),
        ("share", 8),
        ("cpu s", 8),
        ("share", 8),
        ("wall s", 8),
    )
    print(f"{'night':>5}{''.join(f'{name:>{width}}' for name, width in heads)}{'of full':>9}  output")
    for n in range(3):
        if n:
            changed = draw.choice(len(frame), rows // 100, replace=False)
            frame.loc[changed, "at"] = n
            frame.loc[changed, "x"] += rows * n
        if n == 2:
            gone = draw.choice(len(frame), rows // 1000, replace=False)
            more = pd.DataFrame({"id": rows + np.arange(rows // 1000), "at": 0, "x": -np.arange(rows // 1000)})
            frame = pd.concat([frame.drop(index=gone), more], ignore_index=True)
        frame.to_parquet(home / "big" / "t.parquet", row_group_size=max(rows // 16, 1))
        runs, walls = [], []
        for output, mode in (("keyed", "incremental"), (f"whole{n}", "error")):
            began = perf_counter()
            told = {"incremental": by} if mode == "incremental" else {}
            runs.append(night(home, output, mode, dataset="big", program=slow, columns=["x"], **told))
            walls.append(perf_counter() - began)
        done, fresh = runs
        said = "identical" if done.result.to_table().equals(fresh.result.to_table()) else "DIFFERENT"
        ran = sum(r.rows_in for r in done.records)
        ours, whole = (sum(r.seconds for r in one.records) for one in runs)
        cpu, cpu_whole = (sum(r.cpu_seconds for r in one.records) for one in runs)
        many = f"{ran / len(frame):>8.2%}{len(done.records):>11}"
        share = f"{many}{ours:>8.2f}{ours / whole:>8.2%}{cpu:>8.2f}{cpu / cpu_whole:>8.2%}"
        print(f"{n:>5}{len(frame):>9}{ran:>9}{share}{walls[0]:>8.2f}{walls[0] / walls[1]:>9.1%}  {said}")


def main() -> None:
    """Print a line per night."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=100)
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--big", type=int, default=100_000)
    options = parser.parse_args()
    print(versions("pyarrow"))
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        (home / "in").mkdir()

        def write(i: int, first: int) -> None:
            pq.write_table(pa.table({"x": range(first, first + options.rows)}), home / "in" / f"f{i:05d}.parquet")

        for i in range(options.files):
            write(i, i * options.rows)
        print(f"{'night':>5}{'rows of input':>15}{'processed':>11}{'share':>8}  output")
        for n in range(10):
            for k in range(max(1, options.files // 100) if n else 0):
                write((17 * n + k) % options.files, 10**9 + 10**6 * n + k)
            if n % 4 == 3:
                write(options.files + n, 2 * 10**9 + n)
            if n % 4 == 1:
                sorted((home / "in").iterdir())[n].unlink()
            limits = {"max_tasks": 8, "min_tasks_per_slot": 8}
            done, fresh = (
                night(home, output, mode, **limits) for output, mode in (("out", "incremental"), (f"fresh{n}", "error"))
            )
            same = done.result.to_table().equals(fresh.result.to_table())
            processed, rows = sum(r.rows_in for r in done.records), fresh.counts["rows_in"]
            said = "identical" if same else "DIFFERENT"
            print(f"{n:>5}{rows:>15}{processed:>11}{processed / rows:>8.1%}  {said}")
        one_big_file(home, options.big)


if __name__ == "__main__":
    main()
