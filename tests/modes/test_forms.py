"""Every mode for outputs that are not the sub-tasks' own Parquet files: CSV, JSON lines, Arrow, folders by value, tables."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.dataset as ds
import pytest
from deltalake import DeltaTable, write_deltalake

from partitioner.commands.quarantine import retry
from partitioner.errors import OutputExists
from partitioner.storage import Directory
from tests import programs
from tests.modes.schedule import Died, Schedule, die


def halves(rows: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({"y": rows["x"] * 2, "c": ["even" if x % 2 == 0 else "odd" for x in rows["x"]]})


FORMS: dict[str, dict[str, Any]] = {
    "csv file": {"output": "x.csv"},
    "jsonl file": {"output": "x.jsonl"},
    "csv folder": {"format": "csv"},
    "arrow folder": {"format": "arrow", "rows_per_file": 70},
    "by value": {"partition_by": ["c"]},
}


class Place(Schedule):
    """The schedule with an output of another form, and what its own reader finds there."""

    def __init__(self, home: Path, form: str) -> None:
        options = dict(FORMS[form])
        self.place = home / options.pop("output", "out")
        self.kind = options.get("format", self.place.suffix.removeprefix(".") or "parquet")
        super().__init__(home, program=halves, output=str(self.place), **options)
        for i, name in enumerate("abc"):
            self.file(name, 1000 * i)

    @property
    def wanted(self) -> list[int]:
        """What a fresh run gives; folders by value have an order of their own."""
        return sorted(self.expected) if self.kind == "parquet" else self.expected

    @property
    def shown(self) -> list[int]:
        if self.kind == "jsonl":
            return list(pd.read_json(self.place, lines=True)["y"])
        by_value = "hive" if self.kind == "parquet" else None
        table = ds.dataset(self.place, format=self.kind, partitioning=by_value).to_table()
        return sorted(table["y"].to_pylist()) if by_value else list(table["y"].to_pylist())


@pytest.fixture(params=list(FORMS))
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return Place(tmp_path, request.param)


def test_every_mode_of_every_form(place: Place) -> None:
    place.start("error")
    place.file("d", 3000)
    run = place.start("incremental")
    assert place.shown == place.wanted
    (place.home / "in" / "a.parquet").unlink()
    place.file("b", 7000, 150)
    run = place.start("incremental")
    assert sum(record.rows_in for record in run.records) == 150
    assert place.shown == place.wanted
    assert run.result.to_pandas()["y"].tolist() == place.expected
    place.start("append")
    both = place.expected + place.expected
    assert place.shown == (sorted(both) if place.kind == "parquet" else both)
    place.start("overwrite")
    assert place.shown == place.wanted


@pytest.mark.parametrize("form", ["csv file", "by value"])
@pytest.mark.parametrize("moment", ["_parts", "versions.commit", "show"])
def test_a_driver_that_dies_while_it_finishes_appends_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str, moment: str
) -> None:
    place = Place(tmp_path, form)
    place.start("append")
    before = place.shown
    with monkeypatch.context() as patch:
        patch.setattr(f"partitioner.output.finishing.{moment}", die)
        with pytest.raises(Died):
            place.start("append")
    assert place.shown == before
    place.start("append" if moment != "show" else "resume")
    assert sorted(place.shown) == sorted(before + before)


@pytest.mark.parametrize("form", ["csv file", "by value"])
def test_a_reader_sees_the_old_or_the_new_output(tmp_path: Path, form: str) -> None:
    place = Place(tmp_path, form)
    place.start("overwrite")
    states: list[list[int]] = [place.wanted]
    seen: list[list[int]] = []
    ended = threading.Event()

    def read() -> None:
        while not ended.is_set():
            try:
                seen.append(place.shown)
            except FileNotFoundError:
                continue  # it listed the old folder; readers start again

    reader = threading.Thread(target=read)
    reader.start()
    for first in (20_000, 40_000):
        for i, name in enumerate("abc"):
            place.file(name, first + 1000 * i)
        states.append(place.wanted)
        place.start("overwrite")
    ended.set()
    reader.join()
    assert len(seen) > 2
    assert [(len(s), s[:3], s[-3:]) for s in seen if s not in states] == []


def test_a_form_that_changes_is_written_anew(tmp_path: Path) -> None:
    place = Place(tmp_path, "csv folder")
    place.start("append")
    place.start("append", format="jsonl")
    names = sorted(path.name for path in place.place.glob("[!_]*"))
    assert names == ["part-000002-00000.jsonl"]
    assert list(pd.read_json(place.place / names[0], lines=True)["y"]) == place.expected * 2


def test_a_file_that_no_run_wrote_is_left_alone(tmp_path: Path) -> None:
    place = Place(tmp_path, "csv file")
    place.start("error")
    place.place.write_text("precious")
    for mode in ("overwrite", "append", "incremental"):
        with pytest.raises(OutputExists, match=r"x\.csv is there, and no run below .* wrote it as it is now"):
            place.start(mode)
    assert place.place.read_text() == "precious"


def test_what_the_rows_of_another_form_came_from_is_needed_to_add_to_them(tmp_path: Path) -> None:
    place = Place(tmp_path, "csv folder")
    first = place.start("error")
    Directory(first.url).remove()
    with pytest.raises(OutputExists, match=r"whose directory .* with the rows is gone; mode='overwrite'"):
        place.start("append")
    place.start("overwrite")
    assert place.shown == place.expected


def test_one_file_on_an_object_store_is_replaced(tmp_path: Path, s3: str) -> None:
    place = Place(tmp_path, "csv file")
    url = f"{s3}/{tmp_path.name}-form"
    for first in (0, 5000):
        place.file("a", first)
        place.start("incremental", output=f"{url}/x.csv", checkpoint=f"{url}/runs")
        found = pyarrow.csv.read_csv(pa.BufferReader(Directory(url).get("x.csv")))
        assert found["y"].to_pylist() == place.expected


def test_an_incremental_table_holds_what_a_fresh_run_gives(tmp_path: Path) -> None:
    place = Schedule(tmp_path, format="delta")
    for i, name in enumerate("abc"):
        place.file(name, 1000 * i)
    place.start("incremental")
    place.file("b", 7000, 150)
    (tmp_path / "in" / "a.parquet").unlink()
    run = place.start("incremental")
    assert sum(record.rows_in for record in run.records) == 150
    assert sorted(DeltaTable(tmp_path / "out").to_pyarrow_table()["y"].to_pylist()) == sorted(place.expected)
    assert DeltaTable(tmp_path / "out").version() == 1


def test_mended_rows_join_an_output_of_any_form(tmp_path: Path) -> None:
    place = Place(tmp_path, "csv file")
    place.file("a", -2, 10)
    first = place.start("overwrite", program=programs.fails_on_negative, on_error="quarantine")
    retry(first.directory, merge=True, program=programs.double)
    assert sorted(place.shown) == sorted(place.expected)


def test_a_table_that_is_appended_to_every_night_goes_on_with_its_unfinished_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Schedule(tmp_path, format="delta")
    place.file("a", 0)
    place.start("append")
    with monkeypatch.context() as patch:
        patch.setattr("partitioner.runs.results.to_table", die)
        with pytest.raises(Died):
            place.start("append")
    again = place.start("append")
    assert again.attempted == 0
    assert sorted(DeltaTable(tmp_path / "out").to_pyarrow_table()["y"].to_pylist()) == sorted(place.expected * 2)


def test_resume_does_not_add_to_a_table_of_others(tmp_path: Path) -> None:
    place = Schedule(tmp_path, format="delta")
    place.file("a", 0)
    write_deltalake(tmp_path / "out", pa.table({"y": [1]}))
    with pytest.raises(OutputExists, match=r"table .* is there already"):
        place.start("resume")
    assert DeltaTable(tmp_path / "out").to_pyarrow_table()["y"].to_pylist() == [1]


def test_rows_that_were_put_together_by_weight_are_in_order_in_every_version(tmp_path: Path) -> None:
    schedule = Schedule(tmp_path, split="by_weight", weight="(x * 7919) % 101", batch_size=10)
    for i, name in enumerate("abc"):
        schedule.file(name, 1000 * i)
    schedule.start("overwrite")
    assert schedule.shown == schedule.expected
    before = schedule.expected
    schedule.file("a", 5000)
    run = schedule.start("append")
    assert schedule.shown == before + schedule.expected
    assert run.result.to_pandas()["y"].tolist() == before + schedule.expected


def test_rows_are_added_to_those_of_a_first_run_by_weight(tmp_path: Path) -> None:
    schedule = Schedule(tmp_path, split="by_weight", weight="(x * 7919) % 101", batch_size=10)
    schedule.file("a", 0)
    schedule.start("error")
    before = schedule.expected
    schedule.start("append")
    assert schedule.shown == before + schedule.expected


@pytest.mark.parametrize("mode", ["overwrite", "append"])
def test_a_reducer_of_rows_by_weight_has_versions(tmp_path: Path, mode: str) -> None:
    schedule = Schedule(tmp_path, split="by_weight", weight="(x * 7919) % 101", batch_size=10, reducer="count")
    schedule.file("a", 0)
    assert schedule.start("overwrite").result == 100
    assert schedule.start(mode).result == {"overwrite": 100, "append": 200}[mode]
