"""How fast inputs are described and read: prints the table of docs/connectors.md.

    python -m benchmarks.connectors

Everything is generated in a temporary directory and removed. One process; reading happens on one thread, as in a sub-task.
"""

from __future__ import annotations

import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pv
import pyarrow.parquet as pq

from connectors.csv import CsvSource
from connectors.files import FilesSource
from connectors.jsonl import JsonLinesSource
from connectors.libsvm import LibsvmSource
from connectors.memory import MemorySource
from connectors.parquet import ParquetSource
from partitioner.model import Dataset


def timed(what: str, function: Callable[[], int], unit: str, megabytes: float = 0.0) -> None:
    begin, cpu_begin = time.perf_counter(), time.process_time()
    count = function()
    seconds, cpu = time.perf_counter() - begin, time.process_time() - cpu_begin
    rate = f"{megabytes / cpu:.0f} MB" if megabytes else ""
    print(f"| {what} | {count:,} {unit} | {seconds:.2f} | {cpu:.2f} | {rate} |", flush=True)


def rows(dataset: Dataset) -> int:
    fragments = dataset.fragments
    return sum(b.num_rows for i in range(len(fragments)) for b in dataset.source.read(fragments[i]))


def write_many(path: Path, line: bytes, megabytes: int, header: bytes = b"") -> float:
    block = line * (1_000_000 // len(line))
    with path.open("wb") as file:
        file.write(header)
        for _ in range(megabytes):
            file.write(block)
    return path.stat().st_size / 1e6


def parquet(root: Path) -> None:
    table = pa.table({f"c{i}": np.arange(1000.0) for i in range(20)})
    for i in range(100):
        pq.write_table(table, root / f"{i:03}.parquet", row_group_size=10)
    timed(
        "describe 100 Parquet files of 20 columns", lambda: len(ParquetSource(root).describe().fragments), "row groups"
    )
    one = ParquetSource(root, columns=["c1"])
    timed("the same, one column selected", lambda: len(one.describe().fragments), "row groups")


def files(root: Path) -> None:
    for i in range(100_000):
        if i % 1000 == 0:
            (root / f"{i // 1000:03}").mkdir()
        (root / f"{i // 1000:03}" / f"{i}.txt").write_bytes(b"content")
    source = FilesSource(root)
    timed("describe a folder of small files", lambda: len(source.describe().fragments), "files")
    timed("fingerprints of all of them", lambda: len(source.fingerprints()), "files")


def text(root: Path) -> None:
    size = write_many(root / "x.csv", b"123456,some text here,3.25,2024-01-01\n", 100, b"a,b,c,d\n")
    timed("describe a CSV file of 100 MB", lambda: len(CsvSource(root).describe().fragments), "fragments")
    dataset = CsvSource(root).describe()
    timed("read it", lambda: rows(dataset), "rows", size)
    plain = pv.ReadOptions(use_threads=False)
    timed("the same by pyarrow.csv.read_csv", lambda: int(pv.read_csv(root / "x.csv", plain).num_rows), "rows", size)
    size = write_many(root / "x.jsonl", b'{"a": 123456, "b": "some text here", "c": 3.25}\n', 50)
    timed("describe and read JSON lines", lambda: rows(JsonLinesSource(root).describe()), "rows", size)
    line = b"1 " + b" ".join(b"%d:1.5" % (i + 1) for i in range(14)) + b"\n"
    size = write_many(root / "x.svm", line, 20)
    timed("describe and read libsvm", lambda: rows(LibsvmSource(root).describe()), "rows", size)


def memory(root: Path) -> None:
    source = MemorySource(np.random.default_rng(0).random((200_000, 64)))
    megabytes = 200_000 * 64 * 8 / 1e6
    timed("materialise a numpy matrix", lambda: source.materialise(root).describe().rows, "rows", megabytes)


def main() -> None:
    versions = f"Python {platform.python_version()}, pyarrow {pa.__version__}, numpy {np.__version__}, {sys.platform}"
    print(f"{versions}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}\n")
    print("| what | how many | seconds | CPU seconds | per CPU second |\n|---|---|---|---|---|")
    for part in (parquet, files, text, memory):
        with tempfile.TemporaryDirectory() as root:
            part(Path(root))


if __name__ == "__main__":
    main()
