"""Versions of an output as literal objects: which is newest, which counts, who may claim, abandon and commit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from partitioner.errors import DamagedOutput, LeaseLost, OutputExists, RunHeld
from partitioner.output import versions
from partitioner.output.versions import Version, abandon, at, check_nobody_writes, claim, commit, committed, newest
from partitioner.storage import Directory


@pytest.fixture
def output(tmp_path: Path) -> Directory:
    return Directory(tmp_path / "out")


def put(output: Directory, name: str, **values: Any) -> None:
    output.put(name, json.dumps(values).encode())


def claimed(output: Directory, number: int, run: str = "/runs/r") -> None:
    put(output, f"_versions/{number:06d}/claim.json", run_id=f"r{number}", run=f"{run}{number}")


def done(output: Directory, number: int, **more: Any) -> None:
    claimed(output, number)
    put(output, f"_versions/{number:06d}/manifest.json", **{"files": [], "counts": {}, **more})


def plain(output: Directory, finished: bool = True, **manifest: Any) -> None:
    put(output, "_run.json", run_id="r0", run="/runs/r0")
    put(output, "_manifest.json", **{"files": [], "counts": {}, **manifest})
    if finished:
        output.put("_SUCCESS", b"")


def test_an_empty_output_has_no_version(output: Directory) -> None:
    assert (newest(output), committed(output)) == (None, None)
    assert claim(output, "r1", "/runs/r1") == 1


def test_the_newest_is_the_last_that_was_claimed(output: Directory) -> None:
    for number in (2, 10, 9):
        claimed(output, number)
    output.put("_versions/000011/part-t.parquet", b"")
    assert newest(output) == Version(10, "r10", "/runs/r10")
    assert not newest(output).settled  # type: ignore[union-attr]


def test_a_plain_output_is_version_zero_once_it_succeeded(output: Directory) -> None:
    plain(output, finished=False)
    assert newest(output) == Version(0, "r0", "/runs/r0")
    assert committed(output) is None
    output.put("_SUCCESS", b"")
    assert newest(output) == committed(output) == Version(0, "r0", "/runs/r0", {"files": [], "counts": {}})
    assert newest(output).settled  # type: ignore[union-attr]


def test_a_folder_without_a_claim_is_no_version(output: Directory) -> None:
    output.put("_SUCCESS", b"")
    put(output, "_manifest.json", files=[], counts={})
    assert (newest(output), committed(output)) == (None, None)


def test_the_committed_one_is_the_last_with_a_manifest(output: Directory) -> None:
    plain(output)
    done(output, 1)
    done(output, 2)
    put(output, "_versions/000002/manifest.json", abandoned_by="r3")
    claimed(output, 3)
    assert committed(output).number == 1  # type: ignore[union-attr]
    assert at(output, 2) == Version(2, "r2", "/runs/r2", None, "r3")
    assert at(output, 2).settled
    assert not at(output, 3).settled
    assert at(output, 0).number == 0


def test_version_zero_counts_where_no_other_was_committed(output: Directory) -> None:
    plain(output)
    claimed(output, 1)
    assert committed(output).number == 0  # type: ignore[union-attr]
    put(output, "_manifest.json", files=[], counts={}, version=1)  # what readers see of a later version
    assert committed(output) is None


def test_the_first_version_that_is_committed_counts_alone(output: Directory) -> None:
    done(output, 1)
    assert committed(output).number == 1  # type: ignore[union-attr]
    assert newest(output).number == 1  # type: ignore[union-attr]


def test_an_output_in_another_form_has_its_rows_in_the_run(output: Directory, tmp_path: Path) -> None:
    run = Directory(tmp_path / "run" / "output")
    put(run, "_manifest.json", files=[{"path": "p"}], counts={"rows_in": 3})
    put(output, "_run.json", run_id="r0", run=str(tmp_path / "run"))
    put(output, "_manifest.json", files=[{"path": "x.csv"}])
    output.put("_SUCCESS", b"")
    found = newest(output)
    assert found is not None
    assert found.manifest == {"files": [{"path": "p"}], "counts": {"rows_in": 3}, "rows_in": run.url}
    put(output, "_run.json", run_id="r0", run=str(tmp_path / "gone"))
    assert newest(output).manifest == {"files": [{"path": "x.csv"}]}  # type: ignore[union-attr]
    put(output, "_run.json", run_id="r0")
    assert newest(output).manifest == {"files": [{"path": "x.csv"}]}  # type: ignore[union-attr]


@pytest.mark.parametrize("content", [b"{", b"5", b"\xff", b"[]", b"{}", b'{"files": 3}', b'{"a": ' * 9999])
def test_a_torn_manifest_says_what_to_do(output: Directory, content: bytes) -> None:
    claimed(output, 1)
    output.put("_versions/000001/manifest.json", content)
    with pytest.raises(
        DamagedOutput, match=r"_versions/000001/manifest\.json is torn .* Restore it, or write to a new"
    ):
        newest(output)


def held(tmp_path: Path, alive: bool) -> str:
    """A run directory whose driver, on another machine, beats or is silent."""
    facts = {"host": "h", "machine": "other", "pid": 7, "since": "today", "lease_seconds": 60.0 if alive else -1.0}
    run = Directory(tmp_path / "held")
    put(run, "lease/000001.json", **facts)
    return run.url


def test_while_a_run_writes_nobody_else_may(output: Directory, tmp_path: Path) -> None:
    last = Version(1, "r1", held(tmp_path, alive=True))
    with pytest.raises(RunHeld, match=r"out is being written by run r1: pid 7 on h .* partitioner resume .*held"):
        check_nobody_writes(output, last)
    check_nobody_writes(output, last, mine=last.run)
    check_nobody_writes(output, Version(1, "r1", ""))
    check_nobody_writes(output, Version(1, "r1", str(tmp_path / "nobody")))


def test_a_dead_run_holds_nothing(output: Directory, tmp_path: Path) -> None:
    check_nobody_writes(output, Version(1, "r1", held(tmp_path, alive=False)))


def test_a_folder_that_no_run_wrote_is_refused(output: Directory) -> None:
    check_nobody_writes(output, None)
    for name in ("b", "a", "c"):
        output.put(name, b"")
    with pytest.raises(
        OutputExists, match=r"is not empty \(it holds a\) and names no run; name a new directory, or empty"
    ):
        check_nobody_writes(output, None)


@pytest.mark.parametrize(("before", "number"), [("plain", 1), ("done", 4), ("abandoned", 4)])
def test_after_a_settled_version_the_next_may_be_claimed(output: Directory, before: str, number: int) -> None:
    if before == "plain":
        plain(output)
    else:
        done(output, 3)
    if before == "abandoned":
        put(output, "_versions/000003/manifest.json", abandoned_by="x")
    assert claim(output, "rN", "/runs/rN") == number
    assert newest(output) == Version(number, "rN", "/runs/rN")


@pytest.mark.parametrize("run", ["/runs/r", ""])
def test_a_version_that_is_not_settled_bars_the_next(output: Directory, run: str) -> None:
    claimed(output, 3, run)
    with pytest.raises(RunHeld, match=r"version 3 of output .*out was taken by run r3 just now"):
        claim(output, "rN", "/runs/rN")


def test_of_two_that_claim_at_once_one_is_told(output: Directory, monkeypatch: pytest.MonkeyPatch) -> None:
    done(output, 1)
    seen = newest(output)
    claimed(output, 2)
    monkeypatch.setattr(versions, "newest", lambda _: seen)
    with pytest.raises(RunHeld, match=r"version 2 of output .* was taken by run r2 just now"):
        claim(output, "rN", "/runs/rN")


def test_a_claim_whose_first_answer_was_lost_is_held(output: Directory, monkeypatch: pytest.MonkeyPatch) -> None:
    create = output.put_new
    monkeypatch.setattr(output, "put_new", lambda name, data: create(name, data) and False)
    assert claim(output, "rN", "/runs/rN") == 1
    assert newest(output) == Version(1, "rN", "/runs/rN")


def test_who_is_faster_and_still_writes_is_named(
    output: Directory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done(output, 1)
    seen = newest(output)
    put(output, "_versions/000002/claim.json", run_id="r2", run=held(tmp_path, alive=True))
    monkeypatch.setattr(versions, "newest", lambda _: seen)
    with pytest.raises(RunHeld, match="is being written by run r2: pid 7"):
        claim(output, "rN", "/runs/rN")


def test_a_version_is_abandoned_unless_its_run_committed_it_after_all(output: Directory) -> None:
    claimed(output, 3)
    assert abandon(output, at(output, 3), "r9")
    assert at(output, 3).abandoned == "r9"
    done(output, 4)
    assert not abandon(output, Version(4, "r4", "/runs/r4"), "r9")
    assert at(output, 4).manifest is not None


def test_version_zero_is_abandoned_by_its_claim(output: Directory) -> None:
    plain(output, finished=False)
    assert abandon(output, at(output, 0), "r9")
    assert at(output, 0) == Version(0, "r0", "/runs/r0", None, "r9")
    assert at(output, 0).settled


def test_a_commit_happens_once_and_never_after_the_version_was_abandoned(output: Directory) -> None:
    claimed(output, 1)
    assert commit(output, 1, {"files": [1]}) == {"files": [1]}
    assert commit(output, 1, {"files": [2]}) == {"files": [1]}
    claimed(output, 2)
    abandon(output, at(output, 2), "r9")
    with pytest.raises(LeaseLost, match=r"version 2 of output .*out was abandoned by run r9, which writes to it now"):
        commit(output, 2, {"files": []})


def test_what_nobody_claimed_names_no_run(output: Directory) -> None:
    assert at(output, 5) == Version(5, "", "")
    assert at(output, 0) == Version(0, "", "")
    assert not at(output, 0).settled


def test_of_a_version_without_a_run_no_lease_is_looked_for(output: Directory, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(versions, "holder", lambda run: asked.append(run.url))
    check_nobody_writes(output, Version(1, "", ""))
    assert asked == []
    check_nobody_writes(output, Version(1, "r1", "/runs/r1"))
    assert asked == ["/runs/r1"]


def test_no_version_is_claimed_in_a_folder_that_no_run_wrote(output: Directory) -> None:
    output.put("mine.txt", b"")
    with pytest.raises(OutputExists, match=r"it holds mine\.txt"):
        claim(output, "rN", "/runs/rN")
    assert output.names() == ["mine.txt"]


def test_no_version_is_claimed_while_the_run_of_the_last_still_works_on_it(output: Directory, tmp_path: Path) -> None:
    done(output, 1)
    put(output, "_versions/000001/claim.json", run_id="r1", run=held(tmp_path, alive=True))
    with pytest.raises(RunHeld, match="is being written by run r1: pid 7"):
        claim(output, "rN", "/runs/rN")
    assert claim(output, "r1", str(tmp_path / "held")) == 2  # its own lease bars no run


@pytest.mark.parametrize("place", ["abc", "-1", "9" * 30, "\u0663", "000002/x", "."])
def test_claims_under_other_names_are_no_version(tmp_path: Path, place: str) -> None:
    output = Directory(tmp_path / "out")
    output.put("_versions/000001/claim.json", b"{}")
    (tmp_path / "out" / "_versions" / place).mkdir(parents=True, exist_ok=True)
    (tmp_path / "out" / "_versions" / place / "claim.json").write_text("{}")
    found = versions.newest(output)
    assert found is not None
    assert found.number == 1
    output.put("_versions/999999/claim.json", b"{}")  # not looked for one by one from there down
    output.put("_versions/000001/manifest.json", b'{"files": []}')
    now = versions.committed(output)
    assert now is not None
    assert now.number == 1
