"""Records in bulk: a resume of very many committed sub-tasks reads a few files."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import partitioner as pt
from partitioner import choices
from partitioner.coordinator.ledger import Ledger, next_numbers
from partitioner.model import CommitRecord, Edges, EventKind, Plan, SubTasks, Workers
from partitioner.runs.resume import placed
from partitioner.store import commit_log
from partitioner.store.commit_log import decoded, encoded
from partitioner.store.commits import Commits, Records
from partitioner.store.run_directory import RunDirectory, new_run_id
from tests import programs


def record(i: int, **changes: Any) -> CommitRecord:
    values: dict[str, Any] = {
        "task_key": f"t{i:06d}", "attempt_id": f"t{i:06d}-a0", "worker_id": "w", "path": f"part-t{i:06d}.parquet",
        "rows_in": 10, "rows_out": 9, "rows_written": 9, "quarantined": 1, "segments": ((i, 9),), "bytes_read": 80,
        "seconds": 1.5, "cpu_seconds": 1.0, "load_seconds": 0.0, "read_seconds": 0.1, "peak_memory_bytes": 7,
        "started": 1.0, "finished": 2.5, "digest": "d", "measured": {"x": 1.0}, "size": 5, "tag": "e",
        "quarantine": "q", "quarantine_digest": "r", "part": (0, 10), "inputs": ((i, 10, 1),),
    }  # fmt: skip
    return CommitRecord(**{**values, **changes})


def test_a_segment_gives_its_records_back() -> None:
    records = [record(0), record(1, part=None, inputs=(), segments=((1, 4), (9, 5)), measured={})]
    assert list(decoded(encoded(records))) == records


def test_gathered_records_lie_in_one_file(tmp_path: Path) -> None:
    run = RunDirectory(str(tmp_path))
    for i in range(5):
        run.commit(record(i))
    run.gather([record(i) for i in range(4)])
    assert [p.name for p in (tmp_path / "commits").iterdir()] == ["t000004.json"]
    assert run.commits() == {f"t{i:06d}": record(i) for i in range(5)}


def test_a_later_record_counts_before_the_segment(tmp_path: Path) -> None:
    run = RunDirectory(str(tmp_path))
    run.gather([record(0), record(1)])
    run.commit(record(0, attempt_id="t000000-a7"))
    assert run.commits()["t000000"].attempt_id == "t000000-a7"


def test_a_record_that_is_taken_back_stays_away_until_the_next_commit(tmp_path: Path) -> None:
    run = RunDirectory(str(tmp_path))
    run.gather([record(0), record(1)])
    run.uncommit("t000000")
    assert set(run.commits()) == {"t000001"}
    run.commit(record(0, attempt_id="t000000-a1"))
    assert run.commits()["t000000"].attempt_id == "t000000-a1"


def options(home: Path) -> dict[str, Any]:
    places = {"checkpoint": str(home / "runs"), "output": str(home / "out")}
    return {"cost": "rows", "max_tasks": 8, "min_tasks_per_slot": 8, "engine": "serial", "progress": False, **places}


@pytest.mark.parametrize("damage", ["none", "torn", "gone"])
def test_a_run_with_segments_resumes_from_them_or_from_footers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    monkeypatch.setattr("partitioner.coordinator.execute.SEGMENT", 3)
    table = pa.table({"x": range(80)})
    first = pt.run(table, programs.double, report=False, **options(tmp_path))
    segments = sorted((Path(first.url) / "records").iterdir())
    assert len(segments) == 2
    if damage == "torn":
        segments[0].write_bytes(segments[0].read_bytes()[:50])
    if damage == "gone":
        segments[0].unlink()
    (tmp_path / "out" / "part-t000004.parquet").unlink()
    again = pt.run(table, programs.double, report=False, resume=first.url, **options(tmp_path))
    assert again.attempted == 1
    assert [r.digest for r in again.records] == [r.digest for r in first.records]
    assert RunDirectory(first.url).commits().keys() == {f"t{i:06d}" for i in range(8)}


@pytest.mark.parametrize("damage", ["none", "torn", "gone"])
def test_very_many_records_stay_columns_and_give_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    monkeypatch.setattr("partitioner.coordinator.execute.SEGMENT", 3)
    table = pa.table({"x": range(80)})
    first = pt.run(table, programs.double, report=False, **options(tmp_path))
    manifest = (tmp_path / "out" / "_manifest.json").read_bytes()
    segments = sorted((Path(first.url) / "records").iterdir())
    if damage == "torn":
        segments[0].write_bytes(segments[0].read_bytes()[:50])
    if damage == "gone":
        segments[0].unlink()
    (tmp_path / "out" / "part-t000004.parquet").unlink()
    monkeypatch.setattr("partitioner.store.run_directory.MANY", 1)
    again = pt.run(table, programs.double, report=False, resume=first.url, **options(tmp_path))
    assert isinstance(again.records, Records)
    assert [r.digest for r in again.records] == [r.digest for r in first.records]
    assert again.records[4].rows_in == 10
    assert (again.counts, again.result.to_table()) == (first.counts, first.result.to_table())
    assert (tmp_path / "out" / "_manifest.json").read_bytes() == manifest


def test_sub_tasks_that_were_split_are_found_among_many_records(tmp_path: Path) -> None:
    run = RunDirectory(str(tmp_path))
    parts = [
        record(1, task_key=f"t000001.{n}", part=(a, b), segments=((1, 1),)) for n, (a, b) in enumerate([(5, 9), (0, 5)])
    ]
    run.gather([record(0), record(1, split=True, part=None), *parts, record(2)])
    run.commit(record(2, attempt_id="t000002-a3"))
    commits = Commits(run.files, run.files.names("records"), {"t000002": run.committed("t000002")})
    ids = pa.array(["t000000", "t000001", "t000002"])
    assert commits.done(ids).tolist() == [True, False, True]
    found = [(r.task_key, r.attempt_id) for r in commits.in_order(ids, {})]
    assert [key for key, _ in found] == ["t000000", "t000001", "t000001.1", "t000001.0", "t000002"]
    assert found[-1][1] == "t000002-a3"
    assert dict(commits) == run.commits()


def test_numbers_of_attempts_are_read_from_the_ledger_of_what_is_left(tmp_path: Path) -> None:
    run = RunDirectory(str(tmp_path))
    ledger = Ledger(run)
    for attempt in ("t000000-a0", "t000001-a0", "t000001-a1", "t000002.4-9-a3"):
        ledger.note("submitted", attempt=attempt, worker="w")
    ledger.note(EventKind.STARTED, attempt="t000003-a5", worker="w")
    ledger.note(EventKind.FINISHED, attempt="t000000-a0", worker="w")
    ledger.flush()
    run.files.put("ledger/torn.jsonl", b'{"what": "submitted", "time": 1.5, "attempt": "t000001-a7')
    assert next_numbers(run) == {"t000000": 1, "t000001": 2, "t000002.4-9": 4, "t000003": 6}
    assert next_numbers(run, {"t000001"}) == {"t000001": 2, "t000002.4-9": 4}


def placing(seen: list[list[str]]) -> Callable[[SubTasks], Plan]:
    def place(left: SubTasks) -> Plan:
        seen.append(left.task_id.to_pylist())
        return choices.choose("placements", "lpt").place(left, Workers.identical(2))

    return place


def test_only_what_is_left_is_placed() -> None:
    tasks = SubTasks.build([3.0, 9.0, 2.0, 1.0], seconds_by_class={"gpu": np.array([1.0, np.nan, 2.0, 3.0])})
    seen: list[list[str]] = []
    planned = placed(tasks, {"t000001": record(1)}, placing(seen))
    assert seen == [["t000000", "t000002", "t000003"]]
    assert planned.finish.tolist() == [3.0, 0.0, 2.0, 3.0]
    assert planned.worker.tolist() == [0, 0, 1, 1]
    assert (planned.makespan, planned.tasks.seconds.tolist()) == (3.0, [3.0, 0.0, 2.0, 1.0])


def test_nothing_left_is_a_plan_of_no_time() -> None:
    tasks = SubTasks.build([3.0, 2.0])
    planned = placed(tasks, {"t000000": record(0), "t000001": record(1)}, placing([]))
    assert (planned.makespan, planned.finish.tolist(), len(planned)) == (0.0, [0.0, 0.0], 2)


def test_what_depends_on_each_other_is_placed_as_a_whole() -> None:
    edges = Edges(np.array([0]), np.array([1]), np.array([5.0]), np.zeros(1))
    tasks = SubTasks.build([3.0, 2.0], edges=edges)
    seen: list[list[str]] = []

    def place(left: SubTasks) -> Plan:
        seen.append(left.task_id.to_pylist())
        return choices.choose("placements", "heft").place(left, Workers.identical(1))

    assert placed(tasks, {"t000000": record(0)}, place).start.tolist() == [0.0, 5.0]
    assert seen == [["t000000", "t000001"]]


def test_twenty_thousand_records_are_read_from_three_files(tmp_path: Path) -> None:
    run = RunDirectory(str(tmp_path))
    for start in (0, 10_000):
        run.gather([record(i) for i in range(start, start + commit_log.SEGMENT)])
    run.commit(record(20_000))
    assert len(run.files.names()) == 3
    assert len(run.commits()) == 20_001


def test_the_later_of_two_runs_sorts_last(monkeypatch: pytest.MonkeyPatch) -> None:
    moments = [1_763_633_700.1, 1_763_633_700.1001, 1_763_633_700.9, 1_763_633_701.0]
    moment = iter(moments)
    monkeypatch.setattr("partitioner.store.run_directory.time.time", lambda: next(moment))
    names = [new_run_id("nightly") for _ in moments]
    assert names == sorted(names)
    assert len(set(names)) == len(names)
    assert names[0].startswith("20251120-101500-1999")
    assert names[0].endswith("-nightly")
