"""Few rows that take long: the trial tells, a pilot follows where there are rows for one, and the plan is made anew."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import partitioner as pt
from partitioner.engines.dask import DaskEngine

ROWS = 300


@pytest.fixture(autouse=True)
def soon_worth_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundredth of a second of work is long; nothing is known of any program."""
    monkeypatch.setattr("partitioner.costs.auto.WORTH_SECONDS", 0.01)
    monkeypatch.setenv("PARTITIONER_PROFILES", str(tmp_path / "profiles.sqlite"))


def run(data: Any, program: Any, checkpoint: str, **options: Any) -> pt.Run:
    settings = {"engine": "serial", "progress": False, "report": False, "checkpoint": checkpoint, **options}
    return pt.run(data, program, **settings)


def slow(batch: pa.RecordBatch) -> pa.RecordBatch:
    time.sleep(0.0005 * batch.num_rows)
    return batch


def slow_piece_by_piece(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    for i in range(batch.num_rows):
        time.sleep(0.0005)
        yield batch.slice(i, 1)


def check_planned_anew(done: pt.Run) -> None:
    """The plan that ran is the second; the first has left nothing, and every row is there once."""
    reasons = done.plan.reasons
    assert reasons["cost chosen"].startswith("a pilot, for the first rows let expect ")
    assert (done.plan.unit, done.plan.makespan > 0.0) == ("s", True)
    assert set(reasons["start"]) >= {"trial", "pilot"}
    assert done.result.to_arrow()["x"].to_pylist() == list(range(ROWS))
    assert {r.task_key for r in done.records} == set(done.plan.tasks.task_id.to_pylist())


def test_slow_rows_are_measured_and_planned_anew(checkpoint: str) -> None:
    done = run(pa.table({"x": range(ROWS)}), slow_piece_by_piece, checkpoint, batch_format="arrow")
    check_planned_anew(done)
    assert float(done.plan.tasks.seconds.sum()) >= 0.0005 * ROWS / 2  # what it yields was waited for


def test_the_same_on_workers_that_are_processes(checkpoint: str, dask_engine: DaskEngine) -> None:
    done = run(pa.table({"x": range(ROWS)}), slow, checkpoint, batch_format="arrow", engine=dask_engine)
    check_planned_anew(done)
    assert done.plan.reasons["pilot"]["slots"] == 2


def test_rows_too_few_for_a_pilot_count_as_those_of_the_trial(checkpoint: str) -> None:
    done = run(pa.table({"x": range(100)}), slow, checkpoint, batch_format="arrow")
    assert done.plan.reasons["cost chosen"].startswith("the trial alone (2 rows took ")
    assert (done.plan.unit, done.plan.makespan >= 0.03) == ("s", True)  # half a millisecond of sleep each


async def asked(row: dict[str, int]) -> dict[str, int]:
    await asyncio.sleep(0.01)
    return row


def test_rows_of_an_async_program_share_what_they_wait(checkpoint: str) -> None:
    done = run([{"x": i} for i in range(ROWS)], asked, checkpoint, max_concurrency=5)
    chosen = done.plan.reasons["cost chosen"]
    assert chosen.startswith("the trial alone (2 rows took ")
    assert ", up to 5 at once)" in chosen
    assert done.plan.makespan >= 0.6  # sixty turns of a hundredth of a second
    assert done.result.to_arrow()["x"].to_pylist() == list(range(ROWS))
