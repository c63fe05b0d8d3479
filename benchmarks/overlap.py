"""Reading beside computing: a store that takes 50 ms a request, a program that takes as long on what one request brings.

    python -m benchmarks.overlap [--engine serial|dask]

The same rows through one worker: in two sub-tasks, each in batches of one request, and in forty of one request each, whose
rows are read while the sub-task before is computed. Without overlap the reads are done one after the other with the calls.
Prints seconds from the first sub-task's begin to the last one's end, the ratios, and whether the output is byte for byte
the same.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from tempfile import TemporaryDirectory
from unittest.mock import patch

import pyarrow as pa

import partitioner as pt
from benchmarks.versions import versions
from partitioner.model import Dataset, Fragment
from partitioner.testing.tables import TableSource

REQUEST_SECONDS = 0.05
ROWS, PER_REQUEST, FEW, MANY = 400, 10, 2, 40
NEXT, AHEAD = "partitioner.coordinator.dispatch.upcoming", "partitioner.attempt.work.ahead"
"""What overlaps: the first batch of the next sub-task, and the next batch of this one."""


class SlowStore(TableSource):
    """Data in memory, each fragment of which takes as long to come as a request to an object store."""

    def describe(self) -> Dataset:
        """One fragment per request."""
        return self.dataset([PER_REQUEST] * (ROWS // PER_REQUEST))

    def read(self, fragment: Fragment, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """The rows of one fragment, after the time of a request."""
        time.sleep(REQUEST_SECONDS)
        yield from super().read(fragment, columns)


def compute(batch: pa.RecordBatch) -> pa.RecordBatch:
    """As long as a request takes."""
    time.sleep(REQUEST_SECONDS * batch.num_rows / PER_REQUEST)
    return batch


def seconds_of_run(folder: str, engine: str, tasks: int) -> tuple[float, bytes]:
    """Wall seconds from the first sub-task's begin to the last one's end, and the rows written."""
    source = SlowStore(pa.table({"x": range(ROWS)}))
    run = pt.run(
        source,
        compute,
        batch_format="arrow",
        batch_size=PER_REQUEST,
        cost="rows",
        max_tasks=tasks,
        min_tasks_per_slot=tasks,
        engine={"engine": engine, **({"workers": 1} if engine == "dask" else {})},
        checkpoint=folder,
        report=False,
        progress=False,
    )
    assert len(run.records) == tasks, "cut otherwise"
    sink = pa.BufferOutputStream()
    table = run.result.to_table().combine_chunks()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    wall = max(r.finished for r in run.records) - min(r.started for r in run.records)
    return wall, sink.getvalue().to_pybytes()


def told(what: str, apart: tuple[float, bytes], overlapped: tuple[float, bytes]) -> None:
    """One line."""
    (slow, rows), (fast, same) = apart, overlapped
    alike = "the same bytes" if rows == same else "OTHER BYTES"
    print(f"{what:34}{slow:8.2f} s apart{fast:8.2f} s overlapped, ratio {slow / fast:.2f}, {alike}", flush=True)


def main() -> None:
    """Both, and the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--engine", choices=["serial", "dask"], default="serial")
    engine = parser.parse_args().engine
    print(versions("pyarrow"), engine)
    with TemporaryDirectory() as folder:
        few = seconds_of_run(f"{folder}/few", engine, FEW)
        many = seconds_of_run(f"{folder}/many", engine, MANY)
        with patch(NEXT, lambda *_: None):
            told(f"{MANY} sub-tasks of one batch", seconds_of_run(f"{folder}/many-apart", engine, MANY), many)
        with patch(NEXT, lambda *_: None), patch(AHEAD, lambda items: items):
            if engine == "serial":  # in this process, where it can be switched off
                told(f"{FEW} sub-tasks of {MANY // FEW} batches", seconds_of_run(f"{folder}/apart", engine, FEW), few)


if __name__ == "__main__":
    main()
