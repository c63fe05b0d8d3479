"""Quarantined rows, mended and put into the output that they were missing from."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import partitioner as pt
from partitioner.commands.quarantine import retry
from partitioner.errors import ConfigError
from partitioner.output import versions
from partitioner.runs import quarantine
from tests import programs

TABLE = pa.table({"x": [1, -2, 3, -4, 5, 6]})
GOOD = [2, 6, 10, 12]


def run(home: Path, **options: Any) -> pt.Run:
    places = {"output": str(home / "out"), "checkpoint": str(home / "runs"), **options}
    settings: dict[str, Any] = {"cost": "rows", "max_tasks": 2, "engine": "serial", "on_error": "quarantine"}
    return pt.run(TABLE, programs.fails_on_negative, progress=False, report=False, **{**settings, **places})


def shown(home: Path) -> list[int]:
    return list(pq.read_table(home / "out")["y"].to_pylist())


def test_mended_rows_join_the_output_and_the_counts(tmp_path: Path) -> None:
    finished = run(tmp_path)
    assert shown(tmp_path) == GOOD
    retry(finished.directory, merge=True, program=programs.double)
    assert shown(tmp_path) == [*GOOD, -4, -8]
    facts = finished.directory.finished()
    assert facts is not None
    assert facts["counts"] == {"rows_in": 6, "rows_out": 6, "rows_written": 6, "quarantined": 0}
    assert quarantine.rows_of(finished.directory).num_rows == 0
    with pytest.raises(ConfigError, match="has no quarantined rows"):
        retry(finished.directory, merge=True)


def fails_on_four(batch: pd.DataFrame) -> pd.DataFrame:
    if (batch["x"] == -4).any():
        raise ValueError("still four")
    return programs.double(batch)


def test_what_fails_again_stays_in_quarantine(tmp_path: Path) -> None:
    finished = run(tmp_path)
    retry(finished.directory, merge=True, program=fails_on_four)
    assert shown(tmp_path) == [*GOOD, -4]
    assert quarantine.rows_of(finished.directory).to_pylist() == [{"x": -4, "_error": "ValueError: still four"}]
    retry(finished.directory, merge=True, program=programs.double)
    assert shown(tmp_path) == [*GOOD, -4, -8]


def test_rows_that_are_not_mended_yet_fail_no_pilot(tmp_path: Path) -> None:
    finished = run(tmp_path, cost="auto")
    told = json.loads((Path(finished.url) / "run.json").read_text())
    told["config"]["cost"] = "calibrate"
    (Path(finished.url) / "run.json").write_text(json.dumps(told))
    again = retry(finished.directory)
    assert (again.exit_code, again.quarantined) == (5, 2)


def test_rows_without_an_output_of_their_own_are_merged_in_the_run_directory(tmp_path: Path) -> None:
    finished = run(tmp_path, output=None)
    retry(finished.directory, merge=True, program=programs.double)
    assert pq.read_table(Path(finished.url) / "output")["y"].to_pylist() == [*GOOD, -4, -8]


def test_a_retry_tries_every_row_that_was_set_aside(tmp_path: Path) -> None:
    finished = run(tmp_path, sample=0.99, seed=3, filter="x != 5", limit=4, name="nightly", max_quarantined=3)
    aside = quarantine.rows_of(finished.directory)["x"].to_pylist()
    again = retry(finished.directory, program=programs.double)
    assert (aside, again.result.to_pandas()["y"].tolist()) == ([-2, -4], [-4, -8])
    assert again.directory.description()["config"]["name"] is None


def test_the_next_incremental_night_holds_what_was_mended(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name, rows in (("a", [1, -2, 3]), ("b", [7])):
        pq.write_table(pa.table({"x": rows}), tmp_path / "in" / f"{name}.parquet")

    def night() -> pt.Run:
        places = {"output": str(tmp_path / "out"), "checkpoint": str(tmp_path / "runs")}
        settings: dict[str, Any] = {"cost": "rows", "engine": "serial", "on_error": "quarantine", "mode": "incremental"}
        return pt.run(
            str(tmp_path / "in"),
            FailsUntil,
            arguments={"mended": str(tmp_path / "mended")},
            progress=False,
            **settings,
            **places,
        )

    finished = night()
    (tmp_path / "mended").touch()
    retry(finished.directory, merge=True)
    assert shown(tmp_path) == [2, 6, 14, -4]
    assert night().counts["quarantined"] == 0
    assert shown(tmp_path) == [2, -4, 6, 14]


def test_rows_of_earlier_nights_are_in_the_quarantine_of_the_last(tmp_path: Path) -> None:
    run(tmp_path, mode="append")
    finished = run(tmp_path, mode="append")
    assert quarantine.rows_of(finished.directory)["x"].to_pylist() == [-2, -4, -2, -4]
    retry(finished.directory, merge=True, program=programs.double)
    assert shown(tmp_path) == [*GOOD, *GOOD, -4, -8, -4, -8]
    assert quarantine.rows_of(run(tmp_path, mode="append").directory)["x"].to_pylist() == [-2, -4]


@pytest.mark.parametrize("output", ["out", None])
def test_a_run_whose_rows_were_mended_answers_with_them(tmp_path: Path, output: str | None) -> None:
    place = None if output is None else str(tmp_path / output)
    finished = run(tmp_path, output=place, name="nightly", mode="resume")
    retry(finished.directory, merge=True, program=programs.double)
    again = run(tmp_path, output=place, name="nightly", mode="resume")
    assert (again.run_id, again.result.to_pandas()["y"].tolist()) == (finished.run_id, [*GOOD, -4, -8])


def test_a_single_result_cannot_be_mended(tmp_path: Path) -> None:
    finished = run(tmp_path, reducer="mean")
    with pytest.raises(ConfigError, match="made one result of all rows, to which no rows can be added"):
        retry(finished.directory, merge=True, program=programs.double)


async def one_row(row: dict[str, Any]) -> int:
    if row["x"] == -4:
        raise ValueError("no")
    return int(row["x"])


async def any_row(row: dict[str, Any]) -> int:
    return int(row["x"])


def test_an_async_program_gets_single_rows_again_when_it_is_tried_again(tmp_path: Path) -> None:
    finished = pt.run(
        TABLE, one_row, cost="rows", engine="serial", on_error="quarantine", checkpoint=str(tmp_path), progress=False
    )
    again = retry(finished.directory, program=any_row)
    assert again.result.to_pandas()["result"].tolist() == [-4]


class FailsUntil:
    """Fails on negative rows until a file is there, as where a service was down."""

    def __init__(self, mended: str) -> None:
        self.mended = Path(mended)

    def __call__(self, batch: pd.DataFrame) -> pd.DataFrame:
        return programs.double(batch) if self.mended.exists() else programs.fails_on_negative(batch)


class Died(BaseException):
    """Stands for the end of the driver."""


def die(*_: object) -> None:
    raise Died


def test_a_death_before_the_merge_counts_leaves_output_and_quarantine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finished = run(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(versions, "commit", die)
        with pytest.raises(Died):
            retry(finished.directory, merge=True, program=programs.double)
    assert shown(tmp_path) == GOOD
    assert quarantine.rows_of(finished.directory).num_rows == 2
    retry(finished.directory, merge=True, program=programs.double)
    assert shown(tmp_path) == [*GOOD, -4, -8]


def test_an_output_that_another_run_wrote_since_is_not_touched(tmp_path: Path) -> None:
    first = run(tmp_path)
    run(tmp_path, mode="overwrite")
    with pytest.raises(ConfigError, match=r"was written by run .* since, not by run .*--no-merge"):
        retry(first.directory, merge=True, program=programs.double)
    assert retry(first.directory, program=programs.double).result.to_pandas()["y"].tolist() == [-4, -8]
