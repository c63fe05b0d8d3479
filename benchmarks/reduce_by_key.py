"""Merging mean and variance of many keys, beside pandas' groupby on the same rows.

python -m benchmarks.reduce_by_key [--keys 10000 1000000] [--parts 16]
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import pandas as pd

from benchmarks.versions import versions
from partitioner.reducers.by_key import ByKey
from partitioner.reducers.tree import merge_tree

INNER = {"reducer": "several", "of": {"mean": "mean", "var": "variance"}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keys", type=int, nargs="+", default=[10_000, 1_000_000])
    parser.add_argument("--parts", type=int, default=16)
    given = parser.parse_args()
    print(versions())
    for keys in given.keys:
        rng = np.random.default_rng(0)
        rows = max(2 * keys, 1_000_000)
        frame = pd.DataFrame({"key": rng.integers(0, keys, rows), "x": rng.normal(size=rows)})
        reducer = ByKey("key", INNER)
        step = -(-rows // given.parts)
        parts = []
        begin = time.perf_counter()
        for start in range(0, rows, step):
            parts.append(reducer.add_input(reducer.create_accumulator(), frame.iloc[start : start + step]))
        adding = time.perf_counter() - begin
        begin = time.perf_counter()
        ours = reducer.extract_output(merge_tree(reducer, parts))
        merging = time.perf_counter() - begin
        begin = time.perf_counter()
        theirs = frame.groupby("key")["x"].agg(["mean", "var"])
        pandas = time.perf_counter() - begin
        apart = float(np.nanmax(np.abs(ours["mean_x"].to_numpy() - theirs["mean"].to_numpy())))
        print(
            f"{keys:>9,} keys, {rows:,} rows in {given.parts} parts: adding {adding:.3f} s, merge {merging:.3f} s, pandas "
            f"groupby {pandas:.3f} s, ratio {merging / pandas:.2f}, largest difference of a mean {apart:.1e}"
        )


if __name__ == "__main__":
    main()
