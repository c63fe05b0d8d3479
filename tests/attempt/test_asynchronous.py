"""Async programs: many calls at once and no more, order kept, named errors tried again, failing rows set aside."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

import partitioner as pt
from partitioner.attempt.asynchronous import Concurrency, call_all
from partitioner.errors import ConfigError, RunFailed
from partitioner.runs import quarantine

TABLE = pa.table({"x": range(40)})


def run(program: Any, checkpoint: str, **options: Any) -> pt.Run:
    settings = {"cost": "rows", "max_tasks": 2, "engine": "serial", "progress": False, "report": False, **options}
    return pt.run(TABLE, program, checkpoint=checkpoint, **settings)


async def doubled(row: dict[str, Any]) -> dict[str, Any]:
    await asyncio.sleep(0.02 / (1 + row["x"]))  # later rows are done earlier
    return {"y": 2 * row["x"]}


def test_rows_come_back_in_order(checkpoint: str) -> None:
    assert run(doubled, checkpoint, max_concurrency=8).result.to_pandas()["y"].tolist() == [2 * x for x in range(40)]


class Counting:
    """Says how many calls ran at once."""

    def __init__(self) -> None:
        self.now = 0

    async def __call__(self, row: dict[str, Any]) -> int:
        self.now += 1
        seen = self.now
        await asyncio.sleep(0.01)
        self.now -= 1
        return seen


def test_no_more_calls_at_once_than_asked(checkpoint: str) -> None:
    assert run(Counting, checkpoint, max_concurrency=5, max_tasks=1).result.to_pandas()["result"].max() == 5


async def refuses_seven(row: dict[str, Any]) -> int:
    if row["x"] == 7:
        raise ValueError("no seven")
    return int(row["x"])


def test_one_failing_row_is_set_aside(checkpoint: str) -> None:
    finished = run(refuses_seven, checkpoint, on_error="quarantine")
    assert finished.result.to_pandas()["result"].tolist() == [x for x in range(40) if x != 7]
    assert quarantine.rows_of(finished.directory).to_pylist() == [{"x": 7, "_error": "ValueError: no seven"}]


def test_without_quarantine_it_ends_the_run(checkpoint: str) -> None:
    with pytest.raises(RunFailed, match="ValueError: no seven"):
        run(refuses_seven, checkpoint)


class Flaky:
    """Every row fails twice before it succeeds."""

    def __init__(self, error: type[Exception]) -> None:
        self.error = error
        self.tries: dict[int, int] = {}

    async def __call__(self, row: dict[str, Any]) -> int:
        x = int(row["x"])
        self.tries[x] = self.tries.get(x, 0) + 1
        if self.tries[x] % 3:
            raise self.error("busy")
        return self.tries[x]


def test_named_errors_are_tried_again(checkpoint: str) -> None:
    options: dict[str, Any] = {"retry_on": ["OSError"], "retry_backoff": 0.001}
    finished = run(Flaky, checkpoint, arguments={"error": ConnectionError}, max_tasks=1, **options)
    assert set(finished.result.to_pandas()["result"]) <= {3, 6}


def test_other_errors_are_not(checkpoint: str) -> None:
    with pytest.raises(RunFailed, match="ValueError: busy"):
        run(Flaky, checkpoint, arguments={"error": ValueError}, retry_on=["OSError"], max_retries=0)


def test_calls_start_no_faster_than_the_rate() -> None:
    starts: list[float] = []

    async def starting(unit: int) -> None:
        starts.append(asyncio.get_running_loop().time())

    call_all(starting, range(5), Concurrency(per_second=100))
    assert all(later - earlier > 0.005 for earlier, later in itertools.pairwise(starts))


async def frame_at_a_time(batch: pd.DataFrame) -> pd.DataFrame:
    return batch.assign(rows=len(batch))


@pytest.mark.parametrize(("batch_size", "rows"), [(None, 1), (8, 8)])
def test_an_argument_that_is_a_frame_gets_batches(checkpoint: str, batch_size: int | None, rows: int) -> None:
    found = run(frame_at_a_time, checkpoint, batch_size=batch_size, max_tasks=1).result.to_pandas()
    assert (found["x"].tolist(), set(found["rows"])) == (list(range(40)), {rows})


async def refuses_seven_in_a_batch(batch: pd.DataFrame) -> pd.DataFrame:
    if (batch["x"] == 7).any():
        raise ValueError("no seven")
    return batch


def test_a_failing_batch_is_searched_for_its_row(checkpoint: str) -> None:
    finished = run(refuses_seven_in_a_batch, checkpoint, batch_size=8, on_error="quarantine")
    assert finished.result.to_pandas()["x"].tolist() == [x for x in range(40) if x != 7]
    assert finished.quarantined == 1


def not_async(rows: pd.DataFrame) -> pd.DataFrame:
    return rows


def test_settings_of_async_programs_are_refused_for_others(checkpoint: str) -> None:
    with pytest.raises(ConfigError, match="max_concurrency is for async programs; write the program as async def"):
        run(not_async, checkpoint, max_concurrency=4)


def test_a_partial_result_takes_what_an_async_program_returns(checkpoint: str) -> None:
    assert run(doubled, checkpoint, reducer="count").result == 40
