"""What a run has written is on the medium before it says that it is done; and a run that was replaced never says so."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import partitioner as pt
from partitioner import running
from partitioner.errors import LeaseLost, RunFailed, StorageFailed
from partitioner.runs import integrity
from partitioner.storage import Directory

TABLE = pa.table({"x": range(8)})


def doubled(batch: Any) -> Any:
    return pa.table({"y": pa.compute.multiply(batch["x"], 2)})


def run(home: Path, **options: Any) -> pt.Run:
    given = {"engine": "serial", "cost": "rows", "batch_format": "arrow", "progress": False, "report": False}
    places = {"checkpoint": str(home / "runs"), "output": str(home / "out")}
    return pt.run(TABLE, doubled, **{**given, **places, "max_tasks": 2, **options})


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of what was synced, in order."""
    names: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda fd: names.append(os.readlink(f"/proc/self/fd/{fd}")))
    return names


def test_every_write_is_synced_with_the_entry_of_its_folder(tmp_path: Path, synced: list[str]) -> None:
    place = Directory(tmp_path, fsync=True)
    place.put("a/put", b"x")
    place.put_pieces("a/pieces", iter([b"x", b"y"]))
    assert place.create("a/new", b"x") is not None
    place.child("b").put("inner", b"x")
    pairs = [("a/put", "a"), ("a/pieces", "a"), ("a/new", "a"), ("b/inner", "b")]
    assert synced == [f"{tmp_path}/{name}" for pair in pairs for name in pair]
    Directory(tmp_path).put("a/put", b"x")
    assert len(synced) == 8


def test_what_was_there_already_is_not_synced_again(tmp_path: Path, synced: list[str]) -> None:
    place = Directory(tmp_path, fsync=True)
    (tmp_path / "a").write_bytes(b"x")
    assert not place.put_new("a", b"y")
    assert synced == []


class Medium:
    """Stands for the C library: its ``syncfs`` notes the folder and answers ``code``."""

    def __init__(self, code: int = 0) -> None:
        self.code, self.settled = code, list[str]()

    def syncfs(self, descriptor: int) -> int:
        self.settled.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        return self.code


def test_one_call_brings_all_of_a_disk_to_the_medium(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    medium = Medium()
    monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: medium)
    opened = len(os.listdir("/proc/self/fd"))
    Directory(tmp_path).settle()
    Directory(tmp_path / "not there").settle()
    Directory("memory:///x").settle()
    assert medium.settled == [str(tmp_path)]
    assert len(os.listdir("/proc/self/fd")) == opened


def test_a_disk_that_does_not_take_it_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: Medium(-1))
    monkeypatch.setattr(ctypes, "get_errno", lambda: 28)
    with pytest.raises(
        StorageFailed, match=f"cannot write back {tmp_path}: No space left on device. Mend it, then resume"
    ):
        Directory(tmp_path).settle()


def test_where_no_single_disk_can_be_asked_all_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: object())
    monkeypatch.setattr(os, "sync", lambda: asked.append("all"))
    Directory(tmp_path).settle()
    assert asked == ["all"]


@pytest.mark.parametrize(("fsync", "settled"), [("end", 1), ("each", 1), ("never", 0)])
def test_files_are_on_the_medium_before_the_manifest_names_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, synced: list[str], fsync: str, settled: int
) -> None:
    there: list[list[str]] = []
    monkeypatch.setattr(Directory, "settle", lambda self: there.append(sorted(os.listdir(self.url))))
    assert run(tmp_path, fsync=fsync).result.to_table()["y"].to_pylist() == list(range(0, 16, 2))
    assert there == [["_run.json", "part-t000000.parquet", "part-t000001.parquet"]] * settled
    parts = [f"{tmp_path}/out/part-t00000{i}.parquet" for i in range(2)]
    assert [name for name in synced if name.endswith(".parquet")] == (parts if fsync == "each" else [])


@pytest.mark.parametrize("fsync", ["end", "never"])
def test_a_version_is_on_the_medium_with_its_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, synced: list[str], fsync: str
) -> None:
    there: list[bool] = []
    manifest = tmp_path / "out/_versions/000001/manifest.json"
    monkeypatch.setattr(Directory, "settle", lambda self: there.append(manifest.exists()))
    run(tmp_path, mode="overwrite", fsync=fsync)
    assert there == ([] if fsync == "never" else [False])
    assert (str(manifest) in synced) is (fsync == "end")


def test_a_driver_that_was_replaced_after_the_last_commit_marks_nothing_as_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    verified = running.integrity.verified

    def replaced(directory: Any, *rest: Any, **more: Any) -> Any:
        found = verified(directory, *rest, **more)
        directory.files.put("lease/000002.json", b"{}")
        return found

    monkeypatch.setattr(running.integrity, "verified", replaced)
    with pytest.raises(LeaseLost, match=r"this driver \(epoch 1\) was replaced"):
        run(tmp_path)
    assert sorted(os.listdir(tmp_path / "out")) == ["_run.json", "part-t000000.parquet", "part-t000001.parquet"]
    (home,) = (tmp_path / "runs").iterdir()
    assert not (home / "finished.json").exists()


def test_rows_that_do_not_add_up_are_never_marked_as_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    verified = running.integrity.verified

    def one_short(*given: Any, **more: Any) -> Any:
        records, attempts = verified(*given, **more)
        return records[:1], attempts

    monkeypatch.setattr(running.integrity, "verified", one_short)
    with pytest.raises(RunFailed, match="sub-task t000001 has no commit record"):
        run(tmp_path)
    assert not (tmp_path / "out/_SUCCESS").exists()


@pytest.mark.parametrize(("verify", "full"), [("footer", False), ("full", True)])
def test_before_the_end_as_much_is_read_as_was_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verify: str, full: bool
) -> None:
    asked: list[bool] = []
    problems = integrity.problems
    monkeypatch.setattr(
        integrity, "problems", lambda at, job, records, full: (asked.append(full), problems(at, job, records, full))[1]
    )
    made = run(tmp_path, verify=verify)
    assert asked == [full]
    assert made.directory.finished()["counts"] == made.counts  # type: ignore[index]
    assert made.counts == {"rows_in": 8, "rows_out": 8, "rows_written": 8, "quarantined": 0}
