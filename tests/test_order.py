"""``preserve_order``: rows come back in input order however they were packed, or as they lie where that is not wanted."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import partitioner as pt
from partitioner.errors import ResumeRefused


def same(batch: pa.RecordBatch) -> pa.RecordBatch:
    return batch


def run(tmp_path: Path, **options: Any) -> pt.Run:
    """Four row groups in two sub-tasks: ``packed`` puts the first and the last together."""
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"x": range(8)}), path, row_group_size=2)
    settings = {"batch_format": "arrow", "split": "packed", "cost": [90.0, 10.0, 90.0, 11.0], "max_tasks": 2, **options}
    settings |= {"engine": "serial", "checkpoint": str(tmp_path / "runs"), "progress": False, "report": False}
    return pt.run(str(path), same, **settings)


def test_input_order_is_restored(tmp_path: Path) -> None:
    finished = run(tmp_path)
    assert [r.segments for r in finished.records] == [((0, 2), (3, 2)), ((1, 4),)]
    assert finished.result.to_table()["x"].to_pylist() == [0, 1, 2, 3, 4, 5, 6, 7]


def test_without_order_rows_come_as_the_sub_tasks_hold_them(tmp_path: Path) -> None:
    finished = run(tmp_path, preserve_order=False)
    assert [r.segments for r in finished.records] == [((0, 4),), ((1, 4),)]
    assert finished.result.to_table()["x"].to_pylist() == [0, 1, 6, 7, 2, 3, 4, 5]


def test_without_order_batches_of_like_rows_stay_as_they_were_called(tmp_path: Path) -> None:
    settings = {"sort_by_weight": True, "weight": "x + 1", "batch_size": 2, "max_tasks": 1, "cost": "rows"}
    ordered = run(tmp_path, **settings)
    assert ordered.result.to_table()["x"].to_pylist() == list(range(8))
    loose = run(tmp_path, **settings, preserve_order=False)
    assert loose.result.to_table()["x"].to_pylist() != list(range(8))
    assert sorted(loose.result.to_table()["x"].to_pylist()) == list(range(8))


@pytest.mark.parametrize(
    "change",
    [
        {"preserve_order": False},
        {"padded": True, "batch_size": 2, "max_batch_weight": 50, "weight": "x"},
    ],
)
def test_a_resume_with_another_order_or_padding_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    same_but = {k: v for k, v in change.items() if k not in ("preserve_order", "padded")}
    finished = run(tmp_path, **same_but)
    with pytest.raises(ResumeRefused, match=rf"setting {next(iter(change))}: was"):
        run(tmp_path, **change, resume=finished.run_id)


def test_a_plan_says_what_the_engine_only_plans_with(tmp_path: Path) -> None:
    notes = run(tmp_path, allowed_mem="1TB").plan.about.notes  # the serial worker is this process, however large it is
    assert notes["allowed_mem"] == "planned with; engine 'serial' does not hold its workers to their memory"
    assert "allowed_mem" not in run(tmp_path).plan.about.notes


def test_a_plan_says_that_gpus_are_counted_and_not_assigned() -> None:
    from partitioner.config import make
    from partitioner.engines.serial import SerialEngine
    from partitioner.stages.steps import unmet

    engine = SerialEngine()
    assert list(unmet(make({"task_gpus": 0.5}), engine)) == ["task_gpus"]
    assert list(unmet(make({"timeout": 3.0}), engine)) == ["timeout"]
    assert unmet(make({}), engine) == {}
