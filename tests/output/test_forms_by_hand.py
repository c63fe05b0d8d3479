"""Forms of an output by hand: which is meant, how rows become files and bytes, and what readers of a folder see."""

from __future__ import annotations

import io
import json
import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from partitioner import config as configuration
from partitioner.config import RunConfig
from partitioner.errors import ConfigError, OutputExists
from partitioner.output import exporting, publishing
from partitioner.output.encoders import ENCODERS
from partitioner.output.exporting import (
    Form,
    check_columns,
    check_free_file,
    digest_of,
    encoded,
    export,
    folder_of,
    form_of,
    home_of,
)
from partitioner.output.output import Output
from partitioner.output.publishing import publish, said
from partitioner.storage import Directory
from tests.store.records import record


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


def test_columns_to_partition_by_are_those_of_the_program() -> None:
    columns = pa.schema([("a", pa.int64()), ("b", pa.string()), ("l", pa.list_(pa.int64())), ("y", pa.binary())])
    check_columns(config(partition_by=["a"], output="/o"), columns)
    for name in ("l", "y"):
        with pytest.raises(
            ConfigError, match=f"names '{name}', which is .*; folders are named by text, numbers or times"
        ):
            check_columns(config(partition_by=["a", name], output="/o"), columns)
    with pytest.raises(ConfigError, match=r"names all columns that the program returns \(a, b\)"):
        check_columns(config(partition_by=["b", "a"], output="/o"), pa.schema([columns.field("a"), columns.field("b")]))
    with pytest.raises(
        ConfigError, match=r"names 'aa', which the program does not return; it returns a, b, l, y\. Did"
    ):
        check_columns(config(partition_by=["b", "aa"], output="/o"), columns)


def table(*rows: int) -> pa.Table:
    return pa.table({"x": pa.array(rows, pa.int64())})


def files(form: Form, *tables: pa.Table, schema: pa.Schema | None = None) -> list[tuple[str, int]]:
    return [(name, rows) for name, rows, _ in encoded(form, iter(tables), schema)]


def test_files_hold_so_many_rows_across_tables() -> None:
    form = Form("csv", False, (), 3)
    assert files(form, table(1, 2), table(3, 4, 5, 6, 7)) == [
        ("part-00000.csv", 3),
        ("part-00001.csv", 3),
        ("part-00002.csv", 1),
    ]
    assert files(form, table(1, 2, 3)) == [("part-00000.csv", 3)]
    assert files(form, schema=table().schema) == [("part-00000.csv", 0)]
    assert files(form) == [("part-00000.csv", 0)]
    content = [data for _, _, data in encoded(form, iter([table(1, 2), table(3, 4)]), None)]
    assert content == [b'"x"\n1\n2\n3\n', b'"x"\n4\n']


def test_partitions_have_folders_of_their_own_and_lose_their_columns() -> None:
    rows = pa.table({"k": ["b", "a", "b", None], "n": [1, 1, 1, 2], "x": [10, 11, 12, 13]})
    found = list(encoded(Form("jsonl", False, ("k", "n"), 1), iter([rows, rows.slice(2, 1)]), None, "v1"))
    assert sorted((name, json.loads(data)["x"]) for name, _, data in found) == [
        ("k=__HIVE_DEFAULT_PARTITION__/n=2/v1-00000.jsonl", 13),
        ("k=a/n=1/v1-00000.jsonl", 11),
        ("k=b/n=1/v1-00000.jsonl", 10),
        ("k=b/n=1/v1-00001.jsonl", 12),
        ("k=b/n=1/v1-00002.jsonl", 12),
    ]
    assert list(encoded(Form("csv", False, ("k",), 9), iter([]), rows.schema)) == []


def test_folders_are_quoted_but_for_spaces() -> None:
    rows = pa.table({"a b": ["x/y z"], "x": [1]})
    assert files(Form("csv", False, ("a b",), 9), rows) == [("a%20b=x%2Fy z/part-00000.csv", 1)]


def test_rows_of_partitions_are_written_when_they_are_too_many_to_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "HELD_BYTES", 30)  # two tables hold 32
    rows = pa.table({"k": [1, 2], "x": pa.array([1, 2], pa.int64())})
    found = files(Form("csv", False, ("k",), 100), rows, rows, rows)
    assert found == [(f"k={k}/part-0000{i}.csv", n) for i, n in ((0, 2), (1, 1)) for k in (1, 2)]


@pytest.mark.parametrize("target", [2_000.0, 20_000.0])
def test_files_come_near_the_bytes_that_are_asked(target: float) -> None:
    form = Form("jsonl", False, (), 2**63 - 1, target)
    found = list(encoded(form, iter([table(*range(5_000, 9_000)), table(*range(9_000))]), None))
    assert sum(rows for _, rows, _ in found) == 13_000
    assert all(abs(len(data) / target - 1) <= 0.1 for _, _, data in found[:-1])
    assert len(found[-1][2]) <= target * 1.1
    assert [name for name, _, _ in found][:2] == ["part-00000.jsonl", "part-00001.jsonl"]


def test_bytes_and_rows_bound_a_file_together() -> None:
    form = Form("jsonl", False, (), 50, 2_000.0)
    assert {rows for _, rows in files(form, table(*range(120)))} == {50, 20}


def test_values_that_csv_has_not_become_text() -> None:
    rows = pa.table({"l": [[1, 2], None], "s": [{"a": Decimal("1.5")}, None], "b": [b"\x01", None], "x": [1, 2]})
    assert ENCODERS["csv"](rows) == b'"l","s","b","x"\n"[1, 2]","{""a"": ""1.5""}","01",1\n,,,2\n'
    large = pa.table({"b": pa.array([b"\x02"], pa.large_binary())})
    assert ENCODERS["csv"](large) == b'"b"\n"02"\n'


def test_extension_types_are_what_they_store_in_csv() -> None:
    tensor = pa.FixedShapeTensorArray.from_numpy_ndarray(np.ones((1, 2)))
    rows = pa.table({"u": pa.array([b"\0" * 15 + b"\1"], pa.uuid()), "t": tensor})
    assert ENCODERS["csv"](rows) == b'"u","t"\n"00000000-0000-0000-0000-000000000001","[1.0, 1.0]"\n'


def test_json_lines_hold_bytes_as_digits_and_other_values_as_text() -> None:
    rows = pa.table({"b": [b"\x01"], "d": [Decimal("1.5")], "t": ["ü"]})
    assert ENCODERS["jsonl"](rows).decode() == '{"b": "01", "d": "1.5", "t": "ü"}\n'


def test_json_lines_hold_null_where_json_has_no_number() -> None:
    rows = pa.table({"x": [1.5, float("nan"), float("inf")], "l": [[float("-inf"), 2.0], None, None]})
    assert ENCODERS["jsonl"](rows).decode().splitlines() == [
        '{"x": 1.5, "l": [null, 2.0]}',
        '{"x": null, "l": null}',
        '{"x": null, "l": null}',
    ]
    assert ENCODERS["csv"](pa.table({"l": [[float("nan"), 1.0]]})) == b'"l"\n"[null, 1.0]"\n'


def test_arrow_and_parquet_come_back() -> None:
    rows = table(1, 2)
    assert pa.ipc.open_file(ENCODERS["arrow"](rows)).read_all() == rows
    assert pq.read_table(io.BytesIO(ENCODERS["parquet"](rows))) == rows


def test_an_export_is_listed_and_marked(tmp_path: Path) -> None:
    paths = export(Form("csv", False, (), 1), str(tmp_path / "o"), iter([table(1, 2)]), None)
    assert paths == [f"{tmp_path}/o/part-00000.csv", f"{tmp_path}/o/part-00001.csv"]
    listed = json.loads((tmp_path / "o" / "_manifest.json").read_text())
    assert listed == {"files": [{"path": f"part-0000{i}.csv", "bytes": 6} for i in (0, 1)]}
    assert (tmp_path / "o" / "_SUCCESS").exists()


def test_one_file_is_written_once_and_another_s_is_not_replaced(tmp_path: Path) -> None:
    form, place = Form("csv", True, (), 9), str(tmp_path / "x.csv")
    for _ in range(2):
        assert export(form, place, iter([table(1), table(2)]), None) == [place]
    assert (tmp_path / "x.csv").read_bytes() == b'"x"\n1\n2\n'
    assert sorted(p.name for p in tmp_path.iterdir()) == ["x.csv"]
    with pytest.raises(OutputExists, match="was written by someone else in the meantime; name another file and resume"):
        export(form, place, iter([table(3)]), None)
    assert len(digest_of(place)["sha256"]) == 64


# the rows of an output


@pytest.fixture
def output(tmp_path: Path) -> Output:
    """Two files whose runs of fragments lie between each other: 0, 1 and 4 in the first, 2 and 3 in the second."""
    for name, rows in (("t0", [0, 1, 4]), ("t1", [2, 3])):
        pq.write_table(table(*rows), tmp_path / f"part-{name}.parquet")
    first = record("t0", rows_written=3, segments=((0, 2), (2, 1)))
    return Output(str(tmp_path), [first, record("t1", rows_written=2, segments=((1, 2), (3, 0)))])


def test_rows_come_in_input_order_or_as_they_lie(output: Output) -> None:
    assert output.to_table()["x"].to_pylist() == output.to_arrow()["x"].to_pylist() == [0, 1, 2, 3, 4]
    assert [b.num_rows for b in output] == [2, 2, 1]
    unordered = Output(output.url, output.records, preserve_order=False)
    assert unordered.to_table()["x"].to_pylist() == [0, 1, 4, 2, 3]
    assert (len(output), output.rows, len(output.paths)) == (5, 5, 2)
    assert repr(output) == f"Output(5 rows in 2 files at {output.url!r})"
    assert output.to_pandas()["x"].tolist() == output.to_polars()["x"].to_list() == [0, 1, 2, 3, 4]
    assert "5 rows in 2 files" in output._repr_html_()


@pytest.mark.parametrize(
    ("n", "rows"), [(0, []), (1, [0]), (2, [0, 1]), (3, [0, 1, 2]), (5, [0, 1, 2, 3, 4]), (9, [0, 1, 2, 3, 4])]
)
def test_a_head_is_the_first_rows(output: Output, n: int, rows: list[int]) -> None:
    assert output.head(n)["x"].tolist() == rows


def test_a_head_reads_no_more_files_than_hold_it(output: Output, tmp_path: Path) -> None:
    (tmp_path / "part-t1.parquet").unlink()
    assert output.head(2)["x"].tolist() == [0, 1]


def test_a_file_of_before_the_schema_grew_fits(output: Output) -> None:
    grown = Output(output.url, output.records, schema=pa.schema([("y", pa.string()), ("x", pa.float64())]))
    found = grown.to_table()
    assert found.to_pydict() == {"y": [None] * 5, "x": [0.0, 1.0, 2.0, 3.0, 4.0]}
    assert Output(output.url, [], schema=grown.schema).to_table().schema == grown.schema
    assert Output(output.url, []).to_table().num_columns == 0
    assert Output(output.url, []).head().empty


def test_an_exported_output_is_elsewhere_with_the_same_rows(output: Output) -> None:
    other = output.exported("/x", ["/x/a.csv"])
    assert (other.url, other.paths, other.to_table()["x"].to_pylist()) == ("/x", ["/x/a.csv"], [0, 1, 2, 3, 4])
    assert len(output.paths) == 2


def test_a_dask_frame_has_a_partition_for_each_run_of_the_input(output: Output) -> None:
    lazy = Output(output.url, output.records, schema=table().schema).to_dask()
    assert lazy.npartitions == 3
    assert lazy.compute(scheduler="sync")["x"].tolist() == [0, 1, 2, 3, 4]
    assert len(Output(output.url, []).to_dask()) == 0


# what readers of a folder see


class Folder:
    """An output with a version 1 of one file, which is shown, and a version 2 of that and another."""

    def __init__(self, url: str) -> None:
        self.output = Directory(url)
        self.file("a", 1, b"one")
        self.file("b", 2, b"two")
        self.output.put("mine.txt", b"the user's")

    def file(self, name: str, number: int, data: bytes) -> None:
        self.output.put(f"_versions/00000{number}/{name}.parquet", data)

    def manifest(self, *names: tuple[str, int], before: tuple[str, ...] = (), **more: Any) -> dict[str, Any]:
        listed = [
            {
                "path": f"part-{n}.parquet",
                "stored": f"_versions/00000{v}/{n}.parquet",
                "rows": 1,
                "sha256": n,
                "size": 3,
            }
            for n, v in names
        ]
        return {"files": listed, "counts": {"rows_in": 3}, "version": 2, "before": list(before), **more}

    @property
    def shown(self) -> dict[str, bytes]:
        names = [n for n in self.output.names() if not n.startswith("_versions/")]
        return {n: self.output.get(n) for n in names if n != "_manifest.json"}

    @property
    def stored(self) -> list[str]:
        return [n.removeprefix("_versions/00000") for n in self.output.names("_versions")]


@pytest.fixture(params=["exchanged", "in steps", "store"])
def folder(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    if request.param == "in steps":
        monkeypatch.setattr(publishing, "_exchange", lambda one, other: False)
    return Folder(f"memory:///{tmp_path.name}" if request.param == "store" else str(tmp_path / "out"))


def test_a_version_is_shown_in_the_place_of_that_before(folder: Folder) -> None:
    publish(folder.output, folder.manifest(("a", 1)))
    assert folder.shown == {"_SUCCESS": b"", "mine.txt": b"the user's", "part-a.parquet": b"one"}
    folder.file("b", 2, b"two")
    publish(folder.output, folder.manifest(("b", 2), before=("_versions/000001/a.parquet",)))
    assert folder.shown == {"_SUCCESS": b"", "mine.txt": b"the user's", "part-b.parquet": b"two"}
    told = json.loads(folder.output.get("_manifest.json"))
    assert told == {
        "counts": {"rows_in": 3},
        "files": [{"path": "part-b.parquet", "rows": 1, "sha256": "b"}],
        "version": 2,
    }
    assert folder.stored == ["1/a.parquet", "2/b.parquet"]
    publish(folder.output, folder.manifest(("b", 2)))
    assert folder.stored == ["2/b.parquet"]
    publish(folder.output, folder.manifest(("b", 2)))
    assert folder.shown["part-b.parquet"] == b"two"


def test_files_in_another_form_are_shown_from_their_own_place(folder: Folder) -> None:
    folder.output.put("_versions/000002/shown/k=1/part-x.csv", b"1")
    folder.output.put("_versions/000001/shown/part-old.csv", b"0")
    form = [{"path": "k=1/part-x.csv", "stored": "_versions/000002/shown/k=1/part-x.csv", "rows": 1, "sha256": "s"}]
    publish(folder.output, folder.manifest(("b", 2), shown=form))
    assert folder.shown == {"_SUCCESS": b"", "mine.txt": b"the user's", "k=1/part-x.csv": b"1"}
    assert folder.stored == ["2/b.parquet", "2/shown/k=1/part-x.csv"]


def test_a_result_is_shown_with_its_signature(folder: Folder) -> None:
    folder.output.put("_versions/000002/result.pkl", b"value")
    folder.output.put("_versions/000002/result.pkl.signature", b"sig")
    publish(folder.output, folder.manifest(("b", 2), result="_versions/000002/result.pkl"))
    assert folder.shown == {
        "_SUCCESS": b"",
        "mine.txt": b"the user's",
        "result.pkl": b"value",
        "result.pkl.signature": b"sig",
    }
    assert json.loads(folder.output.get("_manifest.json"))["version"] == 2


def test_one_file_takes_the_place_of_that_before(tmp_path: Path) -> None:
    folder = Folder(str(tmp_path / ".x.csv.versions"))
    folder.output.put("_versions/000002/shown/x.csv", b"new")
    (tmp_path / "x.csv").write_bytes(b"old")
    form = [{"path": "x.csv", "stored": "_versions/000002/shown/x.csv", "rows": 1, "sha256": "s"}]
    publish(folder.output, folder.manifest(("b", 2), shown=form, single=str(tmp_path / "x.csv")))
    assert (tmp_path / "x.csv").read_bytes() == b"new"
    assert sorted(p.name for p in tmp_path.iterdir()) == [".x.csv.versions", "x.csv"]
    assert json.loads(folder.output.get("_manifest.json"))["files"][0]["path"] == "x.csv"


def test_what_tells_versions_apart_stays_when_their_files_go(folder: Folder) -> None:
    for number in (1, 2):
        for name in ("claim.json", "manifest.json"):
            folder.output.put(f"_versions/00000{number}/{name}", b"{}")
    folder.file("rows", 2, b"keys")
    folder.file("rows", 1, b"keys of before")
    publish(folder.output, folder.manifest(("b", 2), rows={"stored": "_versions/000002/rows.parquet"}))
    assert folder.stored == [
        *("1/claim.json", "1/manifest.json"),
        *("2/b.parquet", "2/claim.json", "2/manifest.json", "2/rows.parquet"),
    ]


def test_a_table_notes_what_it_shows(folder: Folder) -> None:
    said(folder.output, folder.manifest(("b", 2)))
    told = json.loads(folder.output.get("_manifest.json"))
    assert told["files"] == [{"path": "part-b.parquet", "rows": 1, "sha256": "b"}]
    assert folder.shown == {"_SUCCESS": b"", "mine.txt": b"the user's"}
    assert folder.stored == ["2/b.parquet"]


def test_an_exchanged_folder_keeps_its_rights_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    folder = Folder(str(tmp_path / "out"))
    (tmp_path / "out").chmod(0o750)
    (tmp_path / "out" / "mine").mkdir()
    (tmp_path / "out" / "k=0").mkdir()
    (tmp_path / ".out.publishing").mkdir()
    before = os.stat(tmp_path / "out").st_ino
    publish(folder.output, folder.manifest(("b", 2)))
    assert os.stat(tmp_path / "out").st_ino != before
    assert os.stat(tmp_path / "out").st_mode & 0o777 == 0o750
    assert [p.name for p in tmp_path.iterdir()] == ["out"]
    assert (tmp_path / "out" / "mine").is_dir()
    assert not (tmp_path / "out" / "k=0").exists()


def test_a_system_without_an_exchange_goes_step_by_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publishing.ctypes, "CDLL", lambda *_, **__: object())
    assert publishing._exchange(tmp_path, tmp_path) is False


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("part-a.parquet", True),
        ("k=1/l=2/part-a.csv", True),
        ("part-a.jsonl", True),
        ("part-a.arrow", True),
        ("part-a.txt", False),
        ("_versions/part-a.parquet", False),
        ("k=1/_x/part-a.parquet", False),
        ("mine.parquet", False),
        ("part-.parquet", False),
        (".hidden/part-a.parquet", False),
    ],
)
def test_which_files_a_version_may_remove(name: str, part: bool) -> None:
    assert publishing._is_part(name) is part


def test_names_of_numbers_are_plain() -> None:
    assert exporting._text(np.int64(3)) == "3"
