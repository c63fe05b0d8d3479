"""What a run does before its first and after its last sub-task: what is refused early, and what a stop says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import partitioner as pt
from partitioner import running
from partitioner.errors import EngineLost, OutputExists, StorageFailed
from partitioner.storage import Directory


class Marked:
    """Leaves a mark where it is built."""

    def __init__(self, mark: str = "") -> None:
        if mark:
            Path(mark).touch()

    def __call__(self, batch: Any) -> Any:
        return batch


def run(home: Path, **options: Any) -> pt.Run:
    given = {"engine": "serial", "cost": "rows", "batch_format": "arrow", "progress": False, "report": False}
    places = {"checkpoint": str(home / "runs"), "output": str(home / "out")}
    return pt.run(pa.table({"x": range(8)}), Marked, **{**given, **places, "max_tasks": 2, **options})


def test_an_output_that_is_taken_is_told_before_anything_of_the_users_runs(tmp_path: Path) -> None:
    run(tmp_path)
    with pytest.raises(OutputExists, match="belongs to the finished run"):
        run(tmp_path, arguments={"mark": str(tmp_path / "built")})
    assert not (tmp_path / "built").exists()
    assert len(list((tmp_path / "runs").iterdir())) == 1


def test_files_of_the_version_before_stay_for_its_readers(tmp_path: Path) -> None:
    there: list[list[int]] = []
    for _ in range(3):
        run(tmp_path, mode="overwrite")
        there.append([len(list((tmp_path / "out/_versions" / f"00000{i}").glob("*.parquet"))) for i in (1, 2, 3)])
    assert there == [[2, 0, 0], [2, 2, 0], [0, 2, 2]]


@pytest.mark.parametrize("error", [StorageFailed, EngineLost])
def test_a_run_that_stops_in_its_last_steps_says_how_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    def fails(self: Directory) -> None:
        raise error("it is gone.")

    with monkeypatch.context() as patch:
        patch.setattr(running.Directory, "settle", fails)
        with pytest.raises(error, match=r"it is gone\. To go on: partitioner resume \S+$"):
            run(tmp_path)
    (home,) = (tmp_path / "runs").iterdir()
    assert run(tmp_path, resume=home.name).counts["rows_out"] == 8
