"""Whole numbers in CSV and JSON lines stay what they are, or are refused."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from connectors.resolve import resolve
from partitioner.errors import DataError

MOST = 2**64 - 1


def rows(folder: Path, form: str, numbers: list[str], **options: Any) -> pa.Table:
    path = folder / f"ids.{form}"
    lines = (
        [f'{{"id": {n or "null"}, "t": "x"}}' for n in numbers]
        if form == "jsonl"
        else ["id,t", *(f"{n},x" for n in numbers)]
    )
    path.write_text("".join(f"{line}\n" for line in lines))
    dataset = resolve({"path": str(path), **options}).describe()
    return pa.Table.from_batches([b for f in dataset.fragments for b in dataset.source.read(f)])


@pytest.mark.parametrize("form", ["csv", "jsonl"])
@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        (["1", str(MOST)], [1, MOST]),
        ([str(2**63), "", "7"], [2**63, None, 7]),
        ([str(2**63 - 1), "-1"], [2**63 - 1, -1]),
        (["1.5", "100000000000000000000"], [1.5, 1e20]),
    ],
)
def test_numbers_are_what_the_text_says(tmp_path: Path, form: str, numbers: list[str], expected: list[Any]) -> None:
    assert rows(tmp_path, form, numbers)["id"].to_pylist() == expected


@pytest.mark.parametrize("form", ["csv", "jsonl"])
@pytest.mark.parametrize("numbers", [["1", str(2**64)], ["-1", str(MOST)], [str(-(2**63) - 1)]])
def test_numbers_that_no_column_holds_are_refused(tmp_path: Path, form: str, numbers: list[str]) -> None:
    with pytest.raises(
        DataError, match=r"column 'id' of .*ids.* holds the whole number -?\d+ among others.*'decimal128"
    ):
        rows(tmp_path, form, numbers)


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_a_type_that_is_given_holds(tmp_path: Path, form: str) -> None:
    digits = [str(2**64), "-1"]
    assert rows(tmp_path, form, digits, types={"id": "double"})["id"].to_pylist() == [float(2**64), -1.0]
    assert rows(tmp_path, form, digits, types={"id": "decimal128(38, 0)"})["id"].to_pylist() == [
        Decimal(2**64),
        Decimal(-1),
    ]
