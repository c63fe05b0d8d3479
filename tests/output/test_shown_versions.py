"""What readers of a folder see: a version takes the place of that before, whole."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from partitioner.model.folders import key_folder
from partitioner.output import publishing
from partitioner.output.publishing import publish, said
from partitioner.storage import Directory

# what readers of a folder see


class Folder:
    """An output with a version 1 of one file, which is shown, and a version 2 of that and another."""

    def __init__(self, url: str) -> None:
        self.output = Directory(url)
        self.file("a", 1, b"one")
        self.file("b", 2, b"two")
        self.output.put("mine.txt", b"the user's")

    def file(self, name: str, number: int, data: bytes) -> None:
        self.output.put(f"_versions/00000{number}/{name}.parquet", data)

    def manifest(self, *names: tuple[str, int], before: tuple[str, ...] = (), **more: Any) -> dict[str, Any]:
        listed = [
            {
                "path": f"part-{n}.parquet",
                "stored": f"_versions/00000{v}/{n}.parquet",
                "rows": 1,
                "sha256": n,
                "size": 3,
            }
            for n, v in names
        ]
        return {"files": listed, "counts": {"rows_in": 3}, "version": 2, "before": list(before), **more}

    @property
    def shown(self) -> dict[str, bytes]:
        names = [n for n in self.output.names() if not n.startswith("_versions/")]
        return {n: self.output.get(n) for n in names if n != "_manifest.json"}

    @property
    def stored(self) -> list[str]:
        return [n.removeprefix("_versions/00000") for n in self.output.names("_versions")]


@pytest.fixture(params=["exchanged", "in steps", "store"])
def folder(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    if request.param == "in steps":
        monkeypatch.setattr(publishing, "_exchange", lambda one, other: False)
    return Folder(f"memory:///{tmp_path.name}" if request.param == "store" else str(tmp_path / "out"))


def test_a_version_is_shown_in_the_place_of_that_before(folder: Folder) -> None:
    publish(folder.output, folder.manifest(("a", 1)))
    assert folder.shown == {"_SUCCESS": b"", "mine.txt": b"the user's", "part-a.parquet": b"one"}
    folder.file("b", 2, b"two")
    publish(folder.output, folder.manifest(("b", 2), before=("_versions/000001/a.parquet",)))
    assert folder.shown == {"_SUCCESS": b"", "mine.txt": b"the user's", "part-b.parquet": b"two"}
    told = json.loads(folder.output.get("_manifest.json"))
    assert told == {
        "counts": {"rows_in": 3},
        "files": [{"path": "part-b.parquet", "rows": 1, "sha256": "b"}],
        "version": 2,
    }
    assert folder.stored == ["1/a.parquet", "2/b.parquet"]
    publish(folder.output, folder.manifest(("b", 2)))
    assert folder.stored == ["2/b.parquet"]
    publish(folder.output, folder.manifest(("b", 2)))
    assert folder.shown["part-b.parquet"] == b"two"


def test_files_in_another_form_are_shown_from_their_own_place(folder: Folder) -> None:
    folder.output.put("_versions/000002/shown/k=1/part-x.csv", b"1")
    folder.output.put("_versions/000001/shown/part-old.csv", b"0")
    form = [{"path": "k=1/part-x.csv", "stored": "_versions/000002/shown/k=1/part-x.csv", "rows": 1, "sha256": "s"}]
    publish(folder.output, folder.manifest(("b", 2), shown=form))
    assert folder.shown == {"_SUCCESS": b"", "mine.txt": b"the user's", "k=1/part-x.csv": b"1"}
    assert folder.stored == ["2/b.parquet", "2/shown/k=1/part-x.csv"]


def test_a_result_is_shown_with_its_signature(folder: Folder) -> None:
    folder.output.put("_versions/000002/result.pkl", b"value")
    folder.output.put("_versions/000002/result.pkl.signature", b"sig")
    publish(folder.output, folder.manifest(("b", 2), result="_versions/000002/result.pkl"))
    assert folder.shown == {
        "_SUCCESS": b"",
        "mine.txt": b"the user's",
        "result.pkl": b"value",
        "result.pkl.signature": b"sig",
    }
    assert json.loads(folder.output.get("_manifest.json"))["version"] == 2


def test_one_file_takes_the_place_of_that_before(tmp_path: Path) -> None:
    folder = Folder(str(tmp_path / ".x.csv.versions"))
    folder.output.put("_versions/000002/shown/x.csv", b"new")
    (tmp_path / "x.csv").write_bytes(b"old")
    form = [{"path": "x.csv", "stored": "_versions/000002/shown/x.csv", "rows": 1, "sha256": "s"}]
    publish(folder.output, folder.manifest(("b", 2), shown=form, single=str(tmp_path / "x.csv")))
    assert (tmp_path / "x.csv").read_bytes() == b"new"
    assert sorted(p.name for p in tmp_path.iterdir()) == [".x.csv.versions", "x.csv"]
    assert json.loads(folder.output.get("_manifest.json"))["files"][0]["path"] == "x.csv"


def test_what_tells_versions_apart_stays_when_their_files_go(folder: Folder) -> None:
    for number in (1, 2):
        for name in ("claim.json", "manifest.json"):
            folder.output.put(f"_versions/00000{number}/{name}", b"{}")
    folder.file("rows", 2, b"keys")
    folder.file("rows", 1, b"keys of before")
    publish(folder.output, folder.manifest(("b", 2), rows={"stored": "_versions/000002/rows.parquet"}))
    assert folder.stored == [
        *("1/claim.json", "1/manifest.json"),
        *("2/b.parquet", "2/claim.json", "2/manifest.json", "2/rows.parquet"),
    ]


def test_a_table_notes_what_it_shows(folder: Folder) -> None:
    said(folder.output, folder.manifest(("b", 2)))
    told = json.loads(folder.output.get("_manifest.json"))
    assert told["files"] == [{"path": "part-b.parquet", "rows": 1, "sha256": "b"}]
    assert folder.shown == {"_SUCCESS": b"", "mine.txt": b"the user's"}
    assert folder.stored == ["2/b.parquet"]


def test_an_exchanged_folder_keeps_its_rights_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    folder = Folder(str(tmp_path / "out"))
    (tmp_path / "out").chmod(0o750)
    (tmp_path / "out" / "mine").mkdir()
    (tmp_path / "out" / "k=0").mkdir()
    (tmp_path / ".out.publishing").mkdir()
    before = os.stat(tmp_path / "out").st_ino
    publish(folder.output, folder.manifest(("b", 2)))
    assert os.stat(tmp_path / "out").st_ino != before
    assert os.stat(tmp_path / "out").st_mode & 0o777 == 0o750
    assert [p.name for p in tmp_path.iterdir()] == ["out"]
    assert (tmp_path / "out" / "mine").is_dir()
    assert not (tmp_path / "out" / "k=0").exists()


def test_a_system_without_an_exchange_goes_step_by_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publishing.ctypes, "CDLL", lambda *_, **__: object())
    assert publishing._exchange(tmp_path, tmp_path) is False


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("part-a.parquet", True),
        ("k=1/l=2/part-a.csv", True),
        ("part-a.jsonl", True),
        ("part-a.arrow", True),
        ("part-a.txt", False),
        ("_versions/part-a.parquet", False),
        ("k=1/_x/part-a.parquet", False),
        ("archive/part-a.parquet", False),
        ("k=1/archive/part-a.parquet", False),
        ("mine.parquet", False),
        ("part-.parquet", False),
        (".hidden/part-a.parquet", False),
    ],
)
def test_which_files_a_version_may_remove(name: str, part: bool) -> None:
    assert publishing._is_part(name) is part


def test_names_of_numbers_are_plain() -> None:
    assert key_folder("n", np.int64(3)) == "n=3"
