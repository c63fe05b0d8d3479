"""Versions of an output: drivers that die, readers meanwhile, disks and object stores."""

import contextlib
import json
import shutil
import threading
from pathlib import Path

import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

import partitioner as pt
from connectors.parquet_sink import ParquetSink
from partitioner.errors import DamagedOutput, ResumeRefused, StorageFailed
from partitioner.output import versions
from partitioner.output.publishing import publish
from partitioner.storage import Directory
from tests.modes.schedule import Died, Schedule, die


@pytest.mark.parametrize("moment", ["_parts", "versions.commit", "show"])
@pytest.mark.parametrize("mode", ["append", "overwrite", "incremental"])
def test_a_driver_that_dies_while_it_finishes_adds_its_rows_once(
    night: Schedule, monkeypatch: pytest.MonkeyPatch, moment: str, mode: str
) -> None:
    night.start(mode)
    night.file("d", 3000)
    before = night.shown
    with monkeypatch.context() as patch:
        patch.setattr(f"partitioner.output.finishing.{moment}", die)
        with pytest.raises(Died):
            night.start(mode)
    assert night.shown == before
    finished = night.start(mode)
    if mode == "append" and moment != "show":
        assert finished.attempted == 0
    expected = before + night.expected if mode == "append" else night.expected
    if mode == "append" and moment == "show":  # it was committed: this command appends once more
        expected += night.expected
    assert night.shown == expected


def test_a_reader_sees_the_old_or_the_new_output_and_never_a_mixture(night: Schedule) -> None:
    night.start("overwrite")
    states: list[frozenset[int]] = [frozenset(night.expected)]
    seen: list[frozenset[int]] = []
    ended = threading.Event()

    def read() -> None:
        while not ended.is_set():
            try:
                files = ds.dataset(night.home / "out", format="parquet").files
                seen.append(frozenset(y for f in files for y in pq.read_table(f)["y"].to_pylist()))
            except FileNotFoundError:
                continue  # it listed the old folder; readers start again

    reader = threading.Thread(target=read)
    reader.start()
    for first in (20_000, 40_000, 60_000):
        for i, name in enumerate("abc"):
            night.file(name, first + 1000 * i)
        states.append(frozenset(night.expected))
        night.start("overwrite")
    ended.set()
    reader.join()
    assert len(seen) > 3
    assert set(seen) <= set(states)


def test_a_run_that_was_abandoned_can_never_commit(night: Schedule, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(ParquetSink, "commit", die)
        with pytest.raises(Died):
            night.start("overwrite")
    (dead,) = (night.home / "runs").iterdir()
    night.file("a", 8000)
    night.start("overwrite")
    with pytest.raises(ResumeRefused, match=r"version 1 of output .* was abandoned by run"):
        night.start("overwrite", resume=str(dead))
    assert night.shown == night.expected


def test_a_run_whose_output_moved_on_is_not_resumed(night: Schedule) -> None:
    for mode in ("error", "overwrite"):
        first = night.start(mode)
        night.start("overwrite")
        with pytest.raises(ResumeRefused, match=r"has moved on: version \d is of run"):
            night.start(mode, resume=first.url)
        assert night.shown == night.expected


def test_a_finished_version_answers_with_its_output(night: Schedule) -> None:
    first = night.start("incremental", split="packed", cost=[1.0, 5.0, 2.0])
    again = night.start("incremental", split="packed", cost=[1.0, 5.0, 2.0], resume=first.url)
    assert (again.attempted, dict(again.counts)) == (0, dict(first.counts))
    assert again.result.to_pandas()["y"].tolist() == night.expected


def test_what_a_driver_that_died_right_after_it_published_left_beside_the_output_goes_with_its_resume(
    night: Schedule, monkeypatch: pytest.MonkeyPatch
) -> None:
    night.start("overwrite")
    night.file("d", 3000)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", lambda *_, **__: None)  # the old folder stays where it was exchanged to
        run = night.start("overwrite").url
    assert [(path / "_SUCCESS").exists() for path in night.home.glob(".out.publishing-*")] == [True]
    night.start("overwrite", resume=run)
    assert [path.name for path in night.home.glob(".*")] == []
    assert night.shown == night.expected


def test_publishing_twice_changes_nothing(night: Schedule) -> None:
    night.start("append")
    output = Directory(night.home / "out")
    before = output.names()
    found = versions.committed(output)
    assert found is not None
    assert found.manifest is not None
    publish(output, found.manifest)
    assert output.names() == before


def test_a_disk_that_cannot_exchange_folders_publishes_in_steps(
    night: Schedule, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("partitioner.output.publishing._exchange", lambda one, other: False)
    night.start("overwrite")
    night.file("a", 5000)
    night.start("overwrite")
    assert night.shown == night.expected


@pytest.mark.parametrize("then", ["resume", "append"])
def test_files_of_before_that_a_dead_driver_left_go_with_the_next_one(
    night: Schedule, monkeypatch: pytest.MonkeyPatch, then: str
) -> None:
    monkeypatch.setattr("partitioner.output.publishing._exchange", lambda one, other: False)
    night.start("overwrite")
    night.file("a", 5000)
    expected, plainly = night.expected, Directory.delete
    with monkeypatch.context() as patch:
        patch.setattr(Directory, "delete", lambda self, name: die() if name[:5] == "part-" else plainly(self, name))
        with pytest.raises(Died):
            night.start("overwrite")
    assert len(night.shown) == 2 * len(expected)  # as the listing of a store shows it in between
    assert not (night.home / "out" / "_SUCCESS").exists()
    if then == "resume":
        night.start("overwrite", resume="auto")
    else:
        with monkeypatch.context() as patch:
            patch.setattr(ParquetSink, "commit", die)
            with pytest.raises(Died):
                night.start("append")
    assert night.shown == expected
    assert (night.home / "out" / "_SUCCESS").exists()


def test_between_any_two_writes_a_reader_loads_the_old_result_or_the_new_one(
    night: Schedule, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, plainly = str(night.home / "out" / "result.pkl"), Directory.put
    old = night.start("overwrite", reducer="mean").result
    night.file("a", 5000)
    seen = []

    def put(self: Directory, name: str, data: bytes) -> None:
        plainly(self, name, data)
        seen.append(pt.load_result(place))

    monkeypatch.setattr(Directory, "put", put)
    new = night.start("overwrite", reducer="mean").result
    assert old != new
    assert [value for i, value in enumerate(seen) if i == 0 or value != seen[i - 1]] == [old, new]


@pytest.mark.parametrize("key", ["path", "stored"])
@pytest.mark.parametrize("name", ["../victim/x", "/etc/x", "{}/victim/x", "a\0b", "", 5])
def test_a_manifest_by_a_hostile_hand_that_names_a_file_outside_is_refused(
    night: Schedule, key: str, name: str | int
) -> None:
    run = night.start("overwrite").url
    (night.home / "victim").mkdir()
    (night.home / "victim" / "x").write_text("mine")
    place = night.home / "out" / "_versions" / "000001" / "manifest.json"
    manifest = json.loads(place.read_text())
    manifest["files"][0][key] = name.format(night.home) if isinstance(name, str) else name
    place.write_text(json.dumps(manifest))
    (night.home / "out" / "_manifest.json").unlink()  # so that it is to be shown again
    for options in ({"resume": run}, {}):
        with pytest.raises(DamagedOutput, match="which is no file of the output"):
            night.start("overwrite", **options)
    assert [p.read_text() for p in (night.home / "victim").iterdir()] == ["mine"]


def test_versions_of_one_file_replace_no_other(night: Schedule) -> None:
    options = {"output": str(night.home / "x.csv")}
    run = night.start("overwrite", **options).url
    (night.home / "victim.csv").write_text("mine")
    folder = night.home / ".x.csv.versions"
    place = folder / "_versions" / "000001" / "manifest.json"
    place.write_text(json.dumps({**json.loads(place.read_text()), "single": str(night.home / "victim.csv")}))
    (folder / "_manifest.json").unlink()
    with pytest.raises(DamagedOutput, match="holds the versions of another file"):
        night.start("overwrite", resume=run, **options)
    assert (night.home / "victim.csv").read_text() == "mine"


@pytest.mark.parametrize("exchanged", [True, False])
def test_what_else_lies_in_the_output_stays(night: Schedule, monkeypatch: pytest.MonkeyPatch, exchanged: bool) -> None:
    if not exchanged:
        monkeypatch.setattr("partitioner.output.publishing._exchange", lambda one, other: False)
    night.start("overwrite")
    out, elsewhere = night.home / "out", night.home / "elsewhere"
    elsewhere.mkdir()
    (out / "mine").mkdir()
    (out / "linked").symlink_to(elsewhere)
    (out / "gone").symlink_to(night.home / "nowhere")
    places = [out / "README.md", out / "mine" / "part-1.csv", elsewhere / "part-2.csv"]
    for place in places:
        place.write_text("ours")
    night.file("a", 5000)
    night.start("overwrite")
    assert [place.read_text() for place in places] == ["ours"] * 3
    assert [(out / name).readlink().name for name in ("linked", "gone")] == ["elsewhere", "nowhere"]
    files = sorted(out.glob("part-*.parquet"))
    assert sorted(y for file in files for y in pq.read_table(file)["y"].to_pylist()) == sorted(night.expected)


@pytest.mark.parametrize("place", ["out/_versions", "run/lease", "run/commits", "run/ledger"])
def test_nothing_is_written_behind_a_link_by_a_hostile_hand(night: Schedule, place: str) -> None:
    run = Path(night.start("overwrite").url)
    ours, victim = (run if place.startswith("run") else night.home / "out") / Path(place).name, night.home / "victim"
    ours.rename(victim)
    ours.symlink_to(victim)
    before = sorted(path.relative_to(victim) for path in victim.rglob("*"))
    for options in ({"resume": str(run)}, {"mode": "append"}):
        with contextlib.suppress(StorageFailed):
            night.start(**{"mode": "overwrite", **options})
    assert sorted(path.relative_to(victim) for path in victim.rglob("*")) == before


def test_an_output_and_runs_that_are_reached_by_links_work(night: Schedule) -> None:
    for name in ("out", "runs"):
        (night.home / f"real-{name}").mkdir()
        (night.home / name).symlink_to(night.home / f"real-{name}")
    for first in (5000, 7000):
        night.file("a", first)
        assert night.start("overwrite").result.to_pandas()["y"].tolist() == night.expected
        assert night.shown == night.expected
    assert (night.home / "out").readlink().name == "real-out"


def test_versions_on_an_object_store(night: Schedule, s3: str, tmp_path: Path) -> None:
    place = f"{s3}/{tmp_path.name}-modes"
    for name in ("x", "a"):
        night.file(name, 5000)
        finished = night.start("incremental", output=f"{place}/out", checkpoint=f"{place}/runs")
        assert finished.result.to_pandas()["y"].tolist() == night.expected
    names = Directory(f"{place}/out").names()
    shown = json.loads(Directory(f"{place}/out").get("_manifest.json"))
    assert sorted(f["path"] for f in shown["files"]) == [n for n in names if n.startswith("part-")]
