"""A run made by hand, of one small Parquet file: attempts at it run in this process, with a program that a test holds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from connectors.parquet import ParquetSource
from connectors.parquet_sink import ParquetSink
from partitioner import choices
from partitioner.attempt import job as jobs
from partitioner.attempt.agreement import Agreement
from partitioner.attempt.batching import Batcher
from partitioner.attempt.job import Job, Loaded
from partitioner.attempt.run import run_attempt
from partitioner.model import NO_CARE, Attempt, Care, Event, SubTasks
from partitioner.store.run_directory import RunDirectory

KEY = bytes(range(32))


def doubled(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Twice ``x``, as ``y``."""
    return pa.RecordBatch.from_pydict({"y": [2 * x for x in batch.column("x").to_pylist()]})


class ByHand:
    """Rows ``x`` 0, 1, ... in row groups of ``group``; sub-tasks of the fragments ``of``, one of all by default."""

    def __init__(
        self,
        home: Path,
        program: Callable[[Any], Any] = doubled,
        rows: int = 20,
        group: int = 5,
        of: list[list[int]] | None = None,
        reducer: Any = "concat",
        **settings: Any,
    ) -> None:
        pq.write_table(pa.table({"x": range(rows)}), home / "input.parquet", row_group_size=group)
        source = ParquetSource(home / "input.parquet")
        fragments = source.describe().fragments
        of = [list(range(len(fragments)))] if of is None else of
        self.tasks = SubTasks.build(
            [1.0] * len(of),
            fragments=fragments,
            offsets=np.cumsum([0, *map(len, of)]),
            fragment_index=np.array([i for task in of for i in task], np.int64),
        )
        self.out, self.directory = home / "out", RunDirectory(str(home / "run"), KEY)
        chosen = choices.choose("reducers", reducer)
        options = {"batch_format": "arrow", **settings}
        self.job = Job(program, {}, source, ParquetSink(str(self.out), plain=not chosen.rows), chosen, **options)
        batcher = Batcher(**self.job.batching) if self.job.batching else None
        agreement = Agreement(self.directory.files)
        self.loaded = Loaded(self.job, self.directory, self.tasks, program, batcher, agreement, 0.0)
        jobs._jobs[self.directory.url] = self.loaded

    def attempt(self, number: int = 0, care: Care = NO_CARE, task: int = 0, **facts: Any) -> Attempt:
        key = facts.pop("key", f"t{task:06d}")
        return Attempt(key, task, number, "w", self.directory.url, care=care, **facts)

    def run(self, number: int = 0, care: Care = NO_CARE, task: int = 0, **facts: Any) -> Event:
        """What the attempt says at its end."""
        return run_attempt(self.attempt(number, care, task, **facts))

    def record(self, *args: Any, **facts: Any) -> Any:
        """The record of an attempt that ended well."""
        event = self.run(*args, **facts)
        assert event.record is not None, event.error
        return event.record

    def y(self, path: str) -> list[int]:
        return list(pq.read_table(self.out / path)["y"].to_pylist())

    @property
    def files(self) -> list[str]:
        return sorted(p.name for p in self.out.glob("**/*") if p.is_file()) if self.out.exists() else []
