"""Ten nights of a schedule in mode incremental beside full runs: rows processed, and whether the output is the same.

python -m benchmarks.nights [--files 100] [--rows 1000]

Each night 1 % of the files changes, and now and then one is added or removed.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

import partitioner as pt
from benchmarks.versions import versions


def program(batch: pd.DataFrame) -> pd.DataFrame:
    """Twice x."""
    return pd.DataFrame({"y": batch["x"] * 2})


def night(home: Path, output: str, mode: str) -> pt.Run:
    """One run over the input as it is."""
    options: dict[str, Any] = {"cost": "rows", "engine": "serial", "progress": False, "report": False}
    places = {"output": str(home / output), "checkpoint": str(home / "runs")}
    return pt.run(str(home / "in"), program, mode=mode, max_tasks=8, min_tasks_per_slot=8, **options, **places)


def main() -> None:
    """Print a line per night."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=100)
    parser.add_argument("--rows", type=int, default=1000)
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
            done, fresh = night(home, "out", "incremental"), night(home, f"fresh{n}", "error")
            same = done.result.to_table().equals(fresh.result.to_table())
            processed, rows = sum(r.rows_in for r in done.records), fresh.counts["rows_in"]
            said = "identical" if same else "DIFFERENT"
            print(f"{n:>5}{rows:>15}{processed:>11}{processed / rows:>8.1%}  {said}")


if __name__ == "__main__":
    main()
