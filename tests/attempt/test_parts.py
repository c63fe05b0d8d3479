"""Parts of a sub-task: which rows they read, and the whole that must not be committed beside them."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

import partitioner as pt
from partitioner.attempt.run import run_attempt
from partitioner.model import Attempt, Care, CommitRecord
from partitioner.store.run_directory import RunDirectory


def doubled(batch: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({"y": batch["x"] * 2})


@pytest.fixture
def prepared(tmp_path: Path) -> tuple[Path, Any]:
    """A finished run of one sub-task of 20 rows in four fragments, its output and records taken away again."""
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"x": range(20)}), tmp_path / "input.parquet", row_group_size=5)
    finished = pt.run(
        str(tmp_path / "input.parquet"), doubled, engine="serial", cost="rows", max_tasks=1, progress=False, report=False,
        checkpoint=str(tmp_path / "runs"), output=str(tmp_path / "out"),
    )  # fmt: skip
    directory = RunDirectory(finished.url)
    for record in finished.records:
        directory.uncommit(record.task_key)
        (tmp_path / "out" / record.path).unlink()
    return tmp_path, directory


def attempt(directory: Any, key: str, care: Care) -> CommitRecord:
    event = run_attempt(Attempt(key, 0, 0, "serial", directory.url, key=directory.key, care=care))
    assert event.record is not None, event.error
    return event.record


def rows(home: Path, record: CommitRecord) -> list[int]:
    return [y // 2 for y in pd.read_parquet(home / "out" / record.path)["y"]]


def test_parts_hold_their_rows_and_the_whole_is_given_up(prepared: tuple[Path, Any]) -> None:
    home, directory = prepared
    first = attempt(directory, "t000000.00-07", Care(whole=0, rows=(0, 7), split_from=("t000000",)))
    second = attempt(directory, "t000000.07-20", Care(whole=0, rows=(7, 20), split_from=("t000000",)))
    assert (rows(home, first), rows(home, second)) == (list(range(7)), list(range(7, 20)))
    assert (first.part, first.rows_in, second.rows_in) == ((0, 7), 7, 13)
    whole = attempt(directory, "t000000", Care())
    assert (whole.split, whole.rows_in) == (True, 0)


def test_a_whole_that_was_committed_before_is_what_the_part_finds(prepared: tuple[Path, Any]) -> None:
    home, directory = prepared
    whole = attempt(directory, "t000000", Care())
    found = attempt(directory, "t000000.00-07", Care(whole=0, rows=(0, 7), split_from=("t000000",)))
    assert replace(found) == whole
    assert not (home / "out" / "part-t000000.00-07.parquet").exists()


def test_counting_gives_the_whole_up_and_says_how_many_rows_there_are(prepared: tuple[Path, Any]) -> None:
    _, directory = prepared
    counted = attempt(directory, "t000000", Care(count=True))
    assert (counted.split, counted.part) == (True, (0, 20))


def test_rows_of_text_files_are_counted_and_divided(tmp_path: Path) -> None:
    with open(tmp_path / "input.csv", "w", newline="") as file:
        csv.writer(file).writerows([["x"], *([i] for i in range(100))])

    def greedy(batch: pd.DataFrame) -> pd.DataFrame:
        if len(batch) > 30:
            raise MemoryError("too many")
        return doubled(batch)

    finished = pt.run(
        str(tmp_path / "input.csv"), greedy, engine="serial", cost="bytes", max_tasks=1, progress=False, report=False,
        checkpoint=str(tmp_path / "runs"),
    )  # fmt: skip
    assert finished.result.to_pandas()["y"].tolist() == [2 * x for x in range(100)]
