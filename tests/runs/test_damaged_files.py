"""Committed files and records that are damaged, torn or gone: what is made again, removed, said or run again."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from partitioner.coordinator import ledger
from partitioner.errors import DamagedOutput
from partitioner.model import Care, CommitRecord
from partitioner.runs.integrity import problems, reconcile, verified
from partitioner.store.run_directory import RunDirectory
from tests.attempt.by_hand import ByHand, doubled
from tests.runs.recorded import KEYS, as_columns

# integrity


def fails_on_three(batch: pa.RecordBatch) -> pa.RecordBatch:
    if 3 in batch.column("x").to_pylist():
        raise ValueError("three")
    return doubled(batch)


@pytest.fixture
def made(tmp_path: Path) -> ByHand:
    """Four committed sub-tasks; row 3 of the first is in quarantine."""
    by_hand = ByHand(tmp_path, fails_on_three, of=[[0], [1], [2], [3]])
    by_hand.directory.write_tasks(by_hand.tasks)
    for task in range(4):
        by_hand.record(task=task, care=Care(isolate=True, suspects=None))
    return by_hand


def said_of(run: RunDirectory) -> list[tuple[str, str, str]]:
    return [(line["what"], line["sub_task"], line["reason"]) for line in ledger.read(run)]


def test_what_is_sound_is_taken_as_it_is(made: ByHand, capfd: pytest.CaptureFixture[str]) -> None:
    before = made.directory.commits()
    assert reconcile(made.directory, made.job) == before
    assert sorted(before) == KEYS
    assert capfd.readouterr().err == ""
    assert made.directory.files.names("ledger") == []


def test_a_record_that_is_gone_is_made_again_without_a_word(made: ByHand, capfd: pytest.CaptureFixture[str]) -> None:
    before = made.directory.commits()["t000000"]
    made.directory.files.delete("commits/t000000.json")
    found = reconcile(made.directory, made.job)["t000000"]
    assert (found.attempt_id, found.worker_id, found.rows_in, found.quarantined) == ("t000000-a0", "unknown", 5, 1)
    assert (found.started, found.seconds, found.load_seconds, found.peak_memory_bytes) == (0.0, 0.0, 0.0, 0)
    assert (found.digest, found.quarantine, found.left_out) == (before.digest, before.quarantine, before.left_out)
    assert made.directory.committed("t000000") == found
    assert (capfd.readouterr().err, said_of(made.directory)) == ("", [])


def test_a_torn_record_is_made_again_and_that_is_said(made: ByHand, capfd: pytest.CaptureFixture[str]) -> None:
    made.directory.files.put("commits/t000001.json", b"{")
    assert sorted(reconcile(made.directory, made.job)) == KEYS
    text = "commits/t000001.json is torn; rebuilt from its output"
    assert said_of(made.directory) == [("rebuilt", "t000001", text)]
    assert capfd.readouterr().err == f"sub-task t000001: {text}\n"
    assert made.directory.committed("t000001") is not None


def test_a_torn_segment_is_removed_and_made_again(made: ByHand) -> None:
    made.directory.gather([made.directory.commits()["t000001"]])
    (name,) = made.directory.files.names("records")
    made.directory.files.put(name, b"torn")
    assert sorted(reconcile(made.directory, made.job)) == KEYS
    assert made.directory.files.names("records") == []
    assert said_of(made.directory) == [("rebuilt", name, f"{name} is torn; rebuilt from its output")]


def test_damage_is_removed_with_its_record_and_said(made: ByHand, capfd: pytest.CaptureFixture[str]) -> None:
    (made.out / "part-t000002.parquet").write_bytes(b"torn")
    assert sorted(reconcile(made.directory, made.job)) == ["t000000", "t000001", "t000003"]
    assert made.files == ["part-t000000.parquet", "part-t000001.parquet", "part-t000003.parquet"]
    assert made.directory.committed("t000002") is None
    ((what, key, why),) = said_of(made.directory)
    assert (what, key) == ("discarded", "t000002")
    assert why.endswith("; discarded, it runs again")
    assert "sub-task t000002: part-t000002.parquet has 4 bytes of the " in capfd.readouterr().err


def test_a_torn_record_of_a_damaged_output_is_said_once(made: ByHand) -> None:
    made.directory.files.put("commits/t000001.json", b"{")
    (made.out / "part-t000001.parquet").write_bytes(b"torn")
    assert "t000001" not in reconcile(made.directory, made.job)
    assert [what for what, _, _ in said_of(made.directory)] == ["discarded"]


def test_an_output_of_another_sub_task_is_no_record(made: ByHand) -> None:
    made.directory.files.delete("commits/t000001.json")
    (made.out / "part-t000001.parquet").write_bytes((made.out / "part-t000002.parquet").read_bytes())
    assert sorted(reconcile(made.directory, made.job)) == ["t000000", "t000002", "t000003"]
    assert said_of(made.directory) == [("discarded", "t000001", "its output holds t000002; discarded, it runs again")]


def test_what_another_library_wrote_under_the_name_is_discarded(made: ByHand) -> None:
    made.directory.files.delete("commits/t000001.json")
    pq.write_table(pa.table({"y": [1]}), made.out / "part-t000001.parquet")
    reconcile(made.directory, made.job)
    assert "its output holds what this library did not write;" in said_of(made.directory)[0][2]


def test_files_of_no_sub_task_of_the_run_are_left_alone(made: ByHand) -> None:
    for name in ("part-t000009.parquet", "part-mine.parquet"):
        (made.out / name).write_bytes(b"someone's")
    reconcile(made.directory, made.job)
    assert "part-t000009.parquet" in made.files
    assert "part-mine.parquet" in made.files


def test_a_part_of_a_sub_task_of_the_run_is_made_again(made: ByHand) -> None:
    care = Care(whole=3, rows=(0, 2), isolate=True, suspects=None)
    made.record(care=care, key="t000003.0-2", task=9)
    made.directory.files.delete("commits/t000003.0-2.json")
    assert sorted(reconcile(made.directory, made.job)) == [*KEYS, "t000003.0-2"]


def test_of_very_many_records_only_the_keys_are_looked_at(made: ByHand, monkeypatch: pytest.MonkeyPatch) -> None:
    held = object()
    monkeypatch.setattr(RunDirectory, "many_commits", lambda self: held)
    assert reconcile(made.directory, made.job) is held
    assert sorted(reconcile(made.directory, made.job, full=True)) == KEYS


DAMAGE: dict[str, tuple[Any, str]] = {
    "gone": (lambda path: path.unlink(), r"quarantine/t000000-a0-\w+\.parquet is missing or torn \("),
    "torn": (lambda path: path.write_bytes(b"torn"), r"is missing or torn \("),
    "other": (
        lambda path: pq.write_table(pa.table({"x": [4], "_error": ["e"]}), path),
        "the 1 quarantined rows of t000000 are not those that its output lists",
    ),
    "more": (lambda path: pq.write_table(pa.table({"x": [3, 3], "_error": ["e", "e"]}), path), "are not those that"),
    "without errors": (lambda path: pq.write_table(pa.table({"x": [3]}), path), "are not those that"),
}


@pytest.mark.parametrize("case", DAMAGE)
@pytest.mark.parametrize("columns", [False, True])
def test_quarantined_rows_are_those_that_the_output_lists(
    made: ByHand, tmp_path: Path, case: str, columns: bool
) -> None:
    damage, said = DAMAGE[case]
    records = made.directory.commits()
    given: Any = records.values()
    if columns:
        given = as_columns(tmp_path / "columns", list(records.values()), KEYS)
    assert problems(made.directory, made.job, given) == {}
    damage(Path(made.directory.url, records["t000000"].quarantine))
    found = problems(made.directory, made.job, given)
    assert list(found) == ["t000000"]
    assert re.search(said, found["t000000"])


def test_a_record_that_lists_rows_aside_and_no_file_of_them_is_damaged(made: ByHand) -> None:
    lost = replace(made.directory.commits()["t000000"], quarantine="")
    assert list(problems(made.directory, made.job, [lost])) == ["t000000"]


def test_as_many_rows_are_aside_as_the_record_says(made: ByHand) -> None:
    record = made.directory.commits()["t000000"]
    assert list(problems(made.directory, made.job, [replace(record, quarantined=2)])) == ["t000000"]


def test_records_that_come_one_by_one_are_checked_for_both(made: ByHand) -> None:
    records = made.directory.commits()
    Path(made.directory.url, records["t000000"].quarantine).unlink()
    (made.out / "part-t000003.parquet").unlink()
    assert sorted(problems(made.directory, made.job, iter(records.values()))) == ["t000000", "t000003"]


def test_the_same_rows_under_another_error_text_are_sound(made: ByHand) -> None:
    records = made.directory.commits()
    path = Path(made.directory.url, records["t000000"].quarantine)
    pq.write_table(pa.table({"x": [3], "_error": ["at 0x7f"]}), path)
    assert problems(made.directory, made.job, records.values()) == {}


def test_only_a_full_check_reads_the_pages(made: ByHand) -> None:
    path = made.out / "part-t000001.parquet"
    stat = path.stat()
    data = bytearray(path.read_bytes())
    data[30] ^= 0xFF
    path.write_bytes(data)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert sorted(reconcile(made.directory, made.job)) == KEYS
    assert sorted(reconcile(made.directory, made.job, full=True)) == ["t000000", "t000002", "t000003"]


class Execution:
    """Answers with the records that are asked for; damages an output ``times`` times after that."""

    def __init__(self, made: ByHand, times: int) -> None:
        self.made, self.times = made, times
        self.known: list[list[str]] = []

    def __call__(self, known: Any) -> tuple[list[CommitRecord], int]:
        self.known.append(sorted(known))
        for task, key in enumerate(KEYS):
            if key not in known:
                self.made.record(task=task, care=Care(isolate=True, suspects=None))
        records = [self.made.directory.commits()[key] for key in KEYS]
        if self.times:
            self.times -= 1
            (self.made.out / "part-t000002.parquet").write_bytes(b"torn")
        return records, 5 - len(known)


@pytest.mark.parametrize(("times", "attempts"), [(0, 1), (1, 3), (2, 5)])
def test_what_is_damaged_at_the_end_runs_again(made: ByHand, times: int, attempts: int) -> None:
    execution = Execution(made, times)
    records, tried = verified(made.directory, made.job, made.directory.commits(), execution, False)
    assert [r.task_key for r in records] == KEYS
    assert tried == attempts
    assert execution.known == [KEYS, *[["t000000", "t000001", "t000003"]] * times]
    assert made.files == [f"part-{key}.parquet" for key in KEYS]


def test_damage_that_comes_back_three_times_stops_the_run(made: ByHand) -> None:
    said = (
        r"output of 1 sub-tasks was damaged 3 times after it was committed, such as t000002: part-t000002\.parquet has"
    )
    with pytest.raises(DamagedOutput, match=said):
        verified(made.directory, made.job, made.directory.commits(), Execution(made, 3), False)
    assert "part-t000002.parquet" not in made.files
