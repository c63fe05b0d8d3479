"""Reading beside computing: a store that takes 50 ms a request, a program that takes as long on what one request brings.

    python -m benchmarks.overlap

The same rows through one worker, each sub-task in batches of one request; without overlap the reads are done one after the
other with the calls. Prints the seconds of both, the ratio, and whether the output is byte for byte the same.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from tempfile import TemporaryDirectory

import pyarrow as pa

import partitioner as pt
from benchmarks.versions import versions
from partitioner.attempt import work
from partitioner.model import Dataset, Fragment
from partitioner.testing.costs import TableSource

REQUEST_SECONDS = 0.05
ROWS, PER_REQUEST, TASKS = 400, 10, 2


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


def seconds_of_run(folder: str) -> tuple[float, bytes]:
    """Wall seconds of the sub-tasks, and the rows written."""
    source = SlowStore(pa.table({"x": range(ROWS)}))
    run = pt.run(
        source,
        compute,
        batch_format="arrow",
        batch_size=PER_REQUEST,
        cost="rows",
        max_tasks=TASKS,
        engine="serial",
        checkpoint=folder,
        report=False,
        progress=False,
    )
    sink = pa.BufferOutputStream()
    table = run.result.to_table().combine_chunks()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sum(r.seconds for r in run.records), sink.getvalue().to_pybytes()


def main() -> None:
    """Both, and the ratio."""
    print(versions("pyarrow"))
    with TemporaryDirectory() as folder:
        overlapped, rows = seconds_of_run(f"{folder}/overlapped")
        kept, work.ahead = work.ahead, lambda items: items  # type: ignore[assignment]
        one_by_one, same = seconds_of_run(f"{folder}/one-by-one")
        work.ahead = kept  # type: ignore[assignment]
    print(f"reads and calls one after the other {one_by_one:.2f} s, overlapped {overlapped:.2f} s")
    print(f"ratio {one_by_one / overlapped:.2f}, {'the same bytes' if rows == same else 'OTHER BYTES'}")


if __name__ == "__main__":
    main()
