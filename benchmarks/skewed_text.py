"""Skewed real text, a CPU-bound function whose time follows text length: cost-sized sub-tasks beside plain Dask.

python -m benchmarks.skewed_text [FILE] [--workers 2 4] [--passes 3]

Efficiency is busy time / (workers x makespan). Busy time is what the workers spent on the partitions or sub-tasks, read and
write included; the makespan is that of the computation: ``compute()`` of Dask, stage 5 (execute) here. The whole run
(describe, cost by reading the text column, split, place, preflight, manifest) is shown as well.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import dask.dataframe as dd
import pandas as pd

import partitioner as pt
from benchmarks.stage import Stage
from benchmarks.versions import versions
from partitioner.engines.dask import DaskEngine

DATA = Path(__file__).parents[2] / "shared" / "data" / "text" / "php_doc_en.parquet"
COST = "1e-6 * len(text)"
META = {"path": "object", "a": "int64", "b": "int64", "symbols": "int64"}


def signature(text: str, passes: int) -> tuple[int, int, int]:
    """Two rolling hashes and the number of different characters, in pure Python, character by character."""
    a = b = 7
    seen: dict[str, int] = {}
    for _ in range(passes):
        for character in text:
            code = ord(character)
            a = (a * 31 + code) & 0xFFFFFFFF
            b = ((b ^ code) * 16777619) & 0xFFFFFFFF
            seen[character] = seen.get(character, 0) + 1
    return a, b, len(seen)


def signatures(frame: pd.DataFrame, passes: int = 3) -> pd.DataFrame:
    """One row per document."""
    rows = [signature(text, passes) for text in frame["text"]]
    return pd.DataFrame(rows, columns=["a", "b", "symbols"]).assign(path=frame["path"].to_numpy())[list(META)]


def clocked(frame: pd.DataFrame, passes: int) -> pd.DataFrame:
    """``signatures`` with the seconds the partition took in its first row."""
    begin = time.perf_counter()
    out = signatures(frame, passes)
    out["busy"] = 0.0
    if len(out):
        out.loc[0, "busy"] = time.perf_counter() - begin
    return out


def plain(path: str, passes: int, partitions: int | None) -> tuple[float, float, int, pd.DataFrame]:
    """Dask as a user writes it: busy seconds, makespan, partitions and result."""
    begin = time.perf_counter()
    frame = dd.read_parquet(path)
    if partitions is not None:
        frame = frame.repartition(npartitions=partitions)
    result = frame.map_partitions(clocked, passes, meta={**META, "busy": "float64"}).compute()
    makespan = time.perf_counter() - begin
    return float(result.pop("busy").sum()), makespan, frame.npartitions, result.reset_index(drop=True)


def ours(path: str, passes: int, engine: DaskEngine) -> tuple[float, float, float, int, pd.DataFrame]:
    """Busy seconds, makespan of stage 5, seconds of the whole run, sub-tasks and result."""
    with tempfile.TemporaryDirectory() as checkpoint, Stage() as stage:
        begin = time.perf_counter()
        run = pt.run(
            path,
            signatures,
            arguments={"passes": passes},
            cost=COST,
            target_task_seconds=0.5,
            engine=engine,
            checkpoint=checkpoint,
            progress=False,
            report=False,
        )
        whole = time.perf_counter() - begin
        busy = sum(r.seconds for r in run.records)
        return busy, stage.seconds, whole, len(run.records), run.result.to_pandas()


def compare(path: str, workers: int, passes: int) -> list[tuple[Any, ...]]:
    """Rows of the table for one number of workers, all on one cluster."""
    engine = DaskEngine(workers=workers)
    rows: list[tuple[Any, ...]] = []
    try:
        for what, partitions in (("dask as written", None), (f"dask, repartition({8 * workers})", 8 * workers)):
            busy, makespan, count, expected = plain(path, passes, partitions)
            rows.append((workers, what, count, busy, makespan, makespan))
        busy, makespan, whole, count, result = ours(path, passes, engine)
        rows.append((workers, f"ours, cost {COST}", count, busy, makespan, whole))
    finally:
        engine.close()
    assert result.astype(str).equals(expected.astype(str)), "the results differ"
    return rows


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", nargs="?", default=str(DATA))
    parser.add_argument("--workers", type=int, nargs="+", default=[2, 4])
    parser.add_argument("--passes", type=int, default=3)
    options = parser.parse_args()
    print(versions("dask", "distributed", "pandas", "pyarrow"))
    print(f"{'workers':>7}  {'':34}{'parts':>6}{'busy s':>9}{'makespan s':>12}{'whole s':>9}{'efficiency':>12}")
    for workers in options.workers:
        for m, what, count, busy, makespan, whole in compare(options.file, workers, options.passes):
            share = busy / (m * makespan)
            print(f"{m:>7}  {what:34}{count:>6}{busy:9.2f}{makespan:12.2f}{whole:9.2f}{share:12.3f}", flush=True)


if __name__ == "__main__":
    main()
