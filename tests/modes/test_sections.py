"""Incremental runs over files that change in part: row groups whose content the output holds do not run again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import partitioner as pt
from connectors.parquet_sink import ParquetSink
from tests import programs
from tests.modes.schedule import Died, Schedule, die

ROWS = 20


class Groups(Schedule):
    """A schedule whose files are lists of row groups of twenty rows, told by their first value."""

    def groups(self, name: str, firsts: Sequence[int]) -> None:
        schema = pa.schema([("x", pa.int64())])
        with pq.ParquetWriter(self.home / "in" / f"{name}.parquet", schema) as writer:
            for first in firsts:
                writer.write_table(pa.table({"x": range(first, first + ROWS)}, schema=schema))

    def night(self, **options: Any) -> int:
        """Row groups that the program read; the output is checked against a fresh run."""
        run = self.start("incremental", **options)
        assert self.shown == self.expected
        assert run.result.to_pandas()["y"].tolist() == self.expected
        assert run.counts["rows_in"] == len(self.expected)
        return sum(record.rows_in for record in run.records) // ROWS


@pytest.fixture
def groups(tmp_path: Path) -> Groups:
    schedule = Groups(tmp_path)
    schedule.groups("a", [0, 100, 200, 300])
    schedule.groups("b", [1000, 1100])
    return schedule


def test_only_the_row_groups_that_changed_run(groups: Groups) -> None:
    assert groups.night() == 6
    groups.groups("a", [0, 100, 250, 300])  # one changed
    assert groups.night() == 1
    groups.groups("a", [0, 100, 250, 300, 400])  # one more
    assert groups.night() == 1
    groups.groups("a", [400, 0, 250, 250])  # another order, one gone, one twice
    groups.groups("b", [1100])
    assert groups.night() == 1
    assert groups.night() == 0


def test_the_output_of_another_night_is_the_same_file_by_file(groups: Groups, tmp_path: Path) -> None:
    groups.night()
    groups.groups("a", [0, 100, 250, 300])
    groups.night()
    fresh = Groups(tmp_path / "fresh")
    fresh.groups("a", [0, 100, 250, 300])
    fresh.groups("b", [1000, 1100])
    fresh.night()
    one, other = (pq.read_table(place.home / "out") for place in (groups, fresh))
    assert one.equals(other)


def test_a_night_that_was_killed_keeps_row_groups_when_it_goes_on(
    groups: Groups, monkeypatch: pytest.MonkeyPatch
) -> None:
    groups.night()
    groups.groups("a", [0, 150, 200, 350])
    with monkeypatch.context() as patch:
        patch.setattr(ParquetSink, "commit", die)
        with pytest.raises(Died):
            groups.start("incremental")
    assert groups.night() == 2


def test_reducers_merge_what_is_left_of_a_file(groups: Groups) -> None:
    options: dict[str, Any] = {"reducer": "mean", "program": programs.double}
    groups.start("incremental", **options)
    groups.groups("a", [0, 100, 250, 300])
    again = groups.start("incremental", **options)
    assert sum(record.rows_in for record in again.records) == ROWS
    assert again.result["y"] == sum(groups.expected) / len(groups.expected)


def test_quarantined_rows_of_row_groups_that_stay_still_count(tmp_path: Path) -> None:
    groups = Groups(tmp_path, program=programs.fails_on_negative, on_error="quarantine")
    groups.groups("a", [-2, 100])
    groups.start("incremental")
    groups.groups("a", [-2, 200])
    again = groups.start("incremental")
    assert dict(again.counts) == {"rows_in": 40, "rows_out": 38, "rows_written": 38, "quarantined": 2}
    assert sum(record.rows_in for record in again.records) == ROWS


def test_a_plan_tells_what_row_groups_save(groups: Groups) -> None:
    groups.night()
    groups.groups("a", [0, 100, 250, 300])
    settings = {"mode": "incremental", "output": str(groups.home / "out"), "cost": "rows", "workers": 2}
    plan = pt.plan(str(groups.home / "in"), programs.double, **settings)
    told = (
        "runs 1 of 2 files (16.7% of the bytes), keeps the rows of 1 and of 3 row groups of files that changed in part"
    )
    assert told in plan.explain()
