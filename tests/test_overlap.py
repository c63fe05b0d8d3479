"""Partial results are merged while other sub-tasks still run: the same tree, the same bits, and less left at the end."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import partitioner as pt
from partitioner.reducers.tree import merge_tree
from partitioner.reducers.tree_sum import TreeSum
from partitioner.runs.overlap import least_busy
from partitioner.store.run_directory import RunDirectory
from tests import merge_programs as programs
from tests.chaos.scene import ROOT, SIGKILL, kill_group, wait_until

TASKS = 13
SETTINGS: dict[str, Any] = {
    "reducer": "tree_sum",
    "max_tasks": TASKS,
    "min_tasks_per_slot": TASKS,
    "cost": "rows",
    "merge_above": 0,
    "progress": False,
    "report": False,
}
DASK = {"engine": "dask", "workers": 2}


def written(folder: Path) -> str:
    pq.write_table(pa.table({"x": np.arange(TASKS)}), folder / "in.parquet", row_group_size=1)
    return str(folder / "in.parquet")


def run(folder: Path, **options: Any) -> pt.Run:
    given = {"program": programs.AfterMerges, "checkpoint": str(folder / "runs"), **SETTINGS, **options}
    return pt.run(written(folder), **{"arguments": {"runs": str(folder / "runs"), "last": TASKS - 1}, **given})


def expected() -> bytes:
    return merge_tree(TreeSum(), [programs.weights({"x": np.array([i])}) for i in range(TASKS)])["w"].tobytes()


def reasons(finished: pt.Run) -> dict[str, str]:
    return dict(json.loads(RunDirectory(f"{finished.url}/merge").files.get("plan.json"))["reasons"])


def test_merges_are_made_while_a_sub_task_still_runs(tmp_path: Path, dask_engine: Any) -> None:
    finished = run(tmp_path, engine=dask_engine)  # its last sub-task ends when it sees merges
    assert finished.result["w"].tobytes() == expected()
    assert reasons(finished)["kept"].startswith("merges while sub-tasks still ran, or of an earlier session: ")


def test_a_worker_that_dies_in_a_merge_beside_sub_tasks_changes_no_bit(tmp_path: Path) -> None:
    finished = run(tmp_path, engine=DASK, reducer=programs.DyingSum(str(tmp_path), 1))
    assert finished.result["w"].tobytes() == expected()
    assert (tmp_path / "death-0").exists()
    told = [path.read_text() for path in Path(finished.url).rglob("ledger/*") if path.is_file()]
    assert any('"finished"' in text for text in told)
    assert not any("nothing was merged meanwhile" in text for text in told)  # what waits for merges saw them in time


def test_a_driver_that_is_killed_leaves_merges_that_a_resume_on_another_engine_keeps(tmp_path: Path) -> None:
    data = written(tmp_path)
    settings = SETTINGS | {"engine": DASK, "checkpoint": str(tmp_path / "runs")}
    settings |= {"program": "tests.merge_programs:AfterMerges"}
    arguments = {"runs": str(tmp_path / "runs"), "last": TASKS - 1, "gate": str(tmp_path / "open")}
    call = f"pt.run({data!r}, arguments={arguments!r}, **{settings!r})"
    (tmp_path / "driver.py").write_text(f"import partitioner as pt\nif __name__ == '__main__':\n    {call}")
    driver = subprocess.Popen([sys.executable, str(tmp_path / "driver.py")], cwd=ROOT, start_new_session=True)
    wait_until(lambda: len(list((tmp_path / "runs").glob("*/merge/partials/merge-*.value"))) >= 2)
    kill_group(driver, SIGKILL)
    driver.wait()
    (tmp_path / "open").touch()
    (home,) = (tmp_path / "runs").iterdir()
    finished = pt.run(data, arguments=arguments, resume=home.name, **{**settings, "engine": "serial"})
    assert finished.result["w"].tobytes() == expected()
    assert int(reasons(finished)["kept"].removeprefix("merges of an earlier session: ")) >= 2


def test_small_partial_results_are_left_to_the_driver(tmp_path: Path, dask_engine: Any) -> None:
    finished = run(tmp_path, engine=dask_engine, program=programs.weights, arguments={}, merge_above="1GB")
    assert finished.result["w"].tobytes() == expected()
    assert not (Path(finished.url) / "merge").exists()


@pytest.mark.parametrize(
    ("busy", "merging", "worker"),
    [
        ({"a": 0, "b": 1}, set(), "a"),
        ({"a": 0, "b": 2}, {"a"}, None),  # a is done with its merge before b has begun another
        ({"a": 0, "b": 1}, {"a"}, None),
        ({"a": 1, "b": 1}, {"a"}, "b"),
        ({"a": 0, "b": 0}, {"a"}, "b"),
        ({"a": 1, "four": 2}, set(), "four"),
        ({"a": 0, "b": 0}, {"a", "b"}, None),
        ({}, set(), None),
    ],
)
def test_a_merge_goes_to_the_least_busy_worker_or_waits_for_it(
    busy: dict[str, int], merging: set[str], worker: str | None
) -> None:
    assert least_busy(busy, merging, {"a": 1.0, "b": 1.0, "four": 4.0}) == worker
