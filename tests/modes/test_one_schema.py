"""Rows that are added to an output go with those that are there: one schema over all nights, or one error."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import partitioner as pt
from partitioner.errors import PreflightFailed, RunFailed


def same(rows: pa.RecordBatch) -> pa.RecordBatch:
    return rows


def append(home: Path, column: pa.Array, mode: str = "append", **more: pa.Array) -> pt.Run:
    settings: dict[str, Any] = {"cost": "rows", "engine": "serial", "progress": False, "report": False}
    places = {"output": str(home / "out"), "checkpoint": str(home / "runs")}
    return pt.run(pa.table({"x": column, **more}), same, batch_format="arrow", mode=mode, **places, **settings)


CASES = {
    "a wider number": (pa.array([1], pa.int32()), pa.array([2**40]), pa.int64()),
    "a double after an integer": (pa.array([1]), pa.array([2.5]), pa.float64()),
    "an integer after a double": (pa.array([1.5]), pa.array([2]), pa.float64()),
    "text after null": (pa.nulls(1), pa.array(["a"]), pa.string()),
}


@pytest.mark.parametrize("case", CASES)
def test_the_output_is_of_one_type_for_every_reader(tmp_path: Path, case: str) -> None:
    first, second, kind = CASES[case]
    append(tmp_path, first)
    found = append(tmp_path, second).result.to_table()
    assert found.schema.field("x").type == kind
    assert found["x"].to_pylist() == [*first.to_pylist(), *second.to_pylist()]
    assert pq.read_table(tmp_path / "out").equals(found)


def test_text_after_numbers_is_refused_before_the_first_sub_task(tmp_path: Path) -> None:
    append(tmp_path, pa.array([1]), mode="error")
    with pytest.raises(PreflightFailed, match=r"'x' as string in sub-task t000000 and as int64 in version 0 of"):
        append(tmp_path, pa.array(["a"]))
    assert pq.read_table(tmp_path / "out")["x"].to_pylist() == [1]


def test_a_number_that_no_double_holds_is_not_rounded(tmp_path: Path) -> None:
    append(tmp_path, pa.array([2**60 + 1]))
    with pytest.raises(RunFailed, match=r"column 'x' of .* is int64 and does not fit exactly into the double"):
        append(tmp_path, pa.array([0.5]))
    assert pq.read_table(tmp_path / "out")["x"].to_pylist() == [2**60 + 1]


def test_a_column_that_is_no_longer_returned_is_null_and_stays(tmp_path: Path) -> None:
    append(tmp_path, pa.array([1]), y=pa.array(["a"]))
    with pytest.warns(UserWarning, match="column 'y' is null in the rows of sub-task t000000"):
        found = append(tmp_path, pa.array([2])).result.to_table()
    assert found.to_pylist() == [{"x": 1, "y": "a"}, {"x": 2, "y": None}]
