"""Time, and where asked a profile, of stage 5 (execute) alone; runs that are nothing but overhead."""

from __future__ import annotations

import cProfile
import pstats
import time
from typing import Any, Self

import pyarrow as pa

import partitioner as pt
from partitioner.coordinator import execute


def same(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return what came in."""
    return batch


def a_row_each(rows: pa.Table, engine: Any, checkpoint: str) -> pt.Run:
    """A run of sub-tasks of one row that do nothing."""
    run = pt.run(
        rows,
        same,
        batch_format="arrow",
        cost={"model": "rows", "seconds_per_row": 1e-3},
        target_task_seconds=1e-3,
        min_tasks_per_slot=1,
        engine=engine,
        checkpoint=checkpoint,
        progress=False,
        report=False,
    )
    assert len(run.records) == rows.num_rows, len(run.records)
    return run


class Stage:
    """Inside ``with Stage() as stage:`` runs are timed; ``stage.seconds`` is the driver loop of the last one.

    ``stage.cpu_seconds`` is what the driver process computed meanwhile, which other load on the machine does not change.
    """

    def __init__(self, profile: bool = False) -> None:
        self.seconds = 0.0
        self.cpu_seconds = 0.0
        self._profile = cProfile.Profile() if profile else None
        self._drive = execute.drive

    def __enter__(self) -> Self:
        execute.drive = self._timed
        return self

    def __exit__(self, *exception: object) -> None:
        execute.drive = self._drive

    def _timed(self, *args: Any) -> Any:
        begin, cpu = time.perf_counter(), time.process_time()
        try:
            return self._profile.runcall(self._drive, *args) if self._profile else self._drive(*args)
        finally:
            self.seconds = time.perf_counter() - begin
            self.cpu_seconds = time.process_time() - cpu

    def show(self) -> None:
        """Print the profile, if there is one."""
        if self._profile:
            pstats.Stats(self._profile).sort_stats("cumulative").print_stats(35)
