"""Rows into Delta and Iceberg tables: by one transaction, once per run, whatever dies between the steps."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from adbc_driver_postgresql import dbapi as postgres_driver
from deltalake import DeltaTable, write_deltalake
from pyiceberg.catalog import load_catalog

import partitioner as pt
from connectors.databases import connected, rows_of
from partitioner.errors import ConfigError, DataError, Interrupted, OutputExists, PartitionerError
from partitioner.runs import results

TABLE = pa.table({"x": range(20), "c": ["a", "b"] * 10})


def same(rows: pd.DataFrame) -> pd.DataFrame:
    return rows


class Place:
    """A table of one format in a folder, and what its own reader says of it."""

    def __init__(self, folder: Path, kind: str) -> None:
        catalog = {"name": "c", "type": "sql", "uri": f"sqlite:///{folder}/c.db", "warehouse": f"file://{folder}"}
        self.kind, self.folder = kind, folder
        self.settings: dict[str, Any] = {
            "delta": {"output": str(folder / "t"), "format": "delta"},
            "iceberg": {"output": "iceberg://n.t", "catalog": catalog},
            "sqlite": {"output": f"sqlite://{folder}/x.db#t"},
            "duckdb": {"output": f"duckdb://{folder}/x.duckdb#t"},
        }.get(kind, {"output": f"{kind}#t"})

    def rows(self) -> list[int]:
        if self.kind == "delta":
            table = DeltaTable(self.folder / "t").to_pyarrow_table()
        elif self.kind != "iceberg":
            url = self.settings["output"].removesuffix("#t")
            with connected(url) as connection:
                table = pa.Table.from_batches(
                    rows_of(connection, url, "SELECT x, c FROM t"), pa.schema([("x", "int64"), ("c", "string")])
                )
        else:
            table = load_catalog(**self.settings["catalog"]).load_table("n.t").scan().to_arrow()
        found: list[int] = sorted(table["x"].to_pylist(), key=lambda x: (x is None, x))
        return found


@pytest.fixture(params=["delta", "iceberg", "sqlite", "duckdb", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param != "postgresql":
        return Place(tmp_path, request.param)
    url = request.getfixturevalue("postgres")
    with closing(postgres_driver.connect(url)) as database, closing(database.cursor()) as cursor:
        cursor.execute("DROP TABLE IF EXISTS t")
        database.commit()
    return Place(tmp_path, url)


def run(place: Place, checkpoint: str, **options: Any) -> pt.Run:
    settings = {
        "cost": "rows",
        "max_tasks": 3,
        "engine": "serial",
        "progress": False,
        "report": False,
        **place.settings,
    }
    return pt.run(options.pop("table", TABLE), same, checkpoint=checkpoint, **settings, **options)


def test_a_run_makes_a_table_appends_to_it_and_replaces_it(place: Place, checkpoint: str) -> None:
    assert run(place, checkpoint).result.to_table()["x"].to_pylist() == list(range(20))
    assert place.rows() == list(range(20))
    run(place, checkpoint, mode="append", table=TABLE.slice(0, 2))
    assert place.rows() == [0, 0, 1, 1, *range(2, 20)]
    run(place, checkpoint, mode="overwrite", table=TABLE.slice(18))
    assert place.rows() == [18, 19]


def nothing(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.iloc[:0]


def test_a_run_without_rows_replaces_too(place: Place, checkpoint: str) -> None:
    run(place, checkpoint)
    settings = {"cost": "rows", "engine": "serial", "progress": False, "report": False, **place.settings}
    pt.run(TABLE, nothing, checkpoint=checkpoint, mode="overwrite", allow_row_change=True, **settings)
    assert place.rows() == []


def test_each_night_of_a_table_is_the_input_of_that_night(place: Place, checkpoint: str) -> None:
    for first in (0, 10, 20, 15):
        run(place, checkpoint, mode="incremental", table=TABLE.slice(first))
        assert place.rows() == list(range(first, 20))


def test_input_without_rows_replaces_those_of_a_table(place: Place, checkpoint: str) -> None:
    run(place, checkpoint)
    run(place, checkpoint, mode="overwrite", table=TABLE.slice(20))
    assert place.rows() == []


def test_a_path_that_deltalake_takes_for_a_url_is_refused_before_anything_runs(tmp_path: Path, checkpoint: str) -> None:
    for name in ("a[1]", "per%20cent"):
        with pytest.raises(ConfigError, match=r"deltalake takes no '.*' in the path of a table; name another folder"):
            pt.run(TABLE, same, output=tmp_path / name / "t", format="delta", mode="append", checkpoint=checkpoint)
    assert not Path(checkpoint).exists()


def test_a_table_that_is_there_is_left_alone_by_default(place: Place, checkpoint: str) -> None:
    run(place, checkpoint)
    with pytest.raises(OutputExists, match=r"table .* is there already; give mode='append' or mode='overwrite'"):
        run(place, checkpoint)
    assert place.rows() == list(range(20))


def dies(before: bool) -> Callable[..., None]:
    """A death of the driver right before, or right after, the table's transaction."""
    write = results.to_table

    def dying(*given: Any) -> None:
        if not before:
            write(*given)
        raise KeyboardInterrupt

    return dying


@pytest.mark.parametrize("before", [True, False])
def test_a_death_around_the_transaction_leaves_the_rows_once(
    place: Place, checkpoint: str, monkeypatch: pytest.MonkeyPatch, before: bool
) -> None:
    run(place, checkpoint, table=TABLE.slice(0, 1))
    earlier = set(Path(checkpoint).iterdir())
    monkeypatch.setattr(results, "to_table", dies(before))
    with pytest.raises(Interrupted):
        run(place, checkpoint, mode="append")
    monkeypatch.undo()
    (mine,) = set(Path(checkpoint).iterdir()) - earlier
    for _ in range(2):
        run(place, checkpoint, mode="append", resume=mine.name)
    assert place.rows() == [0, *range(20)]


def test_further_columns_of_an_iceberg_table_are_null_in_the_rows_that_are_there(
    tmp_path: Path, checkpoint: str
) -> None:
    place = Place(tmp_path, "iceberg")
    for rows in (
        {"x": [0]},
        {"x": [1], "y": ["a"]},
        {"x": [2], "y": ["b"], "z": [{"k": 1}]},
        {"x": [3], "z": [{"l": 2}]},
    ):
        run(place, checkpoint, mode="append", batch_format="arrow", table=pa.table(rows))
    table = load_catalog(**place.settings["catalog"]).load_table("n.t").scan().to_arrow().sort_by("x")
    assert table.to_pylist() == [
        {"x": 0, "y": None, "z": None},
        {"x": 1, "y": "a", "z": None},
        {"x": 2, "y": "b", "z": {"k": 1, "l": None}},
        {"x": 3, "y": None, "z": {"k": None, "l": 2}},
    ]


def test_a_number_that_the_column_would_round_is_not_written(place: Place, checkpoint: str) -> None:
    run(place, checkpoint)
    later = pa.table({"x": [1.0] * 15 + [1.5], "c": ["a"] * 16})
    with pytest.raises(
        DataError, match=r"column 'x' is .*int64, and a value of the rows, double, does not fit exactly"
    ):
        run(place, checkpoint, mode="append", table=later)
    assert place.rows() == list(range(20))
    run(place, f"{checkpoint}-2", mode="append", table=later.slice(0, 2))
    assert place.rows() == [0, 1, 1, *range(1, 20)]


def test_text_for_a_column_of_numbers_is_told_before_anything_runs(place: Place, checkpoint: str) -> None:
    run(place, checkpoint)
    before = set(Path(checkpoint).rglob("commits/*"))
    with pytest.raises(DataError, match=r"its column 'x' is int64, and the rows have (large_)?string"):
        run(place, checkpoint, mode="append", table=pa.table({"x": ["012"], "c": ["a"]}))
    assert set(Path(checkpoint).rglob("commits/*")) == before
    assert place.rows() == list(range(20))


def test_a_column_without_values_goes_into_one_of_any_type(place: Place, checkpoint: str) -> None:
    run(place, checkpoint)
    run(place, checkpoint, mode="append", table=pa.table({"x": [20], "c": pa.nulls(1)}))
    run(place, checkpoint, mode="append", table=pa.table({"x": pa.nulls(2), "c": ["y", "z"]}))
    assert place.rows() == [*range(21), None, None]


@pytest.mark.parametrize("kind", ["sqlite", "duckdb", "postgresql"])
def test_a_table_is_there_by_what_its_name_means(
    kind: str, tmp_path: Path, checkpoint: str, request: pytest.FixtureRequest
) -> None:
    """Not by one of that name in a schema of the database itself; and in whatever case, where names have none."""
    url = Place(tmp_path, kind).settings["output"] if kind != "postgresql" else request.getfixturevalue("postgres")
    place = Place(tmp_path, kind)
    for name in ("columns", "Sales"):
        place.settings = {"output": f"{url.removesuffix('#t')}#{name}"}
        run(place, checkpoint)
        with pytest.raises(OutputExists):
            run(place, checkpoint)
    place.settings = {"output": f"{url.removesuffix('#t')}#sales"}
    if kind == "postgresql":
        run(place, checkpoint)
    else:
        with pytest.raises(OutputExists, match=r"sales is there"):
            run(place, checkpoint)


def test_a_type_that_a_database_lacks_is_told_before_anything_runs(
    tmp_path: Path, postgres: str, checkpoint: str
) -> None:
    for place, column in (
        (Place(tmp_path, "duckdb"), pa.array([Decimal(10) ** 45], pa.decimal256(60, 2))),
        (Place(tmp_path, postgres), pa.array([{"a": 1}])),
        (Place(tmp_path, postgres), pa.array([[{"a": 1}]])),
    ):
        place.settings["output"] = place.settings["output"].removesuffix("#t") + "#lacking"
        with pytest.raises(DataError, match=r"column 's' is .*, for which (duckdb|postgresql) has no type"):
            run(place, checkpoint, table=pa.table({"x": [1], "s": column}))


def test_a_type_that_delta_lacks_is_told_by_its_column_before_anything_runs(tmp_path: Path, checkpoint: str) -> None:
    place = Place(tmp_path, "delta")
    with pytest.raises(DataError, match=r"column 'd' is duration\[us\]: .*Convert it in the program\.$") as refused:
        run(place, checkpoint, table=pa.table({"x": [1], "d": pa.array([1], pa.duration("us"))}))
    assert len(str(refused.value)) < 400


def test_what_sqlite_has_no_type_for_is_text(tmp_path: Path, checkpoint: str) -> None:
    odd = {"d": [Decimal("1.10")], "l": [[1, 2]], "s": [{"a": 1}], "day": [date(2026, 1, 2)], "x.y": [b"z"]}
    run(Place(tmp_path, "sqlite"), checkpoint, table=pa.table(odd), batch_format="arrow")
    with closing(sqlite3.connect(tmp_path / "x.db")) as database:
        assert database.execute("SELECT * FROM t").fetchall() == [("1.10", "[1, 2]", '{"a": 1}', "2026-01-02", b"z")]


def test_a_delta_table_is_partitioned_as_asked(tmp_path: Path, checkpoint: str) -> None:
    place = Place(tmp_path, "delta")
    run(place, checkpoint, partition_by=["c"])
    assert DeltaTable(tmp_path / "t").metadata().partition_columns == ["c"]
    assert place.rows() == list(range(20))


def test_rows_that_the_table_does_not_take_are_kept_and_said(tmp_path: Path, checkpoint: str) -> None:
    write_deltalake(tmp_path / "t", pa.table({"x": pa.array([1], pa.int8()), "c": ["a"]}))
    with pytest.raises(PartitionerError, match="does not take the rows: its column 'x' is"):
        run(
            Place(tmp_path, "delta"),
            checkpoint,
            mode="append",
            table=pa.table({"x": [1] * 19 + [200], "c": ["a"] * 20}),
        )
    assert list(Path(checkpoint).glob("*/commits/*"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"format": "delta"}, "format delta needs output="),
        ({"output": "iceberg://n.t"}, "an Iceberg output needs its catalogue"),
        ({"output": "iceberg://t", "catalog": {"type": "sql"}}, "names no namespace; write iceberg://namespace.table"),
        (
            {"output": "postgresql://me@host/db"},
            "output postgresql://host/db#<table> names no table; write it after a '#'",
        ),
        ({"output": "postgresql://me:pw@host/db#t"}, "output postgresql://host/db#t holds a password"),
        ({"output": "plain", "format": "iceberg"}, "is no Iceberg table; write iceberg://namespace.table"),
    ],
)
def test_what_is_lacking_is_said_before_anything_runs(checkpoint: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        pt.run(TABLE, same, engine="serial", checkpoint=checkpoint, progress=False, report=False, **options)
    assert not list(Path(checkpoint).glob("*/commits/*"))
