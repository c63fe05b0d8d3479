"""Committed means there: what is deleted, torn or another's is discarded, said, and made again."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import partitioner as pt
from connectors.parquet_sink import ParquetSink
from partitioner.errors import DamagedOutput, OutputExists, RunFailed, StorageFailed
from partitioner.model import CommitRecord
from partitioner.report.report import Report
from partitioner.runs import quarantine
from partitioner.storage import Directory
from partitioner.store.run_directory import RunDirectory
from tests import programs

ROWS = 80
TASKS = 8


class Finished:
    """A finished run of eight sub-tasks, whose files a test damages before it resumes."""

    def __init__(self, home: Path, **options: Any) -> None:
        self.options: dict[str, Any] = {
            "dataset": pa.table({"x": range(ROWS)}),
            "program": programs.double,
            "cost": "rows",
            "max_tasks": TASKS,
            "min_tasks_per_slot": TASKS,
            "engine": "serial",
            "checkpoint": str(home / "runs"),
            "output": str(home / "out"),
            "progress": False,
            "report": False,
            **options,
        }
        self.first = pt.run(**self.options)
        self.out, self.run = home / "out", Path(self.first.url)

    def resume(self, **changes: Any) -> pt.Run:
        return pt.run(**{**self.options, **changes}, resume=str(self.run))


@pytest.fixture
def finished(tmp_path: Path) -> Finished:
    return Finished(tmp_path)


def deleted(path: Path) -> None:
    path.unlink()


def torn(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:100])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def of_another_subtask(path: Path) -> None:
    shutil.copy(path.with_name("part-t000005.parquet"), path)


def foreign(path: Path) -> None:
    pq.write_table(pa.table({"y": [1, 2, 3]}), path)


@pytest.mark.parametrize("damage", [deleted, torn, empty, of_another_subtask, foreign])
@pytest.mark.parametrize("recorded", [True, False])
def test_a_damaged_output_is_discarded_said_and_made_again(
    finished: Finished, damage: Any, recorded: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    before = {p.name: p.read_bytes() for p in finished.out.glob("part-*")}
    damage(finished.out / "part-t000002.parquet")
    if not recorded:
        (finished.run / "commits" / "t000002.json").unlink()
    again = finished.resume()
    assert again.attempted == 1
    assert {p.name: p.read_bytes() for p in finished.out.glob("part-*")} == before
    assert ("sub-task t000002: " in capfd.readouterr().err) == (recorded or damage is not deleted)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (deleted, "part-t000002.parquet is missing"),
        (torn, "part-t000002.parquet has 100 bytes of the "),
        (of_another_subtask, "part-t000002.parquet holds t000005, not t000002"),
    ],
)
def test_a_damaged_partial_is_named_and_made_again(
    tmp_path: Path, damage: Any, said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    finished = Finished(tmp_path, program=moments, reducer="mean", output=None)
    damage(finished.run / "partials" / "part-t000002.parquet")
    again = finished.resume()
    assert (again.attempted, again.result) == (1, finished.first.result)
    assert said in capfd.readouterr().err


def moments(batch: pd.DataFrame) -> pd.DataFrame:
    return batch[["x"]]


def test_swapped_partials_are_both_made_again(tmp_path: Path) -> None:
    finished = Finished(tmp_path, program=moments, reducer="mean", output=None)
    one, two = (finished.run / "partials" / f"part-t00000{i}.parquet" for i in (1, 6))
    one.rename(finished.run / "held")
    two.rename(one)
    (finished.run / "held").rename(two)
    again = finished.resume()
    assert (again.attempted, again.result) == (2, {"x": pytest.approx(39.5)})


def test_damage_that_happens_while_the_run_goes_on_is_found_before_success(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    original = ParquetSink.commit

    def commit(self: ParquetSink, staged: Any) -> Any:
        facts = original(self, staged)
        done.append(staged.name)
        if len(done) == TASKS:
            torn(tmp_path / "out" / "part-t000001.parquet")
        return facts

    monkeypatch.setattr(ParquetSink, "commit", commit)
    finished = Finished(tmp_path).first
    assert finished.attempted == TASKS + 1
    assert finished.result.to_pandas()["y"].tolist() == [2 * x for x in range(ROWS)]


def test_damage_that_always_comes_back_stops_the_run_without_success(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = ParquetSink.commit

    def commit(self: ParquetSink, staged: Any) -> Any:
        facts = original(self, staged)
        torn(tmp_path / "out" / staged.name)
        return facts

    monkeypatch.setattr(ParquetSink, "commit", commit)
    with pytest.raises(
        DamagedOutput, match=r"output of 8 sub-tasks was damaged 3 times .* See what else writes to .*out"
    ):
        Finished(tmp_path)
    assert not (tmp_path / "out" / "_SUCCESS").exists()


def test_after_a_reboot_every_file_is_read_unless_each_was_synced(finished: Finished) -> None:
    path = finished.out / "part-t000004.parquet"
    before = path.stat()
    flip_a_byte(path)  # as zeros of the right length would be, under the same size and time
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert finished.resume().attempted == 0
    lease = max((finished.run / "lease").glob("*.json"))
    lease.write_text(json.dumps({**json.loads(lease.read_text()), "machine": "another-boot"}))
    assert finished.resume().attempted == 1


def flip_a_byte(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[40] ^= 0xFF
    path.write_bytes(data)


def test_only_a_full_check_reads_the_pages(finished: Finished) -> None:
    flip_a_byte(finished.out / "part-t000004.parquet")
    assert finished.resume().attempted == 0
    assert finished.resume(verify="full").attempted == 1
    assert finished.resume(verify="full").attempted == 0


@pytest.mark.parametrize("content", [b"", b'{"task_key": "t0000', b"[]", b'{"task_key": "t000003"}', b"\xff\xfe"])
def test_a_torn_commit_record_is_rebuilt_from_the_footer(
    finished: Finished, content: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    (finished.run / "commits" / "t000003.json").write_bytes(content)
    assert Report.of(RunDirectory(str(finished.run))).to_json()["status"]
    again = finished.resume()
    assert again.attempted == 0
    assert again.records[3].digest == finished.first.records[3].digest
    assert "t000003.json is torn; rebuilt from its output" in capfd.readouterr().err
    assert RunDirectory(str(finished.run)).committed("t000003") == again.records[3]


@pytest.mark.parametrize("content", [b"", b'{"what": "sub', b"{}\n[]\n\xff"])
def test_a_torn_ledger_stops_neither_resume_nor_report(finished: Finished, content: bytes) -> None:
    (segment,) = sorted((finished.run / "ledger").iterdir())
    segment.write_bytes(content)
    assert finished.resume().attempted == 0
    assert Report.of(RunDirectory(str(finished.run))).to_json()["status"]


def test_a_file_of_someone_else_in_the_output_is_left_alone(finished: Finished) -> None:
    foreign(finished.out / "part-mine.parquet")
    finished.resume()
    assert pq.read_table(finished.out / "part-mine.parquet").num_rows == 3


class Fickle:
    """Fails on other rows each time that it is built: the even ones first, then the odd ones."""

    built = 0

    def __init__(self) -> None:
        type(self).built += 1
        self.remainder = type(self).built % 2

    def __call__(self, batch: pd.DataFrame) -> pd.DataFrame:
        if (batch["x"] % 2 == self.remainder).any():
            raise ValueError("not this time")
        return programs.double(batch)


class Died(BaseException):
    """Stands for the end of the process."""


def test_a_death_between_quarantine_and_output_leaves_no_row_in_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> None:
        raise Died

    with monkeypatch.context() as patch:
        patch.setattr(ParquetSink, "commit", die)
        with pytest.raises(Died):
            Finished(tmp_path, program=Fickle, on_error="quarantine", max_tasks=1, min_tasks_per_slot=1)
    (run,) = (tmp_path / "runs").iterdir()
    assert len(list((run / "quarantine").iterdir())) == 1
    rows_in_one_place(resumed(tmp_path, run))


def test_a_death_between_output_and_record_leaves_no_row_in_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> None:
        raise Died

    with monkeypatch.context() as patch:
        patch.setattr(RunDirectory, "commit", die)
        with pytest.raises(Died):
            Finished(tmp_path, program=Fickle, on_error="quarantine", max_tasks=1, min_tasks_per_slot=1)
    (run,) = (tmp_path / "runs").iterdir()
    rows_in_one_place(resumed(tmp_path, run))


def resumed(home: Path, run: Path) -> pt.Run:
    from partitioner.attempt.job import forget

    forget(str(run))
    options = {"cost": "rows", "max_tasks": 1, "min_tasks_per_slot": 1, "engine": "serial", "progress": False}
    table = pa.table({"x": range(ROWS)})
    places = {"checkpoint": str(home / "runs"), "output": str(home / "out")}
    return pt.run(table, Fickle, resume=str(run), on_error="quarantine", report=False, **options, **places)


def rows_in_one_place(finished: pt.Run) -> None:
    out = [y // 2 for y in finished.result.to_pandas()["y"]]
    aside = quarantine.rows_of(finished.directory)["x"].to_pylist()
    assert sorted(out + aside) == list(range(ROWS))
    assert (len(out), len(aside)) == (40, 40)


def test_quarantined_rows_that_are_gone_are_made_again(tmp_path: Path) -> None:
    table = pa.table({"x": [i if i % 9 else -i - 1 for i in range(ROWS)]})
    finished = Finished(tmp_path, dataset=table, program=programs.fails_on_negative, on_error="quarantine")
    before = quarantine.rows_of(finished.first.directory).to_pylist()
    sorted((finished.run / "quarantine").iterdir())[0].unlink()
    assert finished.resume().attempted == 2  # a row is set aside on the word of two attempts
    assert quarantine.rows_of(finished.first.directory).to_pylist() == before


class FullDisk:
    """Refuses the n-th write of a process and all that follow."""

    def __init__(self, allowed: int) -> None:
        self.allowed = allowed

    def __enter__(self) -> None:
        import obstore

        self.original, self.patch = obstore.put, pytest.MonkeyPatch()

        def put(*args: Any, **options: Any) -> Any:
            self.allowed -= 1
            if self.allowed < 0:
                raise OSError(28, "No space left on device")
            return self.original(*args, **options)

        self.patch.setattr(obstore, "put", put)

    def __exit__(self, *_: object) -> None:
        self.patch.undo()


@pytest.mark.parametrize("n", [*range(12), 15, 18, 20, 21])
def test_a_disk_that_is_full_at_the_nth_write_stops_the_run_which_can_be_resumed(tmp_path: Path, n: int) -> None:
    options = {"max_tasks": 4, "min_tasks_per_slot": 4, "max_retries": 0}
    with FullDisk(n), pytest.raises((StorageFailed, RunFailed), match="No space left on device"):
        Finished(tmp_path, **options)
    runs = list(Path(tmp_path / "runs").glob("*/run.json"))
    again = Finished(tmp_path, **options, **({"resume": str(runs[0].parent)} if runs else {})).first
    assert again.result.to_pandas()["y"].tolist() == [2 * x for x in range(ROWS)]


def test_a_driver_that_died_before_it_took_the_output_takes_it_at_resume(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> None:
        raise Died

    with monkeypatch.context() as patch:
        patch.setattr("partitioner.stages.steps.claim_output", die)
        with pytest.raises(Died):
            Finished(tmp_path)
    (run,) = (tmp_path / "runs").iterdir()
    again = Finished(tmp_path, resume=str(run)).first
    assert (again.attempted, len(again.result)) == (TASKS, ROWS)
    assert json.loads((tmp_path / "out" / "_run.json").read_text()) == {"run_id": run.name, "run": str(run)}


def test_an_occupied_output_names_its_run_and_the_commands(finished: Finished) -> None:
    with pytest.raises(
        OutputExists, match=rf"belongs to the finished run {finished.first.run_id}\. .*partitioner resume"
    ):
        pt.run(**finished.options)
    assert len(list(finished.run.parent.iterdir())) == 1


def test_the_output_of_a_run_that_is_gone_says_what_to_remove(finished: Finished) -> None:
    shutil.rmtree(finished.run)
    with pytest.raises(OutputExists, match=rf"which is gone; .*remove it: rm -r {finished.out}"):
        pt.run(**finished.options)


def test_files_are_synced_with_their_folder_where_that_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os

    synced: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(os.readlink(f"/proc/self/fd/{fd}")))
    Directory(tmp_path / "a", fsync=True).put_new("b/c", b"x")
    Directory(tmp_path / "a").put_new("b/d", b"x")
    assert synced == [str(tmp_path / "a/b/c"), str(tmp_path / "a/b")]


def test_other_rows_under_the_same_name_and_of_the_same_size_are_noticed(tmp_path: Path) -> None:
    def made(place: Path, value: int) -> tuple[ParquetSink, Path, str]:
        sink = ParquetSink(str(place), plain=True)
        rows = iter([pa.RecordBatch.from_pydict({"y": [value]})])
        facts = sink.commit(sink.write("t000000", rows, lambda: {"rows_in": 1}))
        return sink, place / "part-t000000.parquet", facts["digest"]

    (sink, one, digest), (_, two, other) = made(tmp_path / "one", 2), made(tmp_path / "two", 3)
    assert one.stat().st_size == two.stat().st_size
    record = replace(RECORD, path=one.name, digest=digest, size=one.stat().st_size)
    assert sink.check([record]) == {}
    shutil.copy(two, one)
    said = f"part-t000000.parquet holds rows of digest {other[:12]}, not {digest[:12]} as committed"
    assert sink.check([record]) == {"t000000": said}


RECORD = CommitRecord("t000000", "t000000-a0", "w", "", 1, 1, 1, 0, ((0, 1),), 0, 0.0, 0.0, 0.0, 0.0, 0, 0.0, 0.0, "")
