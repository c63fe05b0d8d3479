"""What is checked after the last commit and before a resume: rows, files, digests, fingerprints. By hand, without a run."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from partitioner import config as configuration
from partitioner.attempt.agreement import Agreement
from partitioner.coordinator import ledger
from partitioner.errors import ConfigError, DamagedOutput, ResumeRefused, RunFailed
from partitioner.model import Care, CommitRecord, Fragment, Fragments, SubTasks
from partitioner.runs import results, resume
from partitioner.runs.integrity import problems, reconcile, verified
from partitioner.runs.results import check_rows, manifest
from partitioner.store.commit_log import encoded
from partitioner.store.commits import Commits, Records
from partitioner.store.run_directory import RunDirectory
from tests.attempt.by_hand import KEY, ByHand, doubled
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


def as_columns(home: Path, records: list[CommitRecord], ids: list[str]) -> Records:
    run = RunDirectory(str(home))
    run.files.put("records/1.parquet", encoded(records))
    return Commits(run.files, run.files.names("records"), {}).in_order(pa.array(ids), {})


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


KEYS = [f"t{i:06d}" for i in range(4)]


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
    "gone": (lambda path: path.unlink(), r"quarantine/t000000-a0-\w+\.parquet cannot be read: "),
    "torn": (lambda path: path.write_bytes(b"torn"), "cannot be read: "),
    "other": (
        lambda path: pq.write_table(pa.table({"x": [4], "_error": ["e"]}), path),
        "the 1 quarantined rows of t000000 are not those that its output lists",
    ),
    "more": (lambda path: pq.write_table(pa.table({"x": [3, 3], "_error": ["e", "e"]}), path), "are not those that"),
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


# resume


def test_a_run_is_found_by_its_id_or_its_directory(tmp_path: Path) -> None:
    config = configuration.make({"dataset": "x", "checkpoint": str(tmp_path / "runs")})
    with pytest.raises(ConfigError, match=r"no run 'one' below .*runs; there is none"):
        resume.find_run(config, "one")
    for name in (f"r{i:02d}" for i in range(12)):
        RunDirectory(str(tmp_path / "runs" / name)).create({})
    assert resume.find_run(config, "r03").url == str(tmp_path / "runs" / "r03")
    assert resume.find_run(config, str(tmp_path / "runs" / "r04")).run_id == "r04"
    with pytest.raises(ConfigError, match=r"there are r02, r03, .*, r11\.$") as caught:
        resume.find_run(config, "r99")
    assert "r01" not in str(caught.value)


SAME = {"config": {"seed": 0, "program": "m:f"}, "input": {"a": "1"}, "code": "c" * 20, "modules": {"m": "1"}}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, []),
        ({"config": {"seed": 1, "program": "m:f"}}, ["setting seed: was 0, is 1"]),
        ({"config": {"program": "m:f"}}, ["setting seed: was 0, is 'absent'"]),
        ({"input": {"a": "2"}}, ["input a: was '1', is '2'"]),
        ({"input": {"a": "1", "b": "2"}}, ["input b: was 'absent', is '2'"]),
        ({"input": {}}, ["input a: was '1', is 'absent'"]),
        ({"code": "d" * 20}, ["code of the program: was cccccccccccc, is dddddddddddd"]),
        ({"modules": {"m": "2"}}, ["module m: was '1', is '2'"]),
        (
            {"input": {"a": "2"}, "config": {"seed": 2}, "code": "d" * 20, "modules": {}},
            [
                *("input a: was '1', is '2'", "setting program: was 'm:f', is 'absent'", "setting seed: was 0, is 2"),
                *("code of the program: was cccccccccccc, is dddddddddddd", "module m: was '1', is 'absent'"),
            ],
        ),
    ],
)
def test_each_part_of_the_fingerprint_is_told_on_its_own(changes: dict[str, Any], said: list[str]) -> None:
    assert resume._changes(SAME, {**SAME, **changes}) == said


def test_what_was_a_live_object_is_told_by_its_data_and_code() -> None:
    before = {**SAME, "config": {"seed": 0, "program": "<m:f>", "dataset": "old", "limit": 3}}
    now = {**SAME, "config": {"seed": 0, "program": "<m:g>", "dataset": "new", "limit": 3}}
    assert resume._changes(before, now) == []
    assert resume._changes(now | {"config": {"limit": 3}}, now | {"config": {"limit": "<x>"}}) == [
        "setting limit: was 3, is '<x>'"
    ]


def test_fingerprints_of_before_modules_were_known_are_compared() -> None:
    old = {k: v for k, v in SAME.items() if k != "modules"}
    assert resume._changes(old, {**SAME, "modules": {}}) == []


def checked(
    home: Path, monkeypatch: pytest.MonkeyPatch, count: int, force: bool = False, libraries: str = "1"
) -> RunDirectory:
    run = RunDirectory(str(home / "run"), KEY)
    before = {**SAME, "libraries": {"numpy": "1"}}
    now = {**SAME, "input": {"a": "1"} | {f"f{i:02d}": "x" for i in range(count)}, "libraries": {"numpy": libraries}}
    run.create({"fingerprints": before})
    monkeypatch.setattr(resume, "fingerprints", lambda config, job: now)
    resume.check_unchanged(SimpleNamespace(), run, SimpleNamespace(), force)  # type: ignore[arg-type]
    return run


def test_what_is_unchanged_goes_on_in_silence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = checked(tmp_path, monkeypatch, 0)
    assert run.files.names() == ["run.json"]
    assert checked(tmp_path, monkeypatch, 0, force=True).files.names() == ["run.json"]


@pytest.mark.parametrize(("count", "lines", "more"), [(10, 10, ""), (11, 11, "and 1 more"), (15, 11, "and 5 more")])
def test_ten_differences_are_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int, lines: int, more: str
) -> None:
    with pytest.raises(ResumeRefused) as caught:
        checked(tmp_path, monkeypatch, count)
    shown = [line for line in str(caught.value).splitlines() if line.startswith("- ")]
    assert len(shown) == lines
    assert shown[9] == "- input f09: was 'absent', is 'x'"
    assert (shown[-1] == f"- {more}") is bool(more)


def test_what_is_forced_is_said_and_kept_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    run = checked(tmp_path, monkeypatch, 12, force=True)
    assert "is resumed by force, in spite of:\n- input f00: was 'absent', is 'x'" in capfd.readouterr().err
    (line,) = ledger.read(run)
    assert (line["what"], len(line["differences"])) == ("forced", 12)


def test_another_library_is_a_warning_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.warns(UserWarning, match="goes on with other libraries: version of numpy: was '1', is '2'") as warned:
        checked(tmp_path, monkeypatch, 0, libraries="2")
    assert warned[0].filename == __file__


THREE = SubTasks.build([1.0, 2.0, 3.0], seconds_by_class={"big": np.array([0.5, np.nan, 1.5])})
STATES: dict[str, tuple[dict[str, CommitRecord], list[bool], bool]] = {
    "none": ({}, [False] * 3, True),
    "all": ({key: record(key) for key in KEYS[:3]}, [True] * 3, False),
    "one": ({"t000001": record("t000001")}, [False, True, False], True),
    "split": (
        {key: record(key, split=key == "t000001") for key in KEYS[:3]},
        [True, False, True],
        True,
    ),
    "part": (
        {key: record(key) for key in KEYS[:3]} | {"t000001.0-2": record("t000001.0-2", part=(0, 2))},
        [True] * 3,
        True,
    ),
}


@pytest.mark.parametrize("case", STATES)
@pytest.mark.parametrize("columns", [False, True])
def test_what_is_done_costs_nothing_and_what_is_left_is_known(tmp_path: Path, case: str, columns: bool) -> None:
    held, done, rest = STATES[case]
    committed: Any = held
    if columns and held:
        run = RunDirectory(str(tmp_path))
        run.files.put("records/1.parquet", encoded(list(held.values())))
        committed = Commits(run.files, run.files.names("records"), {})
    assert resume.done_of(THREE, committed).tolist() == done
    assert resume.rest(THREE, committed) is rest
    left = resume.without_done(THREE, committed)
    assert left.seconds.tolist() == [0.0 if d else s for d, s in zip(done, (1.0, 2.0, 3.0), strict=True)]
    np.testing.assert_array_equal(
        left.seconds_by_class["big"], [0.0 if done[0] else 0.5, np.nan, 0.0 if done[2] else 1.5]
    )


def test_the_command_that_goes_on_names_the_directory(tmp_path: Path) -> None:
    assert resume.resume_command(RunDirectory(str(tmp_path))) == f"partitioner resume {tmp_path}"
