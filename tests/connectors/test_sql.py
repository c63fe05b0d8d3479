"""Tables of databases: the same laws on SQLite, DuckDB and PostgreSQL; ranges of equal rows however the keys lie."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import adbc_driver_postgresql.dbapi
import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import partitioner as pt
from connectors.resolve import resolve
from connectors.sql import SqlSource
from partitioner.errors import ConfigError, DataError
from partitioner.model import Dataset

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
    assert dataset.fragments.rows.max() <= table.num_rows / 64 + 1


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


def test_credentials_are_not_shown() -> None:
    url = "postgresql://me:secret@127.0.0.1:1/db"
    assert "secret" not in repr(SqlSource(url, "t", "id"))
    begin = time.monotonic()
    with pytest.raises(DataError, match=r"cannot connect to postgresql://127\.0\.0\.1:1/db") as refused:
        SqlSource(url, "t", "id").describe()
    assert "secret" not in str(refused.value)
    assert time.monotonic() - begin < 60
