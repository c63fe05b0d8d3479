"""Runs that can be repeated: every mode of an output, and ten nights of a schedule."""

import json
import os
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import partitioner as pt
from connectors.parquet_sink import ParquetSink
from tests import programs
from tests.modes.schedule import Died, Schedule, die


def test_overwrite_replaces_and_append_adds(night: Schedule) -> None:
    assert night.start("overwrite").result.to_pandas()["y"].tolist() == night.expected == night.shown
    night.file("a", 5000)
    assert len(night.start("overwrite").result) == 300
    assert night.shown == night.expected
    before = night.expected
    added = night.start("append")
    assert night.shown == before + night.expected == added.result.to_pandas()["y"].tolist()
    assert added.counts == {"rows_in": 600, "rows_out": 600, "rows_written": 600, "quarantined": 0}
    assert json.loads((night.home / "out" / "_manifest.json").read_text())["counts"] == added.counts


@pytest.mark.parametrize("mode", ["overwrite", "append", "incremental"])
def test_every_mode_goes_on_from_an_output_of_mode_error(night: Schedule, mode: str) -> None:
    night.start("error")
    before = night.shown
    night.start(mode)
    assert night.shown == (before if mode == "append" else []) + night.expected


def test_ten_nights_equal_ten_fresh_runs(night: Schedule, monkeypatch: pytest.MonkeyPatch) -> None:
    """New, changed and deleted files, one night killed, one started twice, one without any change."""

    def change(n: int) -> None:
        {
            1: lambda: night.file("d", 3000),
            2: lambda: night.file("b", 7000, 150),
            3: lambda: (night.home / "in" / "a.parquet").unlink(),
            4: lambda: night.file("ab", 9000, 30),
            5: lambda: night.file("c", 11_000, 10),
            6: lambda: night.file("e", 12_000),
            8: lambda: (night.home / "in" / "d.parquet").unlink(),
            9: lambda: night.file("a", 13_000),
        }.get(n, lambda: None)()

    read = []
    for n in range(10):
        change(n)
        if n == 5:
            with monkeypatch.context() as patch:
                patch.setattr(ParquetSink, "commit", die)
                with pytest.raises(Died):
                    night.start("incremental")
        finished = night.start("incremental")
        if n == 6:
            assert night.start("incremental").attempted == 0
        assert finished.result.to_pandas()["y"].tolist() == night.expected
        assert night.shown == night.expected
        assert finished.counts["rows_in"] == len(night.expected)
        read.append(sum(record.rows_in for record in finished.records))
    assert read == [300, 100, 150, 0, 30, 10, 100, 0, 0, 100]


def test_one_changed_file_of_a_hundred_costs_its_own_rows(tmp_path: Path) -> None:
    schedule = Schedule(tmp_path)
    for i in range(100):
        schedule.file(f"f{i:03d}", 100 * i)
    schedule.start("incremental")
    schedule.file("f050", 77_000)
    again = schedule.start("incremental")
    assert sum(record.rows_in for record in again.records) == 100
    assert again.counts["rows_in"] == 10_000
    assert schedule.shown == schedule.expected


def test_other_code_or_settings_keep_nothing(night: Schedule) -> None:
    night.start("incremental")
    assert sum(r.rows_in for r in night.start("incremental", batch_format="arrow", program=same).records) == 300
    assert sum(r.rows_in for r in night.start("incremental", batch_format="arrow", program=same).records) == 0


def same(batch: Any) -> Any:
    return batch


def test_rows_that_were_kept_and_are_gone_are_made_again(night: Schedule) -> None:
    first = night.start("incremental")
    os.unlink(f"{night.home}/out/{first.records[0].path}")
    night.start("incremental")
    assert night.shown == night.expected


def test_quarantined_rows_of_kept_files_still_count(tmp_path: Path) -> None:
    schedule = Schedule(tmp_path, program=programs.fails_on_negative, on_error="quarantine")
    schedule.file("a", -2, 10)
    schedule.file("b", 100, 10)
    assert (schedule.start("incremental").quarantined, len(schedule.shown)) == (2, 18)
    schedule.file("b", 200, 10)
    again = schedule.start("incremental")
    assert dict(again.counts) == {"rows_in": 20, "rows_out": 18, "rows_written": 18, "quarantined": 2}
    assert again.exit_code == 5


def filtered(batch: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({"y": batch["x"][batch["x"] % 3 == 0] * 2})


def test_a_program_that_filters_is_incremental_too(night: Schedule) -> None:
    options: dict[str, Any] = {"program": filtered, "allow_row_change": True}
    night.start("incremental", **options)
    night.file("b", 7000, 150)
    night.start("incremental", **options)
    assert night.shown == [y for y in night.expected if y % 6 == 0]


def test_a_plan_tells_what_an_incremental_run_saves(night: Schedule) -> None:
    night.start("incremental")
    night.file("d", 3000)
    plan = pt.plan(
        str(night.home / "in"),
        programs.double,
        mode="incremental",
        output=str(night.home / "out"),
        cost="rows",
        workers=2,
    )
    assert "runs 1 of 4 files (25.0% of the bytes), keeps the rows of 3" in plan.explain()
