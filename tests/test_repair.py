"""Quarantined rows, mended and put into the output that they were missing from."""

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import partitioner as pt
from partitioner.errors import ConfigError
from partitioner.output import versions
from partitioner.runs import quarantine
from tests import programs

TABLE = pa.table({"x": [1, -2, 3, -4, 5, 6]})
GOOD = [2, 6, 10, 12]


def run(home: Path, **options: Any) -> pt.Run:
    places = {"output": str(home / "out"), "checkpoint": str(home / "runs"), **options}
    settings: dict[str, Any] = {"cost": "rows", "max_tasks": 2, "engine": "serial", "on_error": "quarantine"}
    return pt.run(TABLE, programs.fails_on_negative, progress=False, report=False, **settings, **places)


def shown(home: Path) -> list[int]:
    return list(pq.read_table(home / "out")["y"].to_pylist())


def test_mended_rows_join_the_output_and_the_counts(tmp_path: Path) -> None:
    finished = run(tmp_path)
    assert shown(tmp_path) == GOOD
    quarantine.retry(finished.directory, merge=True, program=programs.double)
    assert shown(tmp_path) == [*GOOD, -4, -8]
    facts = finished.directory.finished()
    assert facts is not None
    assert facts["counts"] == {"rows_in": 6, "rows_out": 6, "rows_written": 6, "quarantined": 0}
    assert quarantine.rows_of(finished.directory).num_rows == 0
    with pytest.raises(ConfigError, match="has no quarantined rows"):
        quarantine.retry(finished.directory, merge=True)


def fails_on_four(batch: pd.DataFrame) -> pd.DataFrame:
    if (batch["x"] == -4).any():
        raise ValueError("still four")
    return programs.double(batch)


def test_what_fails_again_stays_in_quarantine(tmp_path: Path) -> None:
    finished = run(tmp_path)
    quarantine.retry(finished.directory, merge=True, program=fails_on_four)
    assert shown(tmp_path) == [*GOOD, -4]
    assert quarantine.rows_of(finished.directory).to_pylist() == [{"x": -4, "_error": "ValueError: still four"}]
    quarantine.retry(finished.directory, merge=True, program=programs.double)
    assert shown(tmp_path) == [*GOOD, -4, -8]


def test_rows_without_an_output_of_their_own_are_merged_in_the_run_directory(tmp_path: Path) -> None:
    finished = run(tmp_path, output=None)
    quarantine.retry(finished.directory, merge=True, program=programs.double)
    assert pq.read_table(Path(finished.url) / "output")["y"].to_pylist() == [*GOOD, -4, -8]


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
            quarantine.retry(finished.directory, merge=True, program=programs.double)
    assert shown(tmp_path) == GOOD
    assert quarantine.rows_of(finished.directory).num_rows == 2
    quarantine.retry(finished.directory, merge=True, program=programs.double)
    assert shown(tmp_path) == [*GOOD, -4, -8]


def test_an_output_that_another_run_wrote_since_is_not_touched(tmp_path: Path) -> None:
    first = run(tmp_path)
    run(tmp_path, mode="overwrite")
    with pytest.raises(ConfigError, match=r"was written by run .* since, not by run .*--no-merge"):
        quarantine.retry(first.directory, merge=True, program=programs.double)
    assert quarantine.retry(first.directory, program=programs.double).result.to_pandas()["y"].tolist() == [-4, -8]
