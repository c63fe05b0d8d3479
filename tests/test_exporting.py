"""The output in the form asked for: formats, one file, folders by value, rows per file, and back as other frames."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset
import pyarrow.feather
import pytest

import partitioner as pt
from partitioner.errors import ConfigError, OutputExists, RunFailed

TABLE = pa.table({"x": range(10), "c": ["a", "b"] * 5})
ROWS = TABLE.to_pylist()


def same(rows: pd.DataFrame) -> pd.DataFrame:
    return rows


def nested(rows: pd.DataFrame) -> list[dict[str, Any]]:
    return [{"v": [x], "b": b"\x01"} for x in rows["x"].tolist()]


def run(checkpoint: str, program: Any = same, table: pa.Table = TABLE, **options: Any) -> pt.Run:
    settings = {"cost": "rows", "max_tasks": 3, "engine": "serial", "progress": False, "report": False, **options}
    return pt.run(table, program, checkpoint=checkpoint, **settings)


def test_a_name_in_csv_is_one_csv_file(tmp_path: Path, checkpoint: str) -> None:
    finished = run(checkpoint, output=tmp_path / "x.csv")
    assert pd.read_csv(tmp_path / "x.csv").to_dict("records") == ROWS
    assert finished.result.paths == [str(tmp_path / "x.csv")]
    assert finished.result.to_table().to_pylist() == ROWS


def test_names_in_jsonl_and_arrow_are_one_file(tmp_path: Path, checkpoint: str) -> None:
    run(checkpoint, output=str(tmp_path / "x.jsonl"))
    assert [json.loads(line) for line in (tmp_path / "x.jsonl").read_text().splitlines()] == ROWS
    run(checkpoint, output=str(tmp_path / "x.arrow"))
    assert pyarrow.feather.read_table(tmp_path / "x.arrow").to_pylist() == ROWS


def test_a_file_that_is_there_is_not_overwritten(tmp_path: Path, checkpoint: str) -> None:
    (tmp_path / "x.csv").write_text("precious")
    with pytest.raises(OutputExists, match=r"x\.csv is there already; name another file"):
        run(checkpoint, output=str(tmp_path / "x.csv"))
    assert (tmp_path / "x.csv").read_text() == "precious"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"output": "x.xlsx"}, r"x\.xlsx ends in \.xlsx, which no format writes; there are \.csv"),
        ({"output": "x.csv", "format": "jsonl"}, "is named as csv, and format is jsonl"),
        ({"output": "x.csv", "partition_by": "c"}, "partition_by makes folders, and output .* is one file"),
        (
            {"output": "x.csv", "bytes_per_file": "1MB"},
            "bytes_per_file makes files in a folder, and output .* is one csv",
        ),
        ({"output": "x.csv", "rows_per_file": 5}, "rows_per_file makes files in a folder, and output .* is one csv"),
        ({"output": "out", "partition_by": ["c", "c"]}, "partition_by names 'c' more than once"),
        ({"output": "out", "partition_by": ["x", "c"]}, "partition_by names all columns that the program returns"),
        ({"output": "out", "program": nested, "partition_by": ["v"]}, "partition_by names 'v', which is list"),
        ({"output": "out", "bytes_per_file": 0}, "setting 'bytes_per_file' is 0: write bytes above 0"),
        ({"output": "x.csv", "reducer": "count"}, "is for rows, and the reducer gives one result"),
        (
            {"output": "out", "partition_by": ["d"]},
            "partition_by names 'd', which the program does not return; it returns x, c",
        ),
    ],
)
def test_what_cannot_be_written_is_refused_before_anything_runs(
    tmp_path: Path, checkpoint: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        run(checkpoint, **{**options, "output": f"{tmp_path}/{options['output']}"})
    assert not list(Path(checkpoint).glob("*/commits/*"))


def test_partitions_are_folders_that_others_read(tmp_path: Path, checkpoint: str) -> None:
    run(checkpoint, output=tmp_path / "out", partition_by="c")
    files = sorted(str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("part-*"))
    assert files == ["c=a/part-00000.parquet", "c=b/part-00000.parquet"]
    table = pyarrow.dataset.dataset(tmp_path / "out", partitioning="hive").to_table().sort_by("x")
    assert table.select(["x", "c"]).to_pylist() == ROWS


def one_by_one(rows: pd.DataFrame) -> Iterator[dict[str, Any]]:
    yield from rows.to_dict("records")


@pytest.mark.parametrize("program", [same, one_by_one])
def test_a_value_too_long_for_the_name_of_a_folder_fails_at_its_row(
    tmp_path: Path, checkpoint: str, program: Callable[..., Any]
) -> None:
    """Not in the end, when all is computed and no resume can mend it."""
    longest = "ü" * 42 + "a"  # c= and six bytes for each, 255 in all
    table = pa.table({"x": range(10), "c": [longest] * 9 + [longest + "a"]})
    said = r"the program returned 'ü{40}'\.\.\. \(44 characters\) for 'c'.*ends at 255 bytes; shorten the value"
    with pytest.raises(RunFailed, match=said):
        run(checkpoint, program, table, output=tmp_path / "none", partition_by="c")
    finished = run(checkpoint, program, table, output=tmp_path / "out", partition_by="c", on_error="quarantine")
    assert finished.counts["quarantined"] == 1
    kept = pyarrow.dataset.dataset(tmp_path / "out", partitioning="hive").to_table().sort_by("x")
    assert kept.select(["x", "c"]).to_pylist() == table.slice(0, 9).to_pylist()


def test_rows_per_file_join_small_outputs(tmp_path: Path, checkpoint: str) -> None:
    finished = run(checkpoint, output=tmp_path / "out", rows_per_file=8, max_tasks=10)
    rows = [pyarrow.dataset.dataset(path).count_rows() for path in finished.result.paths]
    assert rows == [8, 2]


WIDE = pa.table({"x": range(40_000), "c": [f"row {i % 977} of many" for i in range(40_000)]})


@pytest.mark.parametrize("form", ["csv", "jsonl", "arrow", "parquet"])
def test_bytes_per_file_are_met_by_what_rows_are_measured_to_take(tmp_path: Path, checkpoint: str, form: str) -> None:
    finished = run(checkpoint, table=WIDE, output=tmp_path / "out", format=form, bytes_per_file="60KB", max_tasks=9)
    sizes = [Path(path).stat().st_size for path in finished.result.paths]
    assert len(sizes) > 2
    assert all(0.8 * 60_000 < size < 1.2 * 60_000 for size in sizes[:-1])
    assert sizes[-1] < 1.2 * 60_000
    assert finished.result.to_table().equals(WIDE.cast(finished.result.schema))


def test_files_by_bytes_hold_the_rows_in_order_whatever_the_sub_tasks(tmp_path: Path, checkpoint: str) -> None:
    for name, tasks in (("one", 3), ("two", 7)):
        run(checkpoint, table=WIDE, output=tmp_path / name, format="jsonl", bytes_per_file=100_000, max_tasks=tasks)
    texts = ["".join(p.read_text() for p in sorted((tmp_path / n).glob("part-*"))) for n in ("one", "two")]
    assert texts[0] == texts[1]
    assert [json.loads(line)["x"] for line in texts[0].splitlines()] == list(range(40_000))
    one, two = ([p.stat().st_size for p in sorted((tmp_path / n).glob("part-*"))] for n in ("one", "two"))
    assert one == two


def test_rows_and_bytes_per_file_both_bound_a_file(tmp_path: Path, checkpoint: str) -> None:
    both = {"output": tmp_path / "out", "format": "csv", "bytes_per_file": "1MB", "rows_per_file": 4}
    assert [len(pd.read_csv(path)) for path in run(checkpoint, **both).result.paths] == [4, 4, 2]


def test_a_row_above_the_bytes_of_a_file_is_a_file(tmp_path: Path, checkpoint: str) -> None:
    finished = run(checkpoint, output=tmp_path / "out", format="csv", bytes_per_file=1)
    assert [len(pd.read_csv(path)) for path in finished.result.paths] == [1] * 10


def test_a_format_of_a_folder(tmp_path: Path, checkpoint: str) -> None:
    finished = run(checkpoint, output=tmp_path / "out", format="csv")
    assert finished.result.paths == [f"{tmp_path}/out/part-00000.csv"]
    assert (tmp_path / "out" / "_SUCCESS").exists()
    assert pd.read_csv(finished.result.paths[0]).to_dict("records") == ROWS


def test_nested_values_are_json_in_csv(tmp_path: Path, checkpoint: str) -> None:
    run(checkpoint, nested, output=tmp_path / "x.csv", table=TABLE.slice(0, 1))
    assert (tmp_path / "x.csv").read_text() == '"v","b"\n"[0]","01"\n'


def test_equal_runs_write_equal_bytes(tmp_path: Path, checkpoint: str) -> None:
    for name in ("one", "two"):
        run(checkpoint, output=tmp_path / name, partition_by="c", max_tasks=3 if name == "one" else 7)
    one, two = (
        {p.relative_to(d): p.read_bytes() for p in d.rglob("part-*")} for d in (tmp_path / "one", tmp_path / "two")
    )
    assert one == two


def test_an_output_is_whatever_frame_is_asked_for(checkpoint: str) -> None:
    output = run(checkpoint).result
    assert output.to_polars().equals(pl.DataFrame({"x": range(10), "c": ["a", "b"] * 5}))
    assert output.to_arrow().to_pylist() == ROWS
    assert output.to_dask().compute(scheduler="sync").to_dict("records") == ROWS
    assert output.head(3).to_dict("records") == ROWS[:3]
    assert [row for batch in output for row in batch.to_pylist()] == ROWS


@pytest.mark.spark
def test_an_output_is_a_spark_frame(checkpoint: str, spark: Any) -> None:
    frame = run(checkpoint).result.to_spark(spark)
    assert [row.asDict() for row in frame.orderBy("x").collect()] == ROWS
