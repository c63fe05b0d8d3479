"""A run whose program this process holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa

from partitioner.attempt import job as jobs
from partitioner.attempt.job import Built
from partitioner.attempt.trial import Tried, trial
from tests.attempt.by_hand import KEY, ByHand, doubled


def ready(home: Path, program: Any = doubled, **options: Any) -> ByHand:
    """A run whose program this process holds."""
    made = ByHand(home, program, **options)
    jobs._programs[made.directory.url] = Built(made.job, program, 1.5)
    return made


def tried(made: ByHand, rows: int = 7, wait: float = 60.0, alone: bool = False) -> str:
    return answered(made, rows, wait, alone).why


def answered(made: ByHand, rows: int = 7, wait: float = 60.0, alone: bool = False, timed: bool = False) -> Tried:
    fragments = made.tasks.fragments
    assert fragments is not None
    return trial(0, 1, made.directory.url, KEY, fragments, "t000000", rows, wait, alone, timed)


SEEN: list[list[int]] = []


def noted(batch: pa.RecordBatch) -> pa.RecordBatch:
    SEEN.append(batch.column("x").to_pylist())
    return doubled(batch)


def raising(error: BaseException) -> Any:
    def program(batch: pa.RecordBatch) -> pa.RecordBatch:
        raise error

    return program
