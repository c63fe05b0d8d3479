"""What is checked after the last commit: rows add up, the manifest, columns that were filled. By hand, without a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from partitioner.attempt.agreement import Agreement
from partitioner.errors import RunFailed
from partitioner.model import CommitRecord, Fragment, Fragments, SubTasks
from partitioner.runs import results
from partitioner.runs.results import check_rows, manifest
from partitioner.store.run_directory import RunDirectory
from tests.runs.recorded import as_columns
from tests.store.records import record


def tasks(*rows: list[int]) -> SubTasks:
    """Sub-tasks of fragments with so many rows each."""
    flat = [n for task in rows for n in task]
    return SubTasks.build(
        [1.0] * len(rows),
        fragments=Fragments.of([Fragment(i, "f", 0, 0, 1, n, 1) for i, n in enumerate(flat)]),
        offsets=np.cumsum([0, *map(len, rows)]),
        fragment_index=np.arange(len(flat)),
    )


def rows(key: str, read: int, out: int | None = None, aside: int = 0, **changes: Any) -> CommitRecord:
    out = read - aside if out is None else out
    return record(key, rows_in=read, rows_out=out, rows_written=out, quarantined=aside, **changes)


CHECKED: dict[str, tuple[list[list[int]], list[CommitRecord], str]] = {
    "sound": ([[2, 3], [4]], [rows("t000000", 5), rows("t000001", 4, aside=1)], ""),
    "unknown": ([[2, -1], [4]], [rows("t000000", 7), rows("t000001", 4)], ""),
    "empty": ([[0], [4]], [rows("t000000", 0), rows("t000001", 4)], ""),
    "split": (
        [[5], [4]],
        [
            rows("t000000", 0, split=True),
            rows("t000000.0-2", 2, part=(0, 2)),
            rows("t000000.2-5", 3, part=(2, 5)),
            rows("t000001", 4),
        ],
        "",
    ),
    "lost": (
        [[5], [4]],
        [rows("t000000", 5), rows("t000001", 4, out=3)],
        "t000001 read 4 rows, but 3 are in the output and 0",
    ),
    "twice": (
        [[5], [4]],
        [rows("t000000", 5, out=5, aside=1), rows("t000001", 4)],
        "t000000 read 5 rows, but 5 are in",
    ),
    "too few": (
        [[5], [4]],
        [rows("t000000", 5), rows("t000001", 3)],
        "t000001 read 3 rows of 4 that the input described",
    ),
    "too many": (
        [[5], [4]],
        [rows("t000000", 6), rows("t000001", 4)],
        "t000000 read 6 rows of 5 that the input described",
    ),
    "of nothing": ([[0], [4]], [rows("t000000", 1), rows("t000001", 4)], "t000000 read 1 rows of 0 that the input"),
    "no record": ([[5], [4]], [rows("t000001", 4)], "sub-task t000000 has no commit record"),
    "none": ([[5], [4]], [], "sub-task t000000 has no commit record"),
}


@pytest.mark.parametrize("case", CHECKED)
@pytest.mark.parametrize("columns", [False, True])
def test_rows_add_up_and_are_those_of_the_input(tmp_path: Path, case: str, columns: bool) -> None:
    expected, records, said = CHECKED[case]
    given: Any = as_columns(tmp_path, records, ["t000000", "t000001"]) if columns and records else records
    if said:
        with pytest.raises(RunFailed, match=said):
            check_rows(tasks(*expected), given)
        return
    counts = check_rows(tasks(*expected), given)
    assert counts == {
        "rows_in": sum(r.rows_in for r in records),
        "rows_out": sum(r.rows_out for r in records),
        "rows_written": sum(r.rows_written for r in records),
        "quarantined": sum(r.quarantined for r in records),
    }


def test_a_manifest_lists_files_in_order_whether_objects_or_columns(tmp_path: Path) -> None:
    records = [record("a", rows_written=3), record("b", rows_written=4)]
    files = [
        {"path": "part-b.parquet", "rows": 4, "sha256": "d-b"},
        {"path": "part-a.parquet", "rows": 3, "sha256": "d-a"},
    ]
    columns = as_columns(tmp_path, records, ["b", "a"])
    assert manifest(records[::-1], {"rows_in": 7}) == {"files": files, "counts": {"rows_in": 7}}
    found = manifest(columns, {"rows_in": 7})
    assert (list(found["files"]), found["counts"]) == (files, {"rows_in": 7})


def test_a_column_that_was_filled_is_said_once(tmp_path: Path) -> None:
    run = RunDirectory(str(tmp_path))
    results._say_what_was_filled(run)
    assert results._agreed_schema(run) is None
    agreement = Agreement(run.files)
    agreement.admit(pa.schema([("a", pa.int64()), ("b", pa.int64())]), "t0")
    results._say_what_was_filled(run)
    agreement.admit(pa.schema([("a", pa.int64())]), "t1")
    with pytest.warns(UserWarning, match="column 'b' is null in the rows of sub-task t1 and") as warned:
        results._say_what_was_filled(run)
    assert warned[0].filename == __file__
    schema = results._agreed_schema(run)
    assert schema is not None
    assert schema.names == ["a", "b"]
