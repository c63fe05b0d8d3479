"""One output has one schema: widened where that is safe, refused with column and both sub-tasks where it is not."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.dataset
import pytest

import partitioner as pt
from connectors.parquet_sink import ParquetSink
from partitioner.attempt.agreement import Agreement, Widened, agreed
from partitioner.errors import ProgramError, RunFailed
from partitioner.storage import Directory
from partitioner.store.run_directory import RunDirectory
from tests.modes.schedule import Died, die

ROWS = pa.table({"x": range(8)})


def test_a_column_that_no_file_holds_is_told_and_never_agreed(tmp_path: Path) -> None:
    agreement = Agreement(Directory(tmp_path))
    schema = pa.schema([("a", pa.int64()), ("b", pa.month_day_nano_interval())])
    with pytest.raises(ProgramError, match=r"the program returns column 'b' as month_day_nano_interval: .* Convert it"):
        agreement.admit(schema, "t000000")
    assert agreement.newest() is None


def batch(**columns: Any) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict(columns)


def in_turn(folder: Path, *batches: pa.RecordBatch) -> list[pa.RecordBatch]:
    """Each batch as the only one of a sub-task of its own, ``t0``, ``t1``, ..., by processes that share nothing."""
    return [next(agreed(iter([b]), Agreement(Directory(folder)), f"t{i}")) for i, b in enumerate(batches)]


def arrow(values: list[Any], kind: pa.DataType) -> pa.Array:
    return pa.array(values, kind)


WIDENED = {
    "int32 after int64": (arrow([1], pa.int64()), arrow([1], pa.int32()), pa.int64()),
    "int64 after int32": (arrow([1], pa.int32()), arrow([1], pa.int64()), pa.int64()),
    "double after int64": (arrow([1], pa.int64()), arrow([0.5], pa.float64()), pa.float64()),
    "int64 after double": (arrow([0.5], pa.float64()), arrow([1], pa.int64()), pa.float64()),
    "text after null": (arrow([None], pa.null()), arrow(["x"], pa.string()), pa.string()),
    "null after text": (arrow(["x"], pa.string()), arrow([None], pa.null()), pa.string()),
    "large text": (arrow(["x"], pa.string()), arrow(["x"], pa.large_string()), pa.large_string()),
    "text after a dictionary": (arrow(["x"], pa.string()).dictionary_encode(), arrow(["y"], pa.string()), pa.string()),
    "text after a view": (arrow(["x"], pa.string_view()), arrow(["y"], pa.string()), pa.large_string()),
    "lists of other lengths": (
        arrow([[1.0, 2.0]], pa.list_(pa.float64(), 2)),
        arrow([[1.0]], pa.list_(pa.float64(), 1)),
        pa.list_(pa.float64()),
    ),
    "a further field": (
        arrow([{"a": 1}], pa.struct([("a", pa.int64())])),
        arrow([{"a": 1, "b": "x"}], pa.struct([("a", pa.int64()), ("b", pa.string())])),
        pa.struct([("a", pa.int64()), ("b", pa.string())]),
    ),
}


@pytest.mark.parametrize("case", WIDENED)
def test_types_widen_where_nothing_is_lost(tmp_path: Path, case: str) -> None:
    first, second, expected = WIDENED[case]
    found = in_turn(tmp_path, batch(y=first), batch(y=second))[1]
    assert found.schema.field("y").type == expected
    assert found.column("y").to_pylist() == pa.array(second).cast(expected).to_pylist()


REFUSED = {
    "text after int": ([1], ["x"], "column 'y' as string in sub-task t1 and as int64 in sub-task t0"),
    "int after text": (["x"], [1], "column 'y' as int64 in sub-task t1 and as string in sub-task t0"),
    "bool after int": ([1], [True], "column 'y' as bool in sub-task t1 and as int64 in sub-task t0"),
    "bytes after text": (["x"], [b"x"], "column 'y' as binary in sub-task t1 and as string in sub-task t0"),
    "double after decimal": ([Decimal("0.1")], [0.1], "column 'y' as double in sub-task t1 and as decimal128"),
    "an int that no double holds": (
        [0.5],
        [2**60 + 1],
        "column 'y' of sub-task t1 is int64 and does not fit into the double of sub-task t0 exactly",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_brought_together_names_both_subtasks(tmp_path: Path, case: str) -> None:
    first, second, message = REFUSED[case]
    with pytest.raises(ProgramError, match=message):
        in_turn(tmp_path, batch(y=first), batch(y=second))


def test_columns_come_in_the_order_of_the_first(tmp_path: Path) -> None:
    assert in_turn(tmp_path, batch(a=[1], b=[2]), batch(b=[3], a=[4]))[1].to_pydict() == {"a": [4], "b": [3]}


def test_a_lacking_column_is_null_and_noted(tmp_path: Path) -> None:
    found = in_turn(tmp_path, batch(a=[1], b=["x"]), batch(a=[2]))[1]
    assert found.to_pydict() == {"a": [2], "b": [None]}
    newest = Agreement(Directory(tmp_path)).newest()
    assert newest is not None
    assert newest.lacking == {"b": "t1"}


def test_a_later_column_is_added_and_noted(tmp_path: Path) -> None:
    in_turn(tmp_path, batch(a=[1]), batch(a=[2], b=["x"]))
    newest = Agreement(Directory(tmp_path)).newest()
    assert newest is not None
    assert newest.schema == pa.schema([("a", pa.int64()), ("b", pa.string())])
    assert newest.lacking == {"b": "t0"}


def test_a_schema_that_grows_within_an_attempt_begins_it_again(tmp_path: Path) -> None:
    batches = [batch(y=[1]), batch(y=[0.5])]
    with pytest.raises(Widened):
        list(agreed(iter(batches), Agreement(Directory(tmp_path)), "t0"))
    again = list(agreed(iter(batches), Agreement(Directory(tmp_path)), "t0"))
    assert [b.column("y").to_pylist() for b in again] == [[1.0], [0.5]]


def test_an_attempt_without_rows_has_the_agreed_columns(tmp_path: Path) -> None:
    in_turn(tmp_path, batch(y=[1]))
    assert [b.schema for b in agreed(iter([]), Agreement(Directory(tmp_path)), "t1")] == [
        pa.schema([("y", pa.int64())])
    ]


def test_many_at_once_agree_on_one_schema(tmp_path: Path) -> None:
    kinds = [pa.int32(), pa.int64(), pa.float64(), pa.null()] * 3
    barrier = threading.Barrier(len(kinds))

    def admit(i: int) -> None:
        barrier.wait()
        Agreement(Directory(tmp_path)).admit(pa.schema([("y", kinds[i]), (f"c{i % 2}", pa.string())]), f"t{i}")

    threads = [threading.Thread(target=admit, args=(i,)) for i in range(len(kinds))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    newest = Agreement(Directory(tmp_path)).newest()
    assert newest is not None
    assert {f.name: f.type for f in newest.schema} == {"y": pa.float64(), "c0": pa.string(), "c1": pa.string()}


def run(program: Any, checkpoint: str, **options: Any) -> pt.Run:
    settings = {"cost": "rows", "max_tasks": 4, "engine": "serial", "progress": False, "report": False, **options}
    return pt.run(ROWS, program, checkpoint=checkpoint, **settings)


def text_in_the_end(rows: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({"y": rows["x"] if rows["x"].max() < 6 else rows["x"].astype(str)})


def test_a_run_of_int_here_and_text_there_fails_and_names_both(checkpoint: str) -> None:
    with pytest.raises(
        RunFailed, match=r"column 'y' as (large_)?string in sub-task t000003 and as int64 in sub-task t000000"
    ):
        run(text_in_the_end, checkpoint)


def double_in_the_end(rows: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({"y": rows["x"] if rows["x"].max() < 6 else rows["x"] / 2})


def test_a_run_that_widens_gives_one_type(checkpoint: str) -> None:
    table = run(double_in_the_end, checkpoint).result.to_table()
    assert table.schema.field("y").type == pa.float64()
    assert table["y"].to_pylist() == [0, 1, 2, 3, 4, 5, 3, 3.5]


@pytest.mark.parametrize("reader", ["arrow", "pandas", "duckdb"])
def test_plain_readers_see_one_type_where_a_run_widened_after_its_first_files(tmp_path: Path, reader: str) -> None:
    out = tmp_path / "out"
    done = run(double_in_the_end, str(tmp_path / "runs"), output=str(out))
    read = {
        "arrow": lambda: pyarrow.dataset.dataset(out).to_table()["y"].to_pylist(),
        "pandas": lambda: pd.read_parquet(out)["y"].tolist(),
        "duckdb": lambda: [y for (y,) in duckdb.sql(f"SELECT y FROM '{out}/*.parquet'").fetchall()],
    }
    assert read[reader]() == [0, 1, 2, 3, 4, 5, 3, 3.5]
    files = json.loads((out / "_manifest.json").read_text())["files"]
    assert [f["sha256"] for f in files] == [r.digest for r in done.records]
    assert done.directory.commits() == {r.task_key: r for r in done.records}
    assert not ParquetSink(str(out)).check(done.records, full=True)


def test_a_driver_that_dies_while_it_widens_files_leaves_what_a_resume_mends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(RunDirectory, "recommit", die)
        with pytest.raises(Died):
            run(double_in_the_end, str(tmp_path / "runs"), output=str(tmp_path / "out"))
    done = run(double_in_the_end, str(tmp_path / "runs"), output=str(tmp_path / "out"), mode="resume")
    assert pd.read_parquet(tmp_path / "out")["y"].tolist() == [0, 1, 2, 3, 4, 5, 3, 3.5]
    assert done.counts == {"rows_in": 8, "rows_out": 8, "rows_written": 8, "quarantined": 0}


def streaming(rows: pd.DataFrame) -> Iterator[dict[str, list[Any]]]:
    for x in rows["x"].tolist():
        yield {"y": [x if x < 7 else 0.5]}


def test_a_generator_is_written_piece_by_piece_and_widens(checkpoint: str) -> None:
    assert run(streaming, checkpoint).result.to_table()["y"].to_pylist() == [0, 1, 2, 3, 4, 5, 6, 0.5]


def streaming_too_few(rows: pd.DataFrame) -> Iterator[pd.DataFrame]:
    yield rows.iloc[1:]


def test_the_rows_of_a_generator_are_counted(checkpoint: str) -> None:
    with pytest.raises(RunFailed, match="got 8 rows and returned 7"):
        run(streaming_too_few, checkpoint, max_tasks=1)


def lacking_in_the_end(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(y=1) if rows["x"].max() < 6 else rows


def test_a_run_says_which_column_was_filled_with_null(checkpoint: str) -> None:
    with pytest.warns(UserWarning, match="column 'y' is null in the rows of sub-task t000003 and of any other that"):
        table = run(lacking_in_the_end, checkpoint).result.to_table()
    assert table["y"].to_pylist() == [1] * 6 + [None] * 2
