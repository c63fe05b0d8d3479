"""Which form of an output is meant, what is refused of it, where its versions lie, and tables and files that are there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from partitioner import config as configuration
from partitioner.config import RunConfig
from partitioner.errors import ConfigError, OutputExists
from partitioner.output import exporting
from partitioner.output.exporting import (
    Form,
    check_columns,
    check_free_file,
    folder_of,
    form_of,
    home_of,
    names_on_disk,
)


def config(**options: Any) -> RunConfig:
    return configuration.make({"dataset": "d", "checkpoint": "/runs", **options})


FORMS: dict[str, tuple[dict[str, Any], Form | None]] = {
    "nothing": ({}, None),
    "a folder": ({"output": "/out"}, None),
    "a folder named as a file of Parquet": ({"output": "/out.parquet"}, None),
    "parquet": ({"output": "/out", "format": "parquet"}, None),
    "csv by name": ({"output": "/out/x.CSV"}, Form("csv", True, (), 1_000_000)),
    "csv by name and format": ({"output": "/x.csv", "format": "csv"}, Form("csv", True, (), 1_000_000)),
    "ndjson": ({"output": "/x.ndjson"}, Form("jsonl", True, (), 1_000_000)),
    "feather": ({"output": "/x.feather"}, Form("arrow", True, (), 1_000_000)),
    "csv by format": ({"output": "/out", "format": "csv"}, Form("csv", False, (), 1_000_000)),
    "csv by format alone": ({"format": "csv"}, Form("csv", False, (), 1_000_000)),
    "rows of a file": ({"output": "/out", "rows_per_file": 5}, Form("parquet", False, (), 5)),
    "bytes of a file": ({"output": "/out", "bytes_per_file": 1e6}, Form("parquet", False, (), 2**63 - 1, 1e6)),
    "both": ({"output": "/out", "rows_per_file": 5, "bytes_per_file": 1e6}, Form("parquet", False, (), 5, 1e6)),
    "values": ({"output": "/out", "partition_by": ["a", "b"]}, Form("parquet", False, ("a", "b"), 1_000_000)),
    "a table": ({"output": "/out", "format": "delta"}, Form("delta", False, (), 1_000_000)),
    "a table by scheme": ({"output": "iceberg://a.b", "catalog": {"uri": "x"}}, Form("iceberg", True, (), 1_000_000)),
    "a database": ({"output": "sqlite:///x.db#t"}, Form("sql", True, (), 1_000_000)),
}


@pytest.mark.parametrize("case", FORMS)
def test_the_form_that_is_meant(case: str) -> None:
    options, form = FORMS[case]
    assert form_of(config(**options)) == form


REFUSED: dict[str, tuple[dict[str, Any], bool, str]] = {
    "ending": (
        {"output": "/x.tsv"},
        True,
        r"/x\.tsv ends in \.tsv, which no format writes; there are \.csv, .*\.parquet",
    ),
    "a compressed file": (
        {"output": "/x.csv.gz"},
        True,
        r"/x\.csv\.gz ends in \.gz, and files are not compressed after they are encoded; leave \.gz out",
    ),
    "two formats": (
        {"output": "/x.csv", "format": "jsonl"},
        True,
        "is named as csv, and format is jsonl; make them agree",
    ),
    "folders in a file": (
        {"output": "/x.csv", "partition_by": ["a"]},
        True,
        "partition_by makes folders, and output /x.csv",
    ),
    "bytes of one file": (
        {"output": "/x.csv", "bytes_per_file": 9e9},
        True,
        "is one csv file; name a folder, or leave",
    ),
    "bytes of a table": (
        {"output": "/x", "format": "delta", "bytes_per_file": 9e9},
        True,
        "is one delta table; name a f",
    ),
    "a result": ({"output": "/x.csv"}, False, "/x.csv as csv is for rows, and the reducer gives one result"),
    "a table of nowhere": ({"format": "delta"}, True, "format delta needs output=, the place of the table"),
    "no Iceberg table": (
        {"output": "/x", "format": "iceberg"},
        True,
        "/x is no Iceberg table; write iceberg://namespace",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_form_that_cannot_be_written_is_refused(case: str) -> None:
    options, rows, said = REFUSED[case]
    with pytest.raises(ConfigError, match=said):
        form_of(config(**options), rows)


def test_an_ending_that_no_format_writes_is_a_folder_where_a_format_is_named() -> None:
    assert form_of(config(output="/x.json", format="csv")) == Form("csv", False, (), 1_000_000)


def test_a_result_in_a_folder_has_no_form() -> None:
    assert form_of(config(output="/out"), rows=False) is None


@pytest.mark.parametrize(
    ("options", "folder", "home"),
    [
        ({}, None, None),
        ({"output": "/a/out"}, "/a/out", "/a/out"),
        ({"output": "/a/out", "format": "csv"}, "/a/out", "/a/out"),
        ({"output": "/a/x.csv"}, None, "/a/.x.csv.versions"),
        ({"output": "/a/t", "format": "delta"}, None, None),
    ],
)
def test_where_versions_lie(options: dict[str, Any], folder: str | None, home: str | None) -> None:
    assert (folder_of(config(**options)), home_of(config(**options))) == (folder, home)


def test_a_table_keeps_its_nights_below_the_checkpoint() -> None:
    found = home_of(config(output="/a/t", format="delta", mode="incremental"))
    assert found is not None
    assert found.startswith("/runs/tables/")
    assert len(found) == len("/runs/tables/") + 16


@pytest.mark.parametrize(
    ("mode", "refused"), [("error", True), ("resume", True), ("overwrite", False), ("append", False)]
)
def test_a_file_that_is_there_is_left_alone_unless_the_mode_replaces_it(
    tmp_path: Path, mode: str, refused: bool
) -> None:
    asked = config(output=str(tmp_path / "x.csv"), mode=mode)
    check_free_file(asked)
    (tmp_path / "x.csv").touch()
    check_free_file(config(output=str(tmp_path), mode=mode))
    check_free_file(config(mode="error"))
    if refused:
        with pytest.raises(OutputExists, match=r"x\.csv is there already; name another file, or remove it"):
            check_free_file(asked)
    else:
        check_free_file(asked)


@pytest.mark.parametrize(
    ("mode", "there", "refused"), [("error", True, True), ("error", False, False), ("append", True, False)]
)
def test_a_table_that_is_there_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, mode: str, there: bool, refused: bool
) -> None:
    sink = type("Sink", (), {"there": staticmethod(lambda output, catalog: there)})
    monkeypatch.setattr(exporting, "_table_sink", lambda form: sink)
    asked = config(output="/t", format="delta", mode=mode)
    if refused:
        with pytest.raises(OutputExists, match="the delta table /t is there already; give mode='append' or"):
            check_free_file(asked)
    else:
        check_free_file(asked)


def test_tables_get_their_options_and_all_rows_of_a_night(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[Any] = []

    class Sink:
        @staticmethod
        def columns(output: str, catalog: Any) -> None:
            """There is no table yet."""

        @staticmethod
        def write(*given: Any, **options: Any) -> None:
            written.append((given[3:], options))

    monkeypatch.setattr(exporting, "_table_sink", lambda form: Sink)
    for fmt, mode in (("delta", "append"), ("delta", "incremental"), ("sql", "error")):
        asked = config(output="/t", format="delta", mode=mode, partition_by=["a"], catalog={"k": "v"})
        exporting.to_table(Form(fmt, False, ("a",), 1), asked, iter([]), pa.schema([]), "r1")
    assert [given for given, _ in written] == [("append", "r1"), ("overwrite", "r1"), ("error", "r1")]
    assert [dict(o) for _, o in written] == [{"partition_by": ("a",), "options": {"k": "v"}}] * 2 + [{}]
    exporting.to_table(Form("delta", False, (), 1), config(output="/t"), iter([]), None, "r1")
    assert len(written) == 3


def test_names_of_folders_end_on_a_disk_and_keys_of_a_store_may_be_longer() -> None:
    assert names_on_disk(config(partition_by=["a"], output="/o")) == ("a",)
    assert names_on_disk(config(partition_by=["a"], output="s3://bucket/o")) == ()


def test_columns_to_partition_by_are_those_of_the_program() -> None:
    columns = pa.schema([("a", pa.int64()), ("b", pa.string()), ("l", pa.list_(pa.int64())), ("y", pa.binary())])
    check_columns(config(partition_by=["a"], output="/o"), columns)
    for name in ("l", "y"):
        with pytest.raises(
            ConfigError, match=f"names '{name}', which is .*; folders are named by text, numbers or times"
        ):
            check_columns(config(partition_by=["a", name], output="/o"), columns)
    for name in ("_c", ".c"):
        with pytest.raises(ConfigError, match=r"readers of folders pass over names that begin with '_' or '\.'"):
            check_columns(config(partition_by=[name], output="/o"), pa.schema([("a", pa.int64()), (name, pa.int64())]))
    with pytest.raises(ConfigError, match=r"names all columns that the program returns \(a, b\)"):
        check_columns(config(partition_by=["b", "a"], output="/o"), pa.schema([columns.field("a"), columns.field("b")]))
    with pytest.raises(
        ConfigError, match=r"names 'aa', which the program does not return; it returns a, b, l, y\. Did"
    ):
        check_columns(config(partition_by=["b", "aa"], output="/o"), columns)
