"""Splits at scale, exactness against brute force, cuts between rows of known cost, and a group-by with one hot key.

python -m benchmarks.split_scale [--fragments 10000000] [--cases 3000] [--rows 1000000] [--text FILE]
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from dataclasses import replace
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

import partitioner as pt
from benchmarks.plan_million import Described
from benchmarks.versions import versions
from connectors.resolve import resolve
from partitioner import choices
from partitioner.costs.expression import Expression
from partitioner.model import Costs, Dataset, Fragments, Limits
from partitioner.splits.chains import Chain, cut_evenly, smallest_capacity
from partitioner.splits.ordered import Ordered

TEXT = Path(__file__).parents[2] / "shared" / "data" / "text" / "php_doc_en.parquet"


def dataset_of(fragments: int, key: np.ndarray | None = None) -> Dataset:
    """Fragments of 1,000 rows of one file, whole only; nothing reads them."""
    zeros = np.zeros(fragments, np.int32)
    start = np.arange(fragments, dtype=np.int64) * 1000
    rows = np.full(fragments, 1000)
    features = {} if key is None else {"key": key.astype(float)}
    held = Described(Fragments(("f",), zeros, zeros, start, start + 1000, rows, rows * 8, features))
    return replace(held.describe(), divisible_by=None)


def speed(fragments: int) -> None:
    """Seconds of every splitter, best of three, with what the largest sub-task has more than the even share."""
    draw = np.random.default_rng(0)
    million = min(fragments, 1_000_000)
    scattered = draw.integers(0, million // 10, million)
    jobs: list[tuple[str, dict[str, Any], int, str]] = [
        ("ordered", {}, million, ""),
        ("ordered", {}, fragments, ""),
        ("packed", {}, million, ""),
        ("grouped", {"key": "key"}, million, "100,000 keys, scattered"),
        ("grouped", {"key": "key"}, million, "100,000 keys, in runs"),
    ]
    print(
        "| split | fragments | into | seconds, best of 3 | with a memory limit | largest / even - 1 |\n"
        "|---|---|---|---|---|---|"
    )
    for name, options, n, note in jobs:
        seconds = draw.lognormal(0, 1, n)
        key = None if not options else np.sort(scattered) if note.endswith("runs") else scattered
        dataset, costs = dataset_of(n, key), Costs(seconds, seconds * 1e6)
        splitter = choices.choose("splits", {"split": name, **options})
        timed = []
        for memory in (None, float(seconds.sum()) * 1e6 / 1000 * 1.2):
            best = np.inf
            for _ in range(3):
                begin = time.perf_counter()
                tasks = splitter.split(dataset, costs, Limits(min_tasks_per_slot=1000, allowed_mem=memory))
                best = min(best, time.perf_counter() - begin)
            timed.append(best)
        above = float(tasks.seconds.max()) / (float(seconds.sum()) / 1000) - 1
        label = f"{name} ({note})" if note else name
        print(f"| {label} | {n:,} | {len(tasks):,} | {timed[0]:.2f} | {timed[1]:.2f} | {above:.2e} |", flush=True)
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB\n")


def exactness(cases: int) -> None:
    """How many random small chains are cut as well as the best of all ways to cut them."""
    draw = np.random.default_rng(1)
    exact = 0
    for _ in range(cases):
        weights = draw.integers(0, 30, int(draw.integers(1, 11)))
        parts = int(draw.integers(1, len(weights) + 1))
        best = min(
            max(int(weights[a:b].sum()) for a, b in pairwise([0, *marks, len(weights)]))
            for marks in combinations(range(1, len(weights)), parts - 1)
        )
        chain = Chain.of(weights.astype(float))
        bounds = cut_evenly(chain, parts, smallest_capacity(chain, parts))
        exact += len(bounds) == parts + 1 and float(np.diff(chain.prefix[bounds]).max()) == best
    print(f"ordered against brute force: {exact} of {cases} random chains of up to 10 weights cut optimally\n")


def known_rows(file: Path) -> None:
    """How even sub-tasks really are in characters, when cuts are placed by fragment and when by row."""
    dataset = resolve(str(file)).describe()
    costs = Expression("1e-6 * len(text)").estimate(dataset)
    true = np.array([len(text) for text in pq.read_table(file, columns=["text"])["text"].to_pylist()])
    print(f"{file.name}: {len(true):,} texts in {len(dataset.fragments)} row groups, cost 1e-6 * len(text)")
    print("| sub-tasks | cut by the cost of | largest / mean, predicted | largest / mean, true |\n|---|---|---|---|")
    for count in (32, 100):
        for label, known in (("row groups", replace(costs, record_seconds=None)), ("rows", costs)):
            tasks = Ordered().split(dataset, known, Limits(min_tasks_per_slot=count))
            assert tasks.fragments is not None
            ends = np.cumsum(np.add.reduceat(tasks.fragments.rows[tasks.fragment_index], tasks.offsets[:-1]))
            characters = np.add.reduceat(true, np.concatenate([[0], ends[:-1]]))
            predicted, found = (float(x.max() / x.mean()) for x in (tasks.seconds, characters))
            print(f"| {len(tasks)} | {label} | {predicted:.3f} | {found:.3f} |", flush=True)
    print()


def hot_key(rows: int) -> None:
    """A group-by mean with one key of 40 % of the rows, through the whole pipeline, beside pandas."""
    draw = np.random.default_rng(2)
    key = np.where(draw.random(rows) < 0.4, 0, draw.zipf(1.5, rows) % 5000)
    frame = pd.DataFrame({"key": key, "x": draw.normal(size=rows)})
    expected = frame.groupby("key").agg(count=("x", "size"), mean=("x", "mean"))
    print(f"{rows:,} rows, {len(expected):,} keys, the largest with {expected['count'].max() / rows:.0%} of the rows")
    print(
        "| hot groups | sub-tasks | largest / mean seconds | counts | means, largest difference |\n|---|---|---|---|---|"
    )
    for label, split_hot in (("whole", False), ("split (mergeable reducer)", None)):
        found = {}
        for inner in ("count", "mean"):
            with tempfile.TemporaryDirectory() as checkpoint:
                run = pt.run(
                    frame, unchanged, cost="rows", split={"split": "grouped", "key": "key", "split_hot": split_hot},
                    reducer={"reducer": "by_key", "key": "key", "inner": inner}, min_tasks_per_slot=16, max_tasks=16,
                    engine="serial", checkpoint=checkpoint, progress=False, report=False,
                )  # fmt: skip
            found[inner] = run.result.to_pandas().set_index("key")
        seconds = run.plan.tasks.seconds
        same = found["count"]["count"].equals(expected["count"])
        apart = float((found["mean"]["x"] - expected["mean"]).abs().max())
        print(
            f"| {label} | {len(seconds)} | {seconds.max() / seconds.mean():.3f} | {'equal' if same else 'DIFFERENT'} "
            f"| {apart:.1e} |",
            flush=True,
        )
        for name, reason in run.plan.reasons.items():
            if name.startswith("hot group"):
                print(f"  {reason}")


def unchanged(rows: pd.DataFrame) -> pd.DataFrame:
    """The program: what came in, so that the reducer does the group-by."""
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fragments", type=int, default=10_000_000)
    parser.add_argument("--cases", type=int, default=3000)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--text", type=Path, default=TEXT)
    args = parser.parse_args()
    print(versions("numpy", "pandas", "pyarrow") + "\n")
    speed(args.fragments)
    exactness(args.cases)
    known_rows(args.text)
    hot_key(args.rows)


if __name__ == "__main__":
    main()
