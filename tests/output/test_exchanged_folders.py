"""A folder that changes places with the next version in one step, and what happens on a disk that cannot do that."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from partitioner.output import publishing
from partitioner.output.publishing import publish
from partitioner.storage import Directory
from tests.output.test_shown_versions import Folder

NESTED = [{"path": "k=1/l=2/part-x.csv", "stored": "_versions/000002/shown/x.csv", "rows": 1, "sha256": "s"}]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    found = Folder(str(tmp_path / "out"))
    found.output.put("_versions/000002/shown/x.csv", b"1")
    return found


def never(*_: Any) -> None:
    raise AssertionError("not step by step")


def test_files_in_folders_of_values_appear_in_one_step_too(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publishing, "_in_steps", never)
    publish(folder.output, folder.manifest(("b", 2), shown=NESTED))
    assert folder.shown == {"_SUCCESS": b"", "mine.txt": b"the user's", "k=1/l=2/part-x.csv": b"1"}


def test_folders_of_the_user_stay_with_what_is_in_them(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publishing, "_in_steps", never)
    folder.output.put("a/b/mine.csv", b"2")
    folder.output.put("a/b/part-mine.csv", b"3")
    folder.output.put("k=1/part-old.csv", b"4")  # as a run writes them: the last version's
    publish(folder.output, folder.manifest(("b", 2)))
    assert folder.shown == {
        "_SUCCESS": b"",
        "a/b/mine.csv": b"2",
        "a/b/part-mine.csv": b"3",
        "mine.txt": b"the user's",
        "part-b.parquet": b"two",
    }


@pytest.mark.parametrize("mode", [0o751, 0o2775, 0o700])
def test_all_rights_of_the_folder_and_of_the_user_s_own_below_it_stay(
    folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int
) -> None:
    monkeypatch.setattr(publishing, "_in_steps", never)
    folder.output.put("a/mine.csv", b"2")
    for path in (tmp_path / "out", tmp_path / "out/a"):
        path.chmod(mode)
    publish(folder.output, folder.manifest(("b", 2)))
    for path in (tmp_path / "out", tmp_path / "out/a"):
        assert path.stat().st_mode & 0o7777 == mode


def test_a_disk_without_hard_links_gets_the_files_step_by_step(
    folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: Any) -> None:
        raise PermissionError(errno.EPERM, "no hard links")

    monkeypatch.setattr(os, "link", refused)
    publish(folder.output, folder.manifest(("b", 2)))
    assert folder.shown == {"_SUCCESS": b"", "mine.txt": b"the user's", "part-b.parquet": b"two"}
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_file_that_lies_where_readers_look_is_left_there(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publishing, "_exchange", lambda one, other: False)
    folder.output.put("part-zero.parquet", b"zero")
    folder.output.put("part-b.parquet", b"there already")
    manifest = folder.manifest(("b", 2))
    zero = {"path": "part-zero.parquet", "stored": "part-zero.parquet", "rows": 1, "sha256": "z", "size": 4}
    manifest["files"].append(zero)
    copied: list[tuple[str, str]] = []
    monkeypatch.setattr(folder.output, "copy", lambda stored, to: copied.append((stored, to)))
    publish(folder.output, manifest)
    assert copied == []
    assert folder.shown["part-zero.parquet"] == b"zero"


def test_the_manifest_names_the_new_files_before_the_old_ones_go(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publishing, "_exchange", lambda one, other: False)
    publish(folder.output, folder.manifest(("a", 1), before=("_versions/000002/b.parquet",)))
    order: list[str] = []

    def noted(what: str, place: int) -> None:
        act = getattr(Directory, what)

        def then(*given: Any) -> Any:
            order.append(f"{what} {given[place]}")
            return act(*given)

        monkeypatch.setattr(Directory, what, then)

    for what, place in (("copy", 2), ("put", 1), ("delete", 1)):
        noted(what, place)
    kept = ("_versions/000001/a.parquet", "_versions/000002/shown/x.csv")
    publish(folder.output, folder.manifest(("b", 2), before=kept))
    steps = ["copy part-b.parquet", "put _manifest.json", "delete part-a.parquet"]
    assert order == ["delete _SUCCESS", *steps, "put _SUCCESS"]
