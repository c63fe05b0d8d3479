"""Runs of one row, of rows that alone have no room in memory, and of results that no file holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

import partitioner as pt
from partitioner.errors import PartitionerError
from partitioner.runs import quarantine


def run(rows: int, program: Any, home: Path, **options: Any) -> pt.Run:
    settings: dict[str, Any] = {"cost": "rows", "engine": "serial", "max_tasks": 4, "min_tasks_per_slot": 4}
    settings |= {"progress": False, "report": False, "checkpoint": str(home / "runs"), "output": str(home / "out")}
    return pt.run(pa.table({"x": range(rows)}), program, **{**settings, **options})


def doubled(batch: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({"y": batch["x"] * 2})


def too_large(batch: pd.DataFrame) -> pd.DataFrame:
    if batch["x"].isin([3, 40]).any():
        raise MemoryError("no room for this row")
    return doubled(batch)


def with_a_function(batch: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({"y": [lambda: None for _ in range(len(batch))]})


def test_one_row_is_a_run(tmp_path: Path) -> None:
    finished = run(1, doubled, tmp_path)
    assert finished.result.to_pandas()["y"].tolist() == [0]
    assert dict(finished.counts) == {"rows_in": 1, "rows_out": 1, "rows_written": 1, "quarantined": 0}


def test_rows_for_which_alone_memory_runs_out_are_set_aside_and_all_others_delivered(tmp_path: Path) -> None:
    finished = run(64, too_large, tmp_path, on_error="quarantine")
    assert finished.result.to_pandas()["y"].tolist() == [2 * x for x in range(64) if x not in (3, 40)]
    assert [row["x"] for row in quarantine.rows_of(finished.directory).to_pylist()] == [3, 40]
    assert finished.exit_code == 5


def test_a_result_that_no_file_holds_ends_the_run_with_the_column(tmp_path: Path) -> None:
    with pytest.raises(PartitionerError, match="y") as caught:
        run(8, with_a_function, tmp_path)
    assert "function" in str(caught.value)
    assert not (tmp_path / "out" / "_SUCCESS").exists()
