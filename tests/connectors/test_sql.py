"""Tables of databases: the same laws on SQLite, DuckDB and PostgreSQL; ranges of equal rows however the keys lie."""

from __future__ import annotations

import datetime as dt
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import adbc_driver_postgresql.dbapi
import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import partitioner as pt
from connectors.databases import DATABASES, database
from connectors.key_ranges import decoded, encoded
from connectors.resolve import resolve
from connectors.sql import SqlSource
from partitioner.config import make
from partitioner.errors import ConfigError, DataError, PartitionerError, ResumeRefused, RunFailed
from partitioner.model import Dataset
from partitioner.running import run_config

Fill = Callable[[pa.Table], str]


def fill_sqlite(table: pa.Table, folder: Path) -> str:
    with closing(sqlite3.connect(folder / "x.db")) as db, db:
        db.execute("CREATE TABLE t (id INTEGER, c TEXT)")
        db.executemany("INSERT INTO t VALUES (?, ?)", list(zip(*table.to_pydict().values(), strict=True)))
    return f"sqlite://{folder}/x.db"


def fill_duckdb(table: pa.Table, folder: Path) -> str:
    with closing(duckdb.connect(folder / "x.duckdb")) as db:
        db.register("given", table)
        db.execute("CREATE TABLE t AS SELECT * FROM given")
    return f"duckdb://{folder}/x.duckdb"


def fill_postgres(table: pa.Table, url: str) -> str:
    with closing(adbc_driver_postgresql.dbapi.connect(url)) as db, closing(db.cursor()) as cursor:
        cursor.execute("DROP TABLE IF EXISTS t")
        cursor.adbc_ingest("t", table, mode="create")
        db.commit()
    return url


@pytest.fixture(params=["sqlite", "duckdb", "postgresql"])
def fill(request: pytest.FixtureRequest, tmp_path: Path) -> Fill:
    """Make the table ``t`` of a database; its URL."""
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres")
        return lambda table: fill_postgres(table, url)
    return {"sqlite": lambda t: fill_sqlite(t, tmp_path), "duckdb": lambda t: fill_duckdb(t, tmp_path)}[request.param]


def rows_of(dataset: Dataset) -> list[dict[str, Any]]:
    batches = [b for i in range(len(dataset.fragments)) for b in dataset.source.read(dataset.fragments[i])]
    return [row for batch in batches for row in batch.to_pylist()]


def zipf(rows: int, distinct: bool) -> pa.Table:
    """Keys that crowd at the low end, with holes; distinct, or with some keys of thousands of rows."""
    rng = np.random.default_rng(3)
    keys = rng.zipf(1.3, rows) % 10**12
    if distinct:
        keys = np.unique(np.cumsum(rng.zipf(1.3, rows) % 10**9))[:rows]
    return pa.table({"id": pa.array(keys, pa.int64()), "c": pa.array([f"v{i}" for i in range(len(keys))])})


@pytest.mark.parametrize("distinct", [True, False])
def test_every_row_once_in_ranges_of_equal_rows(fill: Fill, distinct: bool) -> None:
    table = zipf(8000, distinct)
    dataset = SqlSource(fill(table), "t", "id", ranges=64).describe()
    parts = [list(dataset.source.read(dataset.fragments[i])) for i in range(len(dataset.fragments))]
    assert [sum(b.num_rows for b in part) for part in parts] == dataset.fragments.rows.tolist()
    found = pa.Table.from_batches([b for part in parts for b in part])
    assert sorted(zip(*found.to_pydict().values(), strict=True)) == sorted(
        zip(*table.to_pydict().values(), strict=True)
    )
    assert found["id"].to_pylist() == sorted(table["id"].to_pylist())
    assert len(dataset.fragments) == 64
    assert dataset.fragments.rows.max() <= 1.05 * table.num_rows / 64 + 1  # a boundary moves to the start of its key
    assert dataset.fragments.rows[:-1].min() >= 0.95 * table.num_rows / 64


def test_rows_of_one_key_are_cut_where_its_rows_lie(fill: Fill) -> None:
    keys = [3] * 5 + [7] * 90 + [8] * 5
    dataset = SqlSource(fill(pa.table({"id": keys, "c": [str(i) for i in range(100)]})), "t", "id", ranges=4).describe()
    assert dataset.fragments.rows.tolist() == [25, 25, 25, 25]
    assert [row["c"] for row in rows_of(dataset)] == [str(i) for i in range(100)]


def test_few_rows_of_a_key_move_its_boundary_and_ask_for_no_places(fill: Fill) -> None:
    keys = [i // 3 for i in range(600)]
    source = SqlSource(fill(pa.table({"id": keys, "c": ["x"] * 600})), "t", "id", ranges=10).describe().source
    assert isinstance(source, SqlSource)
    assert not any(part.by_place for part in source.known)
    assert [part.rows for part in source.known] == [60] * 10


def test_many_rows_without_a_key_are_ranges_too(fill: Fill) -> None:
    keys = pa.array([None] * 100 + [1, 2, 3, 4], pa.int64())
    dataset = SqlSource(fill(pa.table({"id": keys, "c": [str(i) for i in range(104)]})), "t", "id", ranges=4).describe()
    assert dataset.fragments.rows.max() <= 26
    assert [row["c"] for row in rows_of(dataset)] == [str(i) for i in range(104)]


def test_rows_without_a_key_are_read_too(fill: Fill) -> None:
    url = fill(pa.table({"id": pa.array([3, None, 1], pa.int64()), "c": ["a", "b", "c"]}))
    dataset = SqlSource(url, "t", "id").describe()
    rows = [
        r
        for i in range(len(dataset.fragments))
        for b in dataset.source.read(dataset.fragments[i])
        for r in b.to_pylist()
    ]
    assert rows == [{"id": None, "c": "b"}, {"id": 1, "c": "c"}, {"id": 3, "c": "a"}]


def test_a_table_without_rows_has_its_columns(fill: Fill, tmp_path: Path) -> None:
    url = fill(pa.schema([("id", pa.int64()), ("c", pa.string())]).empty_table())
    given = {"connector": "sql", "path": url, "table": "t", "key": "id"}
    assert resolve(given).describe().schema == pa.schema([("id", pa.int64()), ("c", pa.string())])
    done = pt.run(given, same, checkpoint=str(tmp_path / "runs"), engine="serial", cost="rows", progress=False)
    assert done.result.to_pandas().columns.tolist() == ["id", "c"]


def test_numbers_after_many_nulls_are_of_the_declared_type(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "x.db")) as db, db:
        db.execute("CREATE TABLE t (id INTEGER, a BIGINT, b DOUBLE, c)")
        rows = [(i, None, None, None) for i in range(1500)] + [(1500, 7, 1.5, "late")]
        db.executemany("INSERT INTO t VALUES (?, ?, ?, ?)", rows)
    dataset = SqlSource(f"sqlite://{tmp_path}/x.db", "t", "id").describe()
    assert rows_of(dataset)[-1] == {"id": 1500, "a": 7, "b": 1.5, "c": "late"}


@pytest.mark.parametrize("kind", ["uuid", "numeric(20, 3)", "boolean", "mood", "integer[]"])
def test_keys_of_any_type_of_postgresql(postgres: str, kind: str) -> None:
    values = {
        "uuid": [f"'00000000-0000-0000-0000-{i:012}'" for i in range(8)],
        "boolean": ["false", "true"] * 4,
        "mood": ["'sad'", "'happy'"] * 4,
        "integer[]": [f"'{{{i}}}'" for i in range(8)],
    }.get(kind, [str(i * 9 / 8) for i in range(8)])
    rows = ", ".join(f"({value}, {i})" for i, value in enumerate(values))
    with closing(adbc_driver_postgresql.dbapi.connect(postgres)) as db, closing(db.cursor()) as cursor:
        for statement in (
            "DROP TABLE IF EXISTS odd",
            "DROP TYPE IF EXISTS mood",
            "CREATE TYPE mood AS ENUM ('sad', 'happy')",
            f"CREATE TABLE odd (id {kind}, c integer)",
            f"INSERT INTO odd VALUES {rows}",
        ):
            cursor.execute(statement)
        db.commit()
    dataset = SqlSource(postgres, "odd", "id", ranges=4).describe()
    assert sorted(row["c"] for row in rows_of(dataset)) == list(range(8))
    assert dataset.fragments.rows.tolist() == [2, 2, 2, 2]
    assert "8 rows" in next(iter(dataset.source.fingerprints().values()))


def test_ranges_are_read_by_one_connection(postgres: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fill_postgres(pa.table({"id": list(range(100)), "c": ["x"] * 100}), postgres)
    dataset = SqlSource(postgres, "t", "id", ranges=20).describe()
    made: list[str] = []
    kind = replace(DATABASES["postgresql"], connect=lambda url: made.append(url) or DATABASES["postgres"].connect(url))
    monkeypatch.setattr("connectors.databases.DATABASES", {**DATABASES, "postgresql": kind})
    assert len(rows_of(dataset)) == 100
    assert len(made) <= 1
    monkeypatch.setattr("connectors.databases.LENT_SECONDS", -1.0)
    assert len(rows_of(dataset)) == 100
    assert len(made) >= 20


def test_text_keys_and_projection(fill: Fill) -> None:
    url = fill(pa.table({"id": pa.array([1, 2, 3], pa.int64()), "c": ["b", "a", "it's"]}))
    dataset = SqlSource(url, "t", "c", columns=["id"]).describe()
    rows = [
        x
        for i in range(len(dataset.fragments))
        for b in dataset.source.read(dataset.fragments[i])
        for x in b["id"].to_pylist()
    ]
    assert rows == [2, 1, 3]


KEYS: list[list[Any]] = [
    [1, 2, 3, 4],
    ["a", "b", "it's", "z"],
    [1.5, 2.5, 3.5, 4.5],
    [dt.datetime(2026, 1, day, 12, 30) for day in (1, 2, 3, 4)],
    [dt.date(2026, 1, day) for day in (1, 2, 3, 4)],
]


@pytest.mark.parametrize("keys", KEYS, ids=["int", "text", "float", "timestamp", "date"])
def test_ranges_of_a_run_are_kept_with_it(keys: list[Any], tmp_path: Path) -> None:
    url = fill_duckdb(pa.table({"id": keys, "c": list("abcd")}), tmp_path)
    first = SqlSource(url, "t", "id", ranges=2).materialise(str(tmp_path / "input"))
    with closing(duckdb.connect(url.removeprefix("duckdb://"))) as db:
        db.execute("INSERT INTO t SELECT * FROM t")
    again = SqlSource(url, "t", "id", ranges=2).materialise(str(tmp_path / "input"))
    assert (again.known, again.stand, again.schema) == (first.known, first.stand, first.schema)
    assert [part.rows for part in again.known] == [2, 2]


HOT = {"id": [7] * 90 + [8] * 10, "c": [str(i) for i in range(100)]}


def test_rows_that_changed_are_not_read_by_their_places(postgres: str) -> None:
    dataset = SqlSource(fill_postgres(pa.table(HOT), postgres), "t", "id", ranges=4).describe()
    assert len(rows_of(dataset)) == 100
    with closing(adbc_driver_postgresql.dbapi.connect(postgres)) as db, closing(db.cursor()) as cursor:
        cursor.execute("UPDATE t SET c = 'new' WHERE c = '3'")
        db.commit()
    with pytest.raises(
        DataError, match=r"#t has changed since its ranges were made: rows of the key 7, .*Start a new run"
    ):
        rows_of(dataset)


def test_rows_that_changed_are_read_where_each_has_a_key_of_its_own(postgres: str) -> None:
    table = pa.table({"id": list(range(100)), "c": [str(i) for i in range(100)]})
    dataset = SqlSource(fill_postgres(table, postgres), "t", "id", ranges=4).describe()
    with closing(adbc_driver_postgresql.dbapi.connect(postgres)) as db, closing(db.cursor()) as cursor:
        cursor.execute("UPDATE t SET c = 'new' WHERE id = 3")
        db.commit()
    assert [row["c"] for row in rows_of(dataset)] == ["0", "1", "2", "new", *(str(i) for i in range(4, 100))]


def test_a_table_written_anew_is_noticed(postgres: str) -> None:
    dataset = SqlSource(fill_postgres(pa.table(HOT), postgres), "t", "id", ranges=4).describe()
    with closing(adbc_driver_postgresql.dbapi.connect(postgres, autocommit=True)) as db, closing(db.cursor()) as cursor:
        cursor.execute("VACUUM FULL t")
    with pytest.raises(DataError, match=r"has changed since its ranges were made"):
        rows_of(dataset)


def test_rows_that_a_compacted_file_numbers_anew_are_noticed(tmp_path: Path) -> None:
    url = fill_sqlite(pa.table({"id": [1, *HOT["id"]], "c": ["gone", *HOT["c"]]}), tmp_path)
    with closing(sqlite3.connect(tmp_path / "x.db")) as db:
        db.execute("DELETE FROM t WHERE c = 'gone'")
        db.commit()
        dataset = SqlSource(url, "t", "id", ranges=4).describe()
        db.execute("VACUUM")
    with pytest.raises(DataError, match=r"has changed since its ranges were made"):
        rows_of(dataset)


def fails_at_8(rows: pd.DataFrame, folder: str) -> pd.DataFrame:
    if 8 in set(rows["id"]) and not Path(folder, "mended").exists():
        raise ValueError("not yet")
    return rows


def test_a_resume_does_not_mix_rows_that_moved(postgres: str, checkpoint: str, tmp_path: Path) -> None:
    """The places of two rows are exchanged between two runs: every range keeps its number of rows, and its ends."""
    given = {"connector": "sql", "path": fill_postgres(pa.table(HOT), postgres), "table": "t", "key": "id", "ranges": 4}
    options: dict[str, Any] = {"engine": "serial", "progress": False, "report": False, "cost": "rows", "max_tasks": 4}
    options |= {"arguments": {"folder": str(tmp_path)}, "max_retries": 0, "name": "hot", "checkpoint": checkpoint}
    with pytest.raises(RunFailed, match="not yet"):
        pt.run(given, fails_at_8, **options)
    (tmp_path / "mended").touch()
    with closing(adbc_driver_postgresql.dbapi.connect(postgres)) as db, closing(db.cursor()) as cursor:
        cursor.execute("UPDATE t SET c = CASE c WHEN '3' THEN '70' ELSE '3' END WHERE c IN ('3', '70')")
        db.commit()
    with pytest.raises(ResumeRefused, match=r"postgresql://.*#t"):
        pt.run(given, fails_at_8, resume="auto", **options)
    forced = make({"dataset": given, "program": fails_at_8, **options})
    with pytest.raises(PartitionerError, match=r"has changed since its ranges were made"):
        run_config(forced, "auto", force=True)


CHANGES = {
    "a value": "UPDATE t SET c = 'other' WHERE id = 3",
    "a value made null": "UPDATE t SET c = NULL WHERE id = 3",
    "two values exchanged": "UPDATE t SET c = CASE id WHEN 2 THEN 'v3' ELSE 'v2' END WHERE id IN (2, 3)",
    "one row for another": "UPDATE t SET id = 40 WHERE id = 4",
}


@pytest.mark.parametrize("change", CHANGES)
def test_rows_updated_in_place_are_another_content(fill: Fill, change: str) -> None:
    """Number of rows, least and greatest key stay; what another table of the database holds makes no difference."""
    url = fill(pa.table({"id": [1, 2, 3, 4, 90], "c": ["v1", "v2", "v3", "v4", "v90"]}))
    source = SqlSource(url, "t", "id")
    before = source.contents()
    execute(url, "CREATE TABLE another AS SELECT * FROM t", "DROP TABLE another")
    assert source.contents() == before
    execute(url, CHANGES[change])
    assert source.contents() != before


def execute(url: str, *statements: str) -> None:
    scheme, _, path = url.partition("://")
    connect = {"sqlite": sqlite3.connect, "duckdb": duckdb.connect, "postgresql": adbc_driver_postgresql.dbapi.connect}
    with closing(connect[scheme](url if scheme == "postgresql" else path)) as db, closing(db.cursor()) as cursor:
        for statement in statements:
            cursor.execute(statement)
        db.commit()


def same(rows: pd.DataFrame) -> pd.DataFrame:
    return rows


def test_a_run_over_a_skewed_table_is_cut_evenly(fill: Fill, checkpoint: str) -> None:
    table = zipf(8000, distinct=False)
    given = {"connector": "sql", "path": fill(table), "table": "t", "key": "id"}
    options: dict[str, Any] = {"engine": "serial", "progress": False, "report": False, "cost": "rows", "max_tasks": 8}
    finished = pt.run(given, same, checkpoint=checkpoint, **options)
    rows = [record.rows_in for record in finished.records]
    assert max(rows) / (sum(rows) / len(rows)) <= 1.15
    assert sum(rows) == 8000


def test_what_is_lacking_is_named(tmp_path: Path) -> None:
    url = fill_sqlite(pa.table({"id": [1], "c": ["a"]}), tmp_path)
    with pytest.raises(DataError, match=r"refuses a query: no such table: gone"):
        SqlSource(url, "gone", "id").describe()
    with pytest.raises(DataError, match=r"No column 'idd' in sqlite://.*x\.db#t; there are id, c\. Did you mean 'id'"):
        SqlSource(url, "t", "idd").describe()
    with pytest.raises(DataError, match=r"no SQLite file at /no/such\.db"):
        SqlSource("sqlite:///no/such.db", "t", "id").describe()
    with pytest.raises(ConfigError, match=r"connector sql needs a table and its key"):
        resolve(url)
    with pytest.raises(ConfigError, match=r"begins with one of duckdb://, .*given is mysql://host/db"):
        SqlSource("mysql://me:secret@host/db", "t", "id")


def test_a_view_is_refused_in_one_line(postgres: str, tmp_path: Path) -> None:
    lite, duck = (fill(pa.table({"id": [1], "c": ["a"]}), tmp_path) for fill in (fill_sqlite, fill_duckdb))
    with closing(adbc_driver_postgresql.dbapi.connect(postgres)) as db, closing(db.cursor()) as cursor:
        cursor.execute("CREATE OR REPLACE VIEW v AS SELECT 1 AS id")
        db.commit()
    with closing(sqlite3.connect(tmp_path / "x.db")) as db, db:
        db.execute("CREATE TABLE v (id INTEGER PRIMARY KEY) WITHOUT ROWID")
        db.execute("INSERT INTO v VALUES (1)")
    with closing(duckdb.connect(tmp_path / "x.duckdb")) as db:
        db.execute("CREATE VIEW v AS SELECT id FROM t")
    for url in (postgres, lite, duck):
        with pytest.raises(DataError, match=r"has no (ctid|rowid), by which rows .* it is a view.* Make a table of it"):
            SqlSource(url, "v", "id").describe()


def test_credentials_are_not_shown() -> None:
    url = "postgresql://me:secret@127.0.0.1:1/db"
    assert "secret" not in repr(SqlSource(url, "t", "id"))
    begin = time.monotonic()
    with pytest.raises(DataError, match=r"cannot connect to postgresql://127\.0\.0\.1:1/db") as refused:
        SqlSource(url, "t", "id").describe()
    assert "secret" not in str(refused.value)
    assert time.monotonic() - begin < 60


def test_rows_of_a_key_are_found_by_their_places_only_where_it_has_many(postgres: str) -> None:
    """Of 6,000 rows in ranges of 100: one key of 3,000 rows, which lie in every second place, and one of 150 rows."""
    keys = np.where(np.arange(6000) % 2 == 0, 1, np.arange(6000) + 1000)
    keys[1:301:2] = 500
    source = SqlSource(fill_postgres(pa.table({"id": keys, "c": np.arange(6000)}), postgres), "t", "id", ranges=60)
    dataset = source.describe()
    asked = {
        part.low: next(part.conditions("id", database(postgres)))[0] for part in dataset.source.known if part.single
    }
    assert asked[1] == '"id" = $1 AND ctid >= $2::tid AND ctid < $3::tid'
    assert asked[500] == '"id" = $1 AND (ctid < $2::tid) IS TRUE'
    assert sorted(row["c"] for row in rows_of(dataset)) == list(range(6000))
    assert decoded(encoded(dataset.source.known)) == dataset.source.known
