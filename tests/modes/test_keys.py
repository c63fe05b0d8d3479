"""Incremental runs by key and watermark: each night's output is that of a fresh run over its input."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import partitioner as pt
from connectors.parquet_sink import ParquetSink
from partitioner.commands.quarantine import retry
from partitioner.engines.dask import DaskEngine
from partitioner.errors import ConfigError, DataError, RunFailed
from partitioner.output import finishing, versions
from partitioner.output.tracking import codes_of
from partitioner.output.weaving import Files, woven
from partitioner.splits import sizing
from partitioner.storage import Directory
from tests import programs
from tests.modes.schedule import Died, Schedule, die

BY = {"key": "id", "watermark": "at"}
TWELVE = {i: (0, 10 * i) for i in range(12)}


class Table(Schedule):
    """One table of rows with an id, the time they last changed, and a value; three row groups."""

    def rows(self, rows: Mapping[int, tuple[int | None, int]], groups: int = 3) -> None:
        columns = {"id": list(rows), "at": [at for at, _ in rows.values()], "x": [x for _, x in rows.values()]}
        table = pa.table({name: pa.array(values, pa.int64()) for name, values in columns.items()})
        size = max(-(-len(rows) // groups), 1)
        pq.write_table(table, self.home / "in" / "t.parquet", row_group_size=size)

    def night(self, **options: Any) -> int:
        """Rows that ran; the output is checked against a fresh run."""
        run = self.start("incremental", **options)
        if self.expected:
            assert self.shown == self.expected
            assert run.result.to_pandas()["y"].tolist() == self.expected
        assert len(run.result) == len(self.expected)
        assert run.counts["rows_in"] == len(self.expected)
        return sum(record.rows_in for record in run.records)


@pytest.fixture
def table(tmp_path: Path) -> Table:
    table = Table(tmp_path, columns=["x"], incremental=BY)
    table.rows(TWELVE)
    return table


def test_only_rows_with_a_new_key_or_another_watermark_run(table: Table) -> None:
    assert table.night() == 12
    table.rows(TWELVE | {5: (1, 7)})  # changed
    assert table.night() == 1
    rows = {i: row for i, row in TWELVE.items() if i not in (2, 3)} | {5: (1, 7), 20: (0, 3)}  # two gone, one late
    table.rows(rows)
    assert table.night() == 1
    table.rows(dict(sorted(rows.items(), reverse=True)), groups=2)  # another order, other row groups
    assert table.night() == 0


def test_few_changes_are_one_sub_task_of_every_slot(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the rows of the first night took says that more would not pay."""
    monkeypatch.setattr(sizing, "WORTH_SECONDS", 1e6)
    table.rows({i: (0, i) for i in range(2000)})
    limits = {"max_tasks": None, "min_tasks_per_slot": None}
    assert len(table.start("incremental", **limits).records) == 32
    table.rows({i: (i % 2, i) for i in range(2000)})
    done = table.start("incremental", **limits)
    assert [record.rows_in for record in done.records] == [1000]


NIGHTS = st.lists(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 3)), max_size=10, unique_by=lambda row: row[0]),
    min_size=2,
    max_size=3,
)


@settings(max_examples=3, deadline=None)
@given(NIGHTS)
def test_nights_of_any_changes_equal_fresh_runs(nights: list[list[tuple[int, int]]]) -> None:
    with tempfile.TemporaryDirectory() as home:
        table = Table(Path(home), columns=["x"], incremental=BY, batch_size=2)
        held: set[tuple[int, int]] = set()
        for rows in nights:
            table.rows({key: (at, 100 * key + at) for key, at in rows})
            assert table.night() == len(set(rows) - held)
            held = set(rows)
        fresh = table.start("error", incremental=None, output=f"{home}/fresh")
        last = table.start("incremental")
        assert last.attempted == 0
        assert last.result.to_table().equals(fresh.result.to_table())


def test_a_killed_night_goes_on_unless_its_input_changed(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    table.night()
    table.rows(TWELVE | {2: (1, 1), 9: (1, 2)})
    for broken in ((ParquetSink, "commit"), (finishing, "assembled_by_rows"), (versions, "commit")):
        with monkeypatch.context() as patch:
            patch.setattr(*broken, die)
            with pytest.raises(Died):
                table.start("incremental")
    assert len(list((table.home / "runs").iterdir())) == 2  # all went on with one run
    table.rows(TWELVE | {2: (1, 1), 9: (2, 3)})
    assert table.night() == 2
    assert len(list((table.home / "runs").iterdir())) == 3


def test_a_killed_night_is_finished_by_its_directory(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    table.night()
    table.rows(TWELVE | {2: (1, 1)})
    with monkeypatch.context() as patch:
        patch.setattr(versions, "commit", die)
        with pytest.raises(Died):
            table.start("incremental")
    (run,) = [path for path in (table.home / "runs").iterdir() if not (path / "finished.json").exists()]
    again = table.start("incremental", resume=str(run))
    assert again.attempted == 0
    assert table.shown == table.expected


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (
            {"id": [1, 2, 3], "at": [0, None, 0]},
            r"row 1 of .*t\.parquet row group 0 \[0:3\] \(id = 2\) has no at \(it is null\)",
        ),
        ({"id": [1, None], "at": [0, 0]}, r"row 1 of .* \(id = None\) has no id"),
        ({"id": [1, 2, 1], "at": [0, 0, 5]}, r"row 2 of .* \(id = 1\) has the key of row 0 of .*; a key is of one row"),
        ({"ident": [1], "at": [0]}, r"incremental\.key names column 'id'; there are ident, at.* Did you mean"),
    ],
)
def test_rows_that_cannot_be_told_apart_are_named(
    tmp_path: Path, rows: Mapping[str, list[int | None]], said: str
) -> None:
    table = Table(tmp_path, incremental=BY)
    pq.write_table(pa.table(dict(rows)), table.home / "in" / "t.parquet")
    with pytest.raises(DataError, match=said):
        table.start("incremental")
    assert not (tmp_path / "out" / "_manifest.json").exists()


def in_batches(batch: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({"y": batch["x"].rank()})


in_batches.row_wise = False  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"mode": "append"}, r"says how mode='incremental' tells rows, and mode is 'append'"),
        ({"incremental": {"key": "id"}}, r"write \{key: <column or columns>, watermark: <column>\}"),
        ({"allow_row_change": True}, r"replaces the one row that came of each key"),
        ({"preserve_order": False}, r"leave out preserve_order=False"),
        (
            {"split": {"split": "grouped", "key": "id"}},
            r"runs single rows again, and split .* rows that belong together",
        ),
        ({"program": in_batches}, r"the program declares row_wise = False"),
        ({"limit": 3}, r"holds all that the input has"),
    ],
)
def test_what_cannot_be_done_row_by_row_is_refused(table: Table, options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        table.start(options.get("mode", "incremental"), **{k: v for k, v in options.items() if k != "mode"})


def plan_of(table: Table, program: Callable[..., Any] = programs.double, **options: Any) -> str:
    settings = {"mode": "incremental", "output": str(table.home / "out"), "cost": "rows", "workers": 2, **table.options}
    return pt.plan(str(table.home / "in"), program, **{**settings, **options}).explain()


def test_a_plan_tells_rows_and_what_is_saved(table: Table) -> None:
    assert "runs all 12 rows: the output is empty" in plan_of(table)
    table.night()
    table.rows({i: row for i, row in TWELVE.items() if i > 1} | {5: (1, 7), 30: (0, 1)})
    told = plan_of(table)
    assert "runs 2 of 11 rows (18.2%): 1 new, 1 changed; keeps 9, drops 2 that are gone; saves " in told
    assert "s of sub-tasks, as measured when the kept rows ran" in told
    assert "runs all 11 rows: code or settings are others" in plan_of(table, programs.worker_facts)
    assert "runs all 11 rows: rows were told by other columns then" in plan_of(
        table, incremental={"key": ["id", "x"], "watermark": "at"}
    )


def test_rows_of_a_file_that_is_gone_run_again(table: Table) -> None:
    table.night()
    stored = sorted((table.home / "out" / "_versions" / "000001").glob("woven-*.parquet"))
    stored[0].unlink()
    assert table.night() == 12


def test_a_reducer_runs_the_pieces_again_that_hold_a_change(table: Table) -> None:
    options: dict[str, Any] = {"reducer": "mean", "columns": ["x"]}
    table.start("incremental", **options)
    table.rows(TWELVE | {5: (1, 7)})
    again = table.start("incremental", **options)
    fresh = table.start("error", **options, incremental=None, output=str(table.home / "fresh"))
    assert again.result == fresh.result
    assert sum(record.rows_in for record in again.records) == 4  # one of three row groups


def test_a_watermark_alone_adds_rows_above_the_highest(table: Table) -> None:
    options: dict[str, Any] = {"incremental": {"watermark": "at"}}
    table.rows({i: (i, 10 * i) for i in range(12)})
    assert table.night(**options) == 12
    table.rows({i: (i, 10 * i) for i in range(15)}, groups=5)
    assert table.night(**options) == 3
    assert table.night(**options) == 0
    table.rows({**{i: (i, 10 * i) for i in range(15)}, 77: (4, 1)})
    assert "the input has 16 rows and the output will be of 15" in plan_of(table, **options)
    assert table.start("incremental", **options).counts["rows_in"] == 15


def test_rows_by_weight_of_changed_keys_keep_their_order(table: Table) -> None:
    options = {"split": "by_weight", "weight": "(x * 7919) % 101", "batch_size": 2}
    assert table.night(**options) == 12
    table.rows(TWELVE | {1: (1, 5), 7: (1, 6), 8: (1, 7)})
    assert table.night(**options) == 3


def test_one_file_of_text_holds_the_rows_of_the_night(table: Table) -> None:
    output = str(table.home / "y.csv")
    table.start("incremental", output=output)
    table.rows(TWELVE | {5: (1, 7)})
    again = table.start("incremental", output=output)
    assert pyarrow.csv.read_csv(output)["y"].to_pylist() == table.expected
    assert sum(record.rows_in for record in again.records) == 1


def test_rows_in_quarantine_stay_there_until_they_change(table: Table) -> None:
    options = {"program": programs.fails_on_negative, "on_error": "quarantine"}
    table.rows(TWELVE | {3: (0, -1), 4: (0, -2)})
    first = table.start("incremental", **options)
    assert first.counts["quarantined"] == 2
    assert retry(first.directory).counts["quarantined"] == 2  # they fail as they did
    table.rows(TWELVE | {3: (0, -1), 4: (1, 40)})
    again = table.start("incremental", **options)
    assert dict(again.counts) == {"rows_in": 12, "rows_out": 11, "rows_written": 11, "quarantined": 1}
    assert sum(record.rows_in for record in again.records) == 1
    assert len(table.shown) == 11


def test_rows_of_a_database_are_told_by_key(tmp_path: Path) -> None:
    place = tmp_path / "t.db"
    with sqlite3.connect(place) as database:
        database.execute("CREATE TABLE t (id INTEGER, at TEXT, x INTEGER)")
        database.executemany("INSERT INTO t VALUES (?, 'monday', ?)", [(i, i) for i in range(40)])
    dataset = {"connector": "sql", "path": f"sqlite://{place}", "table": "t", "key": "id", "ranges": 4}
    options = {"checkpoint": str(tmp_path / "runs"), "engine": "serial", "cost": "rows", "mode": "incremental"}

    def night(**by: str) -> tuple[int, list[int]]:
        output = str(tmp_path / f"out-{len(by)}")
        run = pt.run(dataset, programs.double, output=output, progress=False, columns=["x"], incremental=by, **options)
        return sum(r.rows_in for r in run.records), run.result.to_pandas()["y"].tolist()

    assert night(**BY) == night(watermark="at") == (40, [2 * i for i in range(40)])
    with sqlite3.connect(place) as database:
        database.execute("UPDATE t SET x = 100, at = 'tuesday' WHERE id = 7")
        database.execute("DELETE FROM t WHERE id = 30")
        database.execute("INSERT INTO t VALUES (41, 'tuesday', 41)")
    assert night(**BY) == (2, [*(2 * (100 if i == 7 else i) for i in range(40) if i != 30), 82])
    added = [*(2 * i for i in range(40)), 200, 82]
    assert night(watermark="at") == (2, added)
    assert night(watermark="at") == (0, added)


def test_a_database_tells_no_update_without_a_key(tmp_path: Path) -> None:
    place = tmp_path / "t.db"
    with sqlite3.connect(place) as database:
        database.execute("CREATE TABLE t (id INTEGER, x INTEGER)")
        database.executemany("INSERT INTO t VALUES (?, ?)", [(i, i) for i in range(4)])
    dataset = {"connector": "sql", "path": f"sqlite://{place}", "table": "t", "key": "id"}
    options: dict[str, Any] = {"engine": "serial", "cost": "rows", "progress": False, "mode": "incremental"}
    places = {"output": str(tmp_path / "out"), "checkpoint": str(tmp_path / "runs")}
    for narrow in ({}, {"filter": "x > 1"}):
        with pytest.raises(ConfigError, match=r"does not tell whether a row was updated.*'watermark'"):
            pt.run(dataset, programs.double, columns=["x"], **narrow, **options, **places)
    assert not (tmp_path / "out").exists()


def test_a_frame_in_memory_is_told_by_two_columns_of_text(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": list("xxyy"), "b": list("pqpq"), "at": [0, 0, 0, 0], "x": range(4)})
    options: dict[str, Any] = {"engine": "serial", "cost": "rows", "progress": False, "mode": "incremental"}
    places = {"output": str(tmp_path / "out"), "checkpoint": str(tmp_path / "runs")}
    by = {"key": ["a", "b"], "watermark": "at"}
    pt.run(frame, programs.double, incremental=by, columns=["x"], **options, **places)
    frame.loc[2, ["at", "x"]] = [1, 50]
    again = pt.run(frame, programs.double, incremental=by, columns=["x"], **options, **places)
    assert again.result.to_pandas()["y"].tolist() == [0, 2, 100, 6]
    assert sum(record.rows_in for record in again.records) == 1


def test_nights_on_dask(table: Table, dask_engine: DaskEngine) -> None:
    table.night(engine=dask_engine)
    table.rows(TWELVE | {0: (1, 7), 11: (2, 8)})
    assert table.night(engine=dask_engine) == 2


def test_files_without_a_change_are_taken_as_they_are(tmp_path: Path) -> None:
    output = Directory(tmp_path)
    for name, first in (("a", 0), ("b", 100), ("c", 200)):
        pq.write_table(pa.table({"y": range(first, first + 10)}), tmp_path / f"{name}.parquet")
    pq.write_table(pa.table({"y": [999]}), tmp_path / "new.parquet")
    sizes = np.array([10, 10, 10, 1])
    files = Files([f"{n}.parquet" for n in ("a", "b", "c", "new")], sizes, sizes * 150_000, ["1", "2", "3", "4"], 3)
    file = np.repeat([0, 1, 3, 1, 2], [10, 4, 1, 5, 10])  # row 4 of b changed
    row = np.concatenate([np.arange(10), np.arange(4), [0], np.arange(5, 10), np.arange(10)])
    made, at, place = woven(output, 7, files, file, row)
    assert [f["stored"] for f in made] == ["a.parquet", "_versions/000007/woven-000001.parquet", "c.parquet"]
    held = pq.read_table(tmp_path / "_versions" / "000007" / "woven-000001.parquet")["y"].to_pylist()
    assert held == [100, 101, 102, 103, 999, 105, 106, 107, 108, 109]
    assert (at[13], place[13], at[14], place[14]) == (1, 3, 1, 4)


def halves(batch: pd.DataFrame) -> pd.DataFrame:
    """Whole numbers unless one of them is none."""
    y = batch["x"] / 4
    return pd.DataFrame({"y": y.astype(int) if (y % 1 == 0).all() else y})


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["a", "b", ""]), st.integers(-1, 1)), min_size=1, max_size=12))
def test_rows_have_equal_codes_where_all_columns_of_the_key_are_equal(rows: list[tuple[str, int]]) -> None:
    codes = codes_of([pa.chunked_array([list(column)]) for column in zip(*rows, strict=True)])
    for one, code in zip(rows, codes.tolist(), strict=True):
        assert [other == one for other in rows] == (codes == code).tolist()


@settings(max_examples=25, deadline=None)
@given(st.data(), st.lists(st.integers(1, 6), min_size=1, max_size=4))
def test_woven_files_hold_any_rows_in_any_order(data: st.DataObject, sizes: list[int]) -> None:
    all_rows = [(file, row) for file, size in enumerate(sizes) for row in range(size)]
    wanted = data.draw(st.one_of(st.permutations(all_rows), st.lists(st.sampled_from(all_rows), unique=True)))
    large, own = data.draw(st.booleans()), data.draw(st.integers(0, len(sizes)))
    with tempfile.TemporaryDirectory() as home:
        output, names = Directory(home), [f"{i}.parquet" for i in range(len(sizes))]
        for i, size in enumerate(sizes):
            pq.write_table(pa.table({"y": [10 * i + row for row in range(size)]}), f"{home}/{i}.parquet")
        files = Files(names, np.array(sizes), np.array(sizes) << (20 if large else 0), names, own)
        file, row = (np.array([pair[k] for pair in wanted], np.int64) for k in (0, 1))
        made, at, place = woven(output, 1, files, file, row)
        held = [pq.read_table(f"{home}/{f['stored']}")["y"].to_pylist() for f in made]
    expected = [10 * file + row for file, row in wanted]
    assert [y for rows in held for y in rows] == expected
    assert [held[i][j] for i, j in zip(at, place, strict=True)] == expected


def as_text(batch: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({"y": batch["x"].astype(str)})


@pytest.mark.parametrize("by", [None, BY])
def test_rows_that_run_take_the_types_of_those_that_stay(table: Table, by: dict[str, str] | None) -> None:
    options: dict[str, Any] = {"program": halves, "incremental": by}
    table.start("incremental", **options)
    table.rows({i: (0, 10 * i) for i in range(8)} | {i: (1, 4 * i) for i in range(8, 12)})
    again = table.start("incremental", **options)
    assert again.result.to_pandas()["y"].tolist() == [0.0, 2.5, 5.0, 7.5, 10.0, 12.5, 15.0, 17.5, 8.0, 9.0, 10.0, 11.0]


def test_rows_of_another_type_are_not_appended(table: Table) -> None:
    table.start("overwrite", incremental=None)
    with pytest.raises(RunFailed, match=r"as large_string in sub-task .* and as int64 in version 1 of the output"):
        table.start("append", incremental=None, program=as_text)
    assert table.shown == table.expected
