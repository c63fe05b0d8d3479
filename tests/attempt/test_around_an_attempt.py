"""What every attempt gets from the run beside its rows, and what is kept of rows that fail: a seed, a mask, a digest."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from partitioner.attempt import isolate, run, work
from partitioner.attempt.isolate import poison_table, rows_digest
from partitioner.attempt.surroundings import seed_of
from partitioner.model import Upcoming
from tests.attempt.by_hand import ByHand

pytestmark = pytest.mark.usefixtures("no_jobs")


def chance(batch: pa.RecordBatch) -> pa.RecordBatch:
    """A number of each generator beside the rows' own."""
    return pa.RecordBatch.from_pydict(
        {"y": [random.randrange(10**9)] * batch.num_rows, "z": [int(np.random.randint(10**9))] * batch.num_rows}
    )


def test_a_program_draws_by_the_seed_of_the_run_and_the_sub_task(tmp_path: Path) -> None:
    found = []
    for seed, of in ((0, "a"), (7, "b"), (7, "c")):
        (tmp_path / of).mkdir()
        made = ByHand(tmp_path / of, chance, of=[[0], [1]], seed=seed)
        found.append([made.y(made.record(task=task).path)[0] for task in (0, 1)])
    assert found[1] == found[2]
    assert len({*found[0], *found[1]}) == 4
    random.seed(seed_of(7, "t000001"))
    assert found[1][1] == random.randrange(10**9)


def fails(batch: Any) -> Any:
    raise ValueError("no")


def test_a_process_is_settled_after_every_attempt_however_it_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settled: list[int] = []
    monkeypatch.setattr(run.garbage, "settle", lambda: settled.append(1))
    ByHand(tmp_path).record()
    assert len(settled) == 1
    (tmp_path / "b").mkdir()
    assert ByHand(tmp_path / "b", fails).run().error is not None
    assert len(settled) == 2


def table(*errors: str) -> pa.Table:
    return poison_table([(pa.RecordBatch.from_pydict({"x": [i]}), [error]) for i, error in enumerate(errors)])


def test_rows_that_were_set_aside_are_told_by_what_they_hold_and_not_by_their_errors() -> None:
    assert rows_digest(table("at 0x7f01", "b")) == rows_digest(table("at 0x7f02", "c"))
    assert rows_digest(table("a", "b")) != rows_digest(table("a"))
    assert table("a", "b").to_pylist() == [{"x": 0, "_error": "a"}, {"x": 1, "_error": "b"}]


def test_errors_of_rows_that_were_set_aside_keep_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolate, "masked", lambda text: text.replace("hush", "***"))
    assert table("key hush is wrong")["_error"].to_pylist() == ["key *** is wrong"]


@pytest.mark.parametrize(("apart", "begun"), [({}, [1]), ({"by_file": True}, []), ({"by_section": True}, [])])
def test_nothing_is_read_ahead_where_the_content_of_what_is_read_is_told_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, apart: dict[str, bool], begun: list[int]
) -> None:
    told: list[int] = []
    monkeypatch.setattr(work.upcoming, "begin", lambda loaded, next_one, *_: told.append(next_one.task))
    made = ByHand(tmp_path, of=[[0], [1]], **apart)
    made.record(upcoming=Upcoming(1, 2))
    assert told == begun
