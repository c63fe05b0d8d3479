"""How rows become files and bytes: sizes, folders of partitions, and values that a format has not."""

from __future__ import annotations

import io
import json
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from partitioner.errors import OutputExists
from partitioner.output import exporting
from partitioner.output.encoders import ENCODERS
from partitioner.output.exporting import (
    Form,
    digest_of,
    encoded,
    export,
)
from tests.output.rows import table


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
