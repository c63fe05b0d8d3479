"""Outputs of input without rows, or without rows in some places, have the columns of the program all the same."""

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import partitioner as pt


def halved(batch: pd.DataFrame) -> pd.DataFrame:
    return batch.assign(y=batch["id"] / 2)


def first_value(batch: pd.DataFrame) -> pd.DataFrame:
    return batch.assign(first=batch["id"].iloc[0])


def run(home: Path, program: Any = halved, **options: Any) -> pt.Run:
    (home / "in").mkdir(exist_ok=True)
    for i, name in enumerate("ab"):
        (home / "in" / f"{name}.csv").write_text("id\n" + "".join(f"{10 * i + j}\n" for j in range(3)))
    settings = {"output": str(home / "out"), "checkpoint": str(home / "runs"), "cost": "bytes", "engine": "serial"}
    fixed = {"progress": False, "report": False, "max_tasks": 2, "min_tasks_per_slot": 2}
    return pt.run(program=program, **{"dataset": str(home / "in"), **settings, **fixed, **options})


def test_a_file_without_rows_has_the_columns_of_the_others(tmp_path: Path) -> None:
    finished = run(tmp_path, filter="id >= 10")
    assert [pq.read_schema(path).names for path in finished.result.paths] == [["id", "y"], ["id", "y"]]
    assert pq.read_table(tmp_path / "out").to_pydict() == {"id": [10, 11, 12], "y": [5.0, 5.5, 6.0]}


@pytest.mark.parametrize("mode", ["error", "overwrite", "incremental"])
def test_where_no_row_is_left_the_columns_are_those_that_the_program_makes_of_none(tmp_path: Path, mode: str) -> None:
    finished = run(tmp_path, filter="id > 99", mode=mode)
    schema = pa.schema([("id", pa.int64()), ("y", pa.float64())])
    assert (finished.result.schema, finished.result.rows) == (schema, 0)
    assert pq.read_table(tmp_path / "out").schema.remove_metadata() == schema


@pytest.mark.parametrize("mode", ["error", "overwrite"])
def test_input_without_rows_gives_files_with_columns(tmp_path: Path, mode: str) -> None:
    pq.write_table(pa.table({"id": pa.array([], pa.int64())}), tmp_path / "none.parquet")
    for output in ("out", "out.csv"):
        finished = run(tmp_path, dataset=str(tmp_path / "none.parquet"), output=str(tmp_path / output), mode=mode)
        assert finished.counts["rows_in"] == 0
    assert pq.read_table(tmp_path / "out").column_names == ["id", "y"]
    assert (tmp_path / "out.csv").read_text() == '"id","y"\n'


def test_rows_of_the_next_night_follow_an_output_without_rows(tmp_path: Path) -> None:
    run(tmp_path, filter="id > 99", mode="overwrite")
    run(tmp_path, mode="append")
    assert pq.read_table(tmp_path / "out").to_pydict()["y"] == [0.0, 0.5, 1.0, 5.0, 5.5, 6.0]


def test_a_program_that_takes_no_empty_batch_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    finished = run(tmp_path, first_value, filter="id > 99")
    assert (finished.exit_code, finished.result.rows, finished.result.schema) == (0, 0, None)
    assert (
        "the input has no rows, and the output no columns: asked what it makes of none, the program failed (Index"
        in (capsys.readouterr().err)
    )
