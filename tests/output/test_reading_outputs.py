"""An output as it is read: the order of its rows, heads, files of before the schema grew, exports."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from partitioner.output.output import Output
from tests.output.rows import table
from tests.store.records import record

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
