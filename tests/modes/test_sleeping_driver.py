"""A driver that sleeps while it shows a version, for so long that another run takes the output and shows a later one."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from partitioner.errors import LeaseLost
from partitioner.output import publishing, versions
from partitioner.runs import results
from partitioner.storage import Directory
from partitioner.store import lease
from tests.modes.schedule import Schedule

FORMS: dict[str, dict[str, Any]] = {
    "folder": {},
    "steps": {},
    "value": {"reducer": "mean"},
    "file": {"output": "out.csv"},
}


def schedule(home: Path, form: str) -> Schedule:
    options = dict(FORMS[form])
    options |= {"output": str(home / options["output"])} if "output" in options else {}
    night = Schedule(home, max_tasks=1, min_tasks_per_slot=1, fsync="never", **options)
    night.file("a", 0, rows=3)
    night.start("overwrite")
    night.file("a", 100, rows=3)
    return night


def there(night: Schedule) -> dict[str, bytes]:
    return {
        str(path): path.read_bytes()
        for path in night.home.rglob("*")
        if path.is_file() and not {"runs", "second"} & {*path.parts}
    }


def before_step(form: str, n: int, meanwhile: Callable[[], Any]) -> Callable[[pytest.MonkeyPatch], list[str]]:
    """Have ``meanwhile`` called before the ``n``-th look, link, exchange or clean-up of a driver; the names of all."""

    def patched(patch: pytest.MonkeyPatch) -> list[str]:
        names: list[str] = []

        def wrap(owner: Any, name: str) -> None:
            call = getattr(owner, name)

            def stepped(*args: Any, **options: Any) -> Any:
                if name != "link" or name not in names:  # the first of many
                    names.append(name)
                if len(names) == n:
                    patch.undo()
                    meanwhile()
                return call(*args, **options)

            patch.setattr(owner, name, stepped)

        wrap(publishing, "check_newest")
        wrap(publishing, "_forget_old")
        if form == "folder":  # elsewhere a link is a step itself
            wrap(os, "link")
            wrap(publishing, "_exchange")
        return names

    return patched


@pytest.mark.parametrize("form", FORMS)
def test_a_driver_that_slept_shows_nothing_over_a_later_version_and_removes_nothing_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    if form == "steps":
        monkeypatch.setattr(publishing, "_exchange", lambda one, other: False)
    steps, n = [""], 0
    while n <= len(steps):
        night = schedule(tmp_path / str(n), form)
        after: list[dict[str, bytes]] = []

        def meanwhile(night: Schedule = night, after: list[dict[str, bytes]] = after) -> None:
            """The sleeper's heartbeat is too old: the next run takes its output."""
            with monkeypatch.context() as patch:
                patch.setattr(versions, "holder", lambda run: None)
                night.file("a", 200, rows=4)
                night.start("overwrite")
            after.append(there(night))

        with monkeypatch.context() as patch:
            names = before_step(form, n, meanwhile)(patch)
            with suppress(LeaseLost):  # not raised where all was done but to forget old files
                night.start("overwrite")
        if n == 0:
            steps = names
        else:
            assert there(night) == after[0], f"step {n}, {steps[n - 1]}"
        n += 1
    assert steps[-1] == "_forget_old"
    assert len(steps) > 2


def test_a_driver_that_slept_before_its_manifest_leaves_the_later_version_that_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    night = schedule(tmp_path, "folder")
    after: list[dict[str, bytes]] = []
    look = results.check_newest

    def looked(*args: Any) -> None:
        """The driver wakes: its output was finished by a second one, and overwritten by a third."""
        monkeypatch.undo()
        (run,) = (path.name for path in (tmp_path / "second").iterdir())
        with monkeypatch.context() as patch:
            patch.setattr(lease, "_alive", lambda facts: False)
            night.start("error", resume=run, **places)
            night.file("a", 200, rows=4)
            night.start("overwrite", **places)
        after.append(there(night))
        look(*args)

    places = {"output": str(tmp_path / "other"), "checkpoint": str(tmp_path / "second")}
    monkeypatch.setattr(results, "check_newest", looked)
    with pytest.raises(LeaseLost, match="version 0 of output"):
        night.start("error", **places)
    assert there(night) == after[0]


def test_files_of_a_later_version_are_nobody_elses_to_forget(tmp_path: Path) -> None:
    output = Directory(tmp_path / "out")
    for name in ("000001/old", "000002/own", "000003/later"):
        output.put(f"_versions/{name}.parquet", b"")
    manifest = {"version": 2, "files": [{"stored": "_versions/000002/own.parquet"}], "before": []}
    publishing._forget_old(output, manifest)
    assert output.names() == ["_versions/000002/own.parquet", "_versions/000003/later.parquet"]
