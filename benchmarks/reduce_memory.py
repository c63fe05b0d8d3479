"""Peak memory of the driver while it merges many large partial results, in sizes of one of them.

python -m benchmarks.reduce_memory [--parts 200] [--megabytes 10]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.versions import versions
from connectors.parquet_sink import ParquetSink
from partitioner.attempt.run import ACCUMULATOR
from partitioner.reducers import partials
from partitioner.reducers.tree_sum import TreeSum
from partitioner.runs import results


@dataclass(frozen=True)
class Record:
    task_key: str
    path: str
    size: int
    split: bool = False


@dataclass(frozen=True)
class Job:
    reducer: Any
    sink: Any


def resident(field: str) -> int:
    """Bytes of a line of /proc/self/status."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", type=int, default=200)
    parser.add_argument("--megabytes", type=int, default=10)
    given = parser.parse_args()
    print(versions())
    size = given.megabytes * 10**6
    with tempfile.TemporaryDirectory() as folder:
        job, records = Job(TreeSum(), ParquetSink(folder, plain=True)), []
        data = partials.dumps(job.reducer, {"w": np.random.default_rng(0).normal(size=size // 8)})
        batch = pa.RecordBatch.from_arrays([pa.array([data], pa.large_binary())], [ACCUMULATOR])
        for i in range(given.parts):  # one file, under many names: what is read is as large as it would be
            key = f"t{i:06d}"
            job.sink.commit(job.sink.write(key, iter([batch]), dict))
            records.append(Record(key, f"part-{key}.parquet", size))
        del data, batch
        pa.default_memory_pool().release_unused()
        Path("/proc/self/clear_refs").write_text("5")
        before, begin = resident("VmRSS"), time.perf_counter()
        results._merged(job, records)  # type: ignore[arg-type]
        seconds, after = time.perf_counter() - begin, resident("VmHWM")
    print(
        f"{given.parts} partials of {given.megabytes} MB: peak {(after - before) / size:.1f} partials above the "
        f"memory before, "
        f"{given.parts * size / seconds / 1e9:.2f} GB/s"
    )


if __name__ == "__main__":
    main()
