"""Large partial results merged by a whole run: the driver's peak memory in sizes of one of them, and bytes a second.

python -m benchmarks.reduce_memory [--parts 1000] [--megabytes 10] [--engine serial|dask] [--workers 2] [--late 0] [--apart]

The peak is that of the driver's process from the last sub-task to the result, above what it held before. Beside the
throughput of merging stands what the machine's memory does in one thread: adding one array to another, and copying.
``--late``: seconds that the last sub-task takes besides, as a straggler would, while others merge; ``--apart``: the same run
again with merges only after the last sub-task.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

import partitioner as pt
from benchmarks.versions import versions
from partitioner.measure import release_memory
from partitioner.reducers.tree import merge_tree
from partitioner.reducers.tree_sum import TreeSum
from partitioner.runs import merging, overlap
from partitioner.store.run_directory import RunDirectory

figures: dict[str, float] = {}


def resident(field: str) -> int:
    """Bytes of a line of /proc/self/status."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))


def numbers(batch: Any, size: int, last: int = -1, late: float = 0.0) -> Any:
    """One partial result of ``size`` bytes; that of the row ``last`` is ``late`` by so many seconds."""
    if int(batch["x"].iloc[0]) == last:
        time.sleep(late)
    return np.random.default_rng(int(batch["x"].iloc[0])).normal(size=size // 8)


class Watched(merging.Merger):
    """Notes what the driver holds before, and at most meanwhile."""

    def merged(self, job: Any, pieces: Any) -> Any:
        """As ever."""
        release_memory()
        Path("/proc/self/clear_refs").write_text("5")
        before, begin = resident("VmRSS"), time.perf_counter()
        found = super().merged(job, pieces)
        figures["seconds"] = time.perf_counter() - begin
        figures["peak"] = resident("VmHWM") - before
        return found


def in_memory(size: int) -> tuple[float, float]:
    """Bytes a second of adding arrays of ``size`` bytes and more in place, read and written, and of copying them."""
    size = max(size, 256 * 10**6)  # no cache holds it
    left, right = np.ones(size // 8), np.ones(size // 8)
    rates = []
    for work, moved in ((lambda: np.add(left, right, out=left), 3), (lambda: np.copyto(left, right), 2)):
        times = []
        for _ in range(5):
            begin = time.perf_counter()
            work()
            times.append(time.perf_counter() - begin)
        rates.append(moved * size / min(times))
    return rates[0], rates[1]


def whole_run(given: argparse.Namespace, size: int, engine: Any) -> float:
    """Seconds of one run, and what its report says of merging."""
    n = given.parts
    with tempfile.TemporaryDirectory() as folder:
        begin = time.perf_counter()
        run = pt.run(
            pa.table({"x": np.arange(n)}),
            numbers,
            arguments={"size": size, "last": n - 1, "late": given.late},
            reducer="tree_sum",
            engine=engine,
            cost="rows",
            max_tasks=n,
            min_tasks_per_slot=n,
            checkpoint=folder,
            report=False,
            progress=False,
        )
        seconds = time.perf_counter() - begin
        reasons = json.loads(Path(run.url, "merge", "plan.json").read_text())["reasons"]
        figures["slots"] = sum(r.seconds for r in RunDirectory(f"{run.url}/merge").commits().values())
        print(f"{reasons['merge']}; {reasons['fan-in']}; {reasons.get('kept', 'none merged before')}")
        if given.check:
            parts = (np.random.default_rng(i).normal(size=size // 8) for i in range(n))
            same = merge_tree(TreeSum(), parts, n, owned=True).tobytes() == run.result.tobytes()
            print(f"the bits of the tree in memory: {same}")
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", type=int, default=1000)
    parser.add_argument("--megabytes", type=int, default=10)
    parser.add_argument("--engine", default="dask")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--late", type=float, default=0.0)
    parser.add_argument("--apart", action="store_true", help="also with merges only after the last sub-task")
    parser.add_argument("--check", action="store_true", help="compare the bits with the tree in memory")
    given = parser.parse_args()
    print(versions())
    size, n = given.megabytes * 10**6, given.parts
    engine = given.engine if given.engine == "serial" else {"engine": given.engine, "workers": given.workers}
    merging.Merger = Watched  # type: ignore[misc]
    seconds = whole_run(given, size, engine)
    beside = dict(figures)
    if given.apart:
        overlap.overlapped = lambda merger, *_: nullcontext(merger.engine)  # type: ignore[assignment]
        apart = whole_run(given, size, engine)
        print(
            f"merges beside sub-tasks: {seconds:.2f} s in all, {beside['seconds']:.2f} s after the last sub-task; "
            f"merges after them: {apart:.2f} s in all, {figures['seconds']:.2f} s"
        )
    figures.update(beside)
    adding, copying = in_memory(size)
    merging_rate = n * size / figures["slots"] * (1 if given.engine == "serial" else given.workers)
    print(
        f"{n} partials of {given.megabytes} MB on {given.engine}: driver's peak {figures['peak'] / size:.2f} partials above "
        f"the memory before; merged at {merging_rate / 1e9:.2f} GB/s by all slots; one thread of this machine adds "
        f"at {adding / 1e9:.1f} GB/s and copies at {copying / 1e9:.1f} GB/s of memory traffic"
    )


if __name__ == "__main__":
    main()
