"""Plan 1,000,000 fragments in one process: cost, split, place on 1,000 workers; seconds and peak memory of each stage.

python -m benchmarks.plan_million [--fragments 1000000] [--workers 1000] [--split ordered|packed]

The description is given, as the issue asks: fragments with rows and bytes from metadata, sizes skewed 1 : 10,000.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.versions import versions
from partitioner.config import make
from partitioner.model import Dataset, Fragment, Fragments, Source, Workers
from partitioner.stages.resolved import resolve
from partitioner.stages.steps import Described as Stage1
from partitioner.stages.steps import cost, place, split


@dataclass(frozen=True)
class Described(Source):
    """``fragments`` of a column ``x``, made up when they are read: a source of which only the description matters."""

    fragments: Fragments

    name = "described"

    def describe(self) -> Dataset:
        return Dataset(self, self.fragments, pa.schema([("x", pa.int64())]), "rows")

    def read(self, fragment: Fragment, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        yield pa.record_batch({"x": np.arange(fragment.start, fragment.stop)})

    def fingerprints(self) -> dict[str, str]:
        return {}


def description(n: int) -> Dataset:
    """Row groups of 1,000 files, lognormal sizes."""
    rng = np.random.default_rng(7)
    rows = np.clip(rng.lognormal(8.0, 1.2, n), 10, 100_000).astype(np.int64)
    files = min(1000, n)
    fragments = Fragments(
        paths=tuple(f"part-{i:05d}.parquet" for i in range(files)),
        path_index=(np.arange(n) * files // n).astype(np.int32),
        section=(np.arange(n) % (n // files)).astype(np.int32),
        start=np.zeros(n, np.int64),
        stop=rows,
        rows=rows,
        bytes=rows * 120,
    )
    return Described(fragments).describe()


def peak_mb() -> float:
    """Peak resident memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fragments", type=int, default=1_000_000)
    parser.add_argument("--workers", type=int, default=1000)
    parser.add_argument("--split", default="ordered")
    parser.add_argument("--placement", default="lpt")
    options = parser.parse_args()
    print(versions("numpy", "pyarrow"))
    print(f"{options.fragments:,} fragments, {options.workers:,} workers, {options.split}, {options.placement}")
    dataset = description(options.fragments)
    workers = Workers.identical(options.workers, memory_bytes=64e9)
    print(f"{'stage':34}{'seconds':>9}{'peak MB':>9}")
    print(f"{'(imports and given description)':34}{'':9}{peak_mb():9.0f}")
    total = 0.0

    def stage(what: str, function: Callable[[], Any]) -> Any:
        nonlocal total
        begin = time.perf_counter()
        value = function()
        seconds = time.perf_counter() - begin
        total += seconds
        print(f"{what:34}{seconds:9.2f}{peak_mb():9.0f}")
        return value

    config = make(
        {
            "dataset": dataset.source,
            "cost": {"model": "bytes", "seconds_per_byte": 1e-7},
            "split": options.split,
            "placement": options.placement,
            "allowed_mem": "8GB",
        }
    )
    one_each = make({**config.model_dump(), "min_tasks_per_slot": -(-options.fragments // options.workers)})
    parts = resolve(config)
    costed = stage("cost", lambda: cost(parts, Stage1(dataset, None)))
    work = stage("split", lambda: split(parts, costed, workers))
    plan = stage("place", lambda: place(parts, work.tasks, workers))
    print(f"{'together':34}{total:9.2f}{peak_mb():9.0f}")
    print(
        f"{len(plan):,} sub-tasks, makespan {plan.makespan:.1f} s, bound {plan.lower_bound:.1f} s, gap {plan.gap:.5f}"
    )
    total = 0.0
    print("every fragment a sub-task of its own:")
    parts, whole = resolve(one_each), replace(costed, dataset=replace(dataset, divisible_by=None))
    work = stage("split", lambda: split(parts, whole, workers))
    plan = stage("place", lambda: place(parts, work.tasks, workers))
    print(f"{'together':34}{total:9.2f}{peak_mb():9.0f}")
    print(
        f"{len(plan):,} sub-tasks, makespan {plan.makespan:.1f} s, bound {plan.lower_bound:.1f} s, gap {plan.gap:.5f}"
    )


if __name__ == "__main__":
    main()
