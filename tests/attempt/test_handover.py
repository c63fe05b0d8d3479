"""An attempt that is asked for its rest: it keeps what it has done as a part, exactly once whoever else tries."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import partitioner as pt
from partitioner.attempt import handover
from partitioner.attempt.run import run_attempt
from partitioner.model import NO_CARE, Attempt, Care, CommitRecord, Event
from partitioner.store.run_directory import RunDirectory


def doubled(batch: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({"y": batch["x"] * 2})


class Prepared:
    """A run of one sub-task of 20 rows, in batches of 5, whose output and records were taken away again."""

    def __init__(self, home: Path, **options: Any) -> None:
        pq.write_table(pa.table({"x": range(20)}), home / "input.parquet", row_group_size=10)
        settings = {"batch_size": 5, "output": str(home / "out"), "checkpoint": str(home / "runs"), **options}
        finished = pt.run(
            str(home / "input.parquet"), doubled, engine="serial", cost="rows", max_tasks=1, progress=False, report=False,
            **settings,
        )  # fmt: skip
        self.directory, self.out = RunDirectory(finished.url), home / "out"
        for record in finished.records:
            self.directory.uncommit(record.task_key)
            for folder in (self.out, Path(finished.url, "partials")):
                (folder / record.path).unlink(missing_ok=True)

    def attempt(self, number: int, care: Care = NO_CARE, key: str = "t000000", **facts: Any) -> Event:
        made = Attempt(key, 0, number, "serial", self.directory.url, key=self.directory.key, care=care, **facts)
        return run_attempt(made)

    def record(self, number: int, care: Care = NO_CARE, key: str = "t000000") -> CommitRecord:
        event = self.attempt(number, care, key)
        assert event.record is not None, event.error
        return event.record

    def values(self, record: CommitRecord) -> list[int]:
        return [y // 2 for y in pd.read_parquet(self.out / record.path)["y"]]


@pytest.fixture
def prepared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Prepared:
    monkeypatch.setattr(handover, "LOOK_SECONDS", 0.0)
    return Prepared(tmp_path)


def test_what_was_done_becomes_a_part_and_the_whole_is_given_up_at_that_row(prepared: Prepared) -> None:
    prepared.directory.ask_for_rest("t000000-a0")
    record = prepared.record(0)
    assert (record.task_key, record.part, record.rows_in, record.attempt_id) == (
        "t000000.00-05",
        (0, 5),
        5,
        "t000000-a0",
    )
    assert prepared.values(record) == [0, 1, 2, 3, 4]
    whole = prepared.directory.committed("t000000")
    assert whole is not None
    assert (whole.split, whole.cut, whole.part, whole.rows_in) == (True, 5, (5, 20), 0)


def test_only_the_attempt_that_is_asked_hands_over(prepared: Prepared) -> None:
    prepared.directory.ask_for_rest("t000000-a1")
    record = prepared.record(0)
    assert (record.task_key, record.part, record.rows_in) == ("t000000", None, 20)


def test_an_attempt_at_the_whole_that_comes_later_is_told_where_it_was_cut(prepared: Prepared) -> None:
    prepared.directory.ask_for_rest("t000000-a0")
    prepared.record(0)
    again = prepared.record(1)
    assert (again.task_key, again.split, again.cut) == ("t000000", True, 5)


def test_a_whole_that_another_committed_meanwhile_is_the_answer(
    prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared.directory.ask_for_rest("t000000-a0")
    interfering(prepared, monkeypatch, lambda: prepared.record(1))
    record = prepared.record(0)
    assert (record.task_key, record.split, record.rows_in, record.attempt_id) == ("t000000", False, 20, "t000000-a1")
    assert sorted(p.name for p in prepared.out.glob("part-*")) == ["part-t000000.parquet"]


def test_of_two_cuts_at_different_rows_the_first_counts(prepared: Prepared, monkeypatch: pytest.MonkeyPatch) -> None:
    prepared.directory.ask_for_rest("t000000-a0")
    monkeypatch.setattr(handover, "overtaken", cut_at_ten(handover.overtaken))
    record = prepared.record(0)
    assert (record.split, record.cut) == (True, 10)
    assert sorted(p.name for p in prepared.out.glob("part-*")) == ["part-t000000.parquet"]


def cut_at_ten(original: Any) -> Any:
    def overtaken(attempt: Attempt, loaded: Any, tally: Any) -> Any:
        handover.given_up(attempt.task_key, replace(attempt, number=9), loaded, 20, 10)
        return original(attempt, loaded, tally)

    return overtaken


def interfering(prepared: Prepared, monkeypatch: pytest.MonkeyPatch, meanwhile: Any) -> None:
    original = handover.overtaken

    def overtaken(*args: Any) -> Any:
        monkeypatch.setattr(handover, "overtaken", original)
        meanwhile()
        return original(*args)

    monkeypatch.setattr(handover, "overtaken", overtaken)


def test_a_driver_that_was_replaced_cuts_nothing(prepared: Prepared) -> None:
    prepared.directory.ask_for_rest("t000000-a0")
    prepared.directory.files.put("lease/000008.json", b"{}")
    event = prepared.attempt(0, epoch=7)
    assert event.error is not None
    assert event.error.type == "LeaseLost"
    assert list(prepared.out.glob("part-*")) == []


def test_with_the_last_batch_there_is_nothing_to_hand_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handover, "LOOK_SECONDS", 0.0)
    prepared = Prepared(tmp_path, batch_size=20)
    prepared.directory.ask_for_rest("t000000-a0")
    assert prepared.record(0).part is None


def test_rows_out_of_order_are_not_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handover, "LOOK_SECONDS", 0.0)
    prepared = Prepared(tmp_path, weight="x", max_batch_weight=40, sort_by_weight=True, batch_size=None)
    prepared.directory.ask_for_rest("t000000-a0")
    assert prepared.record(0).part is None


@pytest.mark.parametrize("care", [Care(isolate=True), Care(whole=0, rows=(0, 20)), Care(condemned="bad")])
def test_an_attempt_with_a_special_care_hands_nothing_over(prepared: Prepared, care: Care) -> None:
    prepared.directory.ask_for_rest("t000000-a0")
    assert prepared.record(0, care).rows_in == 20


def test_a_partial_result_is_one_of_the_rows_before_the_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handover, "LOOK_SECONDS", 0.0)
    prepared = Prepared(tmp_path, reducer="count", output=None)
    prepared.directory.ask_for_rest("t000000-a0")
    assert (prepared.record(0).part, prepared.record(1).split) == ((0, 5), True)
