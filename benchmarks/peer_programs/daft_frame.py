"""Daft: ``python -m benchmarks.peer_programs.daft_frame WORKLOAD FOLDER WORKERS THREADS`` (the slots are Daft's own)."""

from __future__ import annotations

import sys
from typing import Any

import daft

from benchmarks.peer_programs.work import COLUMN, ROW, told


def main() -> None:
    """As a user writes it, and tuned: small batches in processes of their own, as many as there are slots."""
    workload, folder, slots = sys.argv[1], sys.argv[2], int(sys.argv[3]) * int(sys.argv[4])
    row, column = ROW[workload], COLUMN[workload]

    @daft.udf(return_dtype=daft.DataType.float64())
    def plain(values: Any) -> list[float]:
        return [row(value) for value in values.to_pylist()]

    @daft.udf(return_dtype=daft.DataType.float64(), batch_size=1 if workload == "sleeps" else 16, concurrency=slots)
    class Tuned:
        def __init__(self) -> None:
            """Nothing is loaded; Daft wants it."""

        def __call__(self, values: Any) -> list[float]:
            return [row(value) for value in values.to_pylist()]

    def run(function: Any) -> Any:
        frame = daft.read_parquet(f"{folder}/*.parquet")
        return frame.select(function(frame[column]).alias("out")).to_pydict()["out"]

    told("as written", lambda: run(plain), "daft")
    told(f"tuned: concurrency {slots}", lambda: run(Tuned), "daft")


if __name__ == "__main__":
    main()
