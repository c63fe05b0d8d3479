"""What a mode does with the output that is there, from literal claims, manifests and runs."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from partitioner import choices
from partitioner.config import RunConfig
from partitioner.errors import ConfigError, DamagedRun, OutputExists, ResumeRefused
from partitioner.output import modes, versions
from partitioner.output.modes import Target, held_by
from partitioner.storage import Directory
from partitioner.store.run_directory import RunDirectory
from tests.output.home import Home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def showing(seen: list[int]) -> Any:
    """Stands for showing a version of an output to its readers."""

    def show(config: RunConfig, output: Directory, manifest: Any, claimed: int = 0) -> None:
        assert config.output == output.url
        seen.append(manifest["version"])

    return show


def name_of(run: RunDirectory | None) -> str:
    return "" if run is None else run.run_id


@pytest.mark.parametrize(
    ("mode", "state", "before", "goes_on"),
    [
        ("resume", "open", "append", True),
        ("resume", "done", "append", True),
        ("append", "open", "append", True),
        ("append", "done", "append", False),
        ("append", "abandoned", "append", False),
        ("append", "open", "incremental", False),
        ("incremental", "open", "incremental", True),
        ("incremental", "done", "incremental", False),
        ("overwrite", "open", "overwrite", False),
        ("error", "open", "error", False),
    ],
)
def test_which_run_the_same_command_goes_on_with(home: Home, mode: str, state: str, before: str, goes_on: bool) -> None:
    home.run("r1", mode=before)
    home.version(1, "r1", state)
    assert name_of(modes.to_continue(home.config(mode))) == ("r1" if goes_on else "")


def test_a_run_that_is_gone_does_not_go_on(home: Home) -> None:
    home.version(1, "gone", "open")
    assert modes.to_continue(home.config("resume")) is None


@pytest.mark.parametrize("mode", ["append", "resume"])
def test_a_folder_without_a_claim_has_no_run(home: Home, mode: str) -> None:
    home.run("r1", mode=mode, output=str(home.home / "out"))
    assert modes.to_continue(home.config(mode)) is None


@pytest.mark.parametrize(
    ("mode", "before", "finished", "goes_on"),
    [
        ("resume", "append", True, True),
        ("resume", "error", False, True),
        ("append", "append", False, True),
        ("append", "append", True, False),
        ("append", "overwrite", False, False),
        ("incremental", "incremental", False, False),
    ],
)
def test_of_one_file_the_last_run_of_its_name_goes_on(
    home: Home, mode: str, before: str, finished: bool, goes_on: bool
) -> None:
    place = str(home.home / "out.csv")
    home.run("r1", finished=True, mode=before, output=place)
    home.run("r2", finished=finished, mode=before, output=place)
    home.run("r3", mode=before, output="another")
    assert name_of(modes.to_continue(home.config(mode, output=place))) == ("r2" if goes_on else "")


def test_runs_are_listed_with_the_last_one_first(home: Home) -> None:
    for name in ("r1", "r3", "r2"):
        home.run(name)
    (home.home / "runs" / "r4").mkdir()
    assert [run.run_id for run in modes.runs_below(str(home.home / "runs"))] == ["r3", "r2", "r1"]
    assert modes.runs_below(str(home.home / "none")) == []


def test_a_name_or_an_output_finds_a_run(home: Home) -> None:
    home.run("r1", name="nightly", output=None)
    home.run("r2", name="nightly", output="x")
    assert name_of(modes.named(home.config("resume", output=None, name="nightly"))) == "r1"
    assert modes.named(home.config("resume", output=None, name="daily")) is None
    with pytest.raises(ConfigError, match="goes on with the run of an output or of a name; set output=, or name="):
        modes.named(home.config("resume", output=None))


def test_auto_means_the_last_run_of_this_dataset_and_program(home: Home) -> None:
    same = {"dataset": "d", "program": None, "arguments": {}}
    home.run("r1", **same)
    home.run("r2", **same)
    home.run("r3", **{**same, "dataset": "other"})
    home.run("r4", **{**same, "arguments": {"a": 1}})
    assert name_of(modes.alike(home.config("error", output=None))) == "r2"
    home.run("r5", name="nightly", output=None)
    assert name_of(modes.alike(home.config("error", output=None, name="nightly"))) == "r5"
    home.version(1, "r1", "done")
    assert name_of(modes.alike(home.config("error"))) == "r1"


def test_a_new_run_claims_the_next_version_from_the_last_that_counts(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    monkeypatch.setattr(modes, "show", showing(seen))
    home.version(1, "r1", "done")
    home.version(2, "r2", "abandoned")
    home.put("_manifest.json", version=1)
    home.output.put("_SUCCESS", b"")
    run = home.run("r9")
    assert modes.begin(home.config(), run) == Target(3, 1)
    assert seen == []
    assert modes.begin(home.config("error"), run) == Target()
    assert modes.begin(home.config("overwrite", output=str(home.home / "new")), run) == Target(1, -1)


@pytest.mark.parametrize("shown", [None, 0, 2])
def test_a_version_that_readers_do_not_see_yet_is_shown_first(
    home: Home, monkeypatch: pytest.MonkeyPatch, shown: int | None
) -> None:
    seen: list[int] = []
    monkeypatch.setattr(modes, "show", showing(seen))
    home.version(1, "r1", "done")
    if shown is not None:
        home.put("_manifest.json", version=shown)
    modes.begin(home.config(), home.run("r9"))
    assert seen == [1]


@pytest.mark.parametrize("torn", [b"", b"[]", b"null", b'{"version": "x"}', b"\xff", b'{"a": ' * 9999])
def test_what_says_which_version_is_shown_is_made_again_where_it_is_torn(
    home: Home, monkeypatch: pytest.MonkeyPatch, torn: bytes
) -> None:
    seen: list[int] = []
    monkeypatch.setattr(modes, "show", showing(seen))
    home.version(1, "r1", "done")
    home.output.put("_manifest.json", torn)
    assert modes.begin(home.config(), home.run("r9")) == Target(2, 1)
    assert seen == [1]


def test_version_zero_is_seen_as_it_is(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(modes, "show", None)
    home.put("_run.json", run_id="r0", run="u")
    home.put("_manifest.json", files=[], counts={})
    home.output.put("_SUCCESS", b"")
    assert modes.begin(home.config(), home.run("r9")) == Target(1, 0)


def test_what_a_dead_run_left_is_abandoned_and_that_is_said(home: Home, capfd: pytest.CaptureFixture[str]) -> None:
    home.version(1, "r1", "open")
    run = home.run("r9")
    assert modes.begin(home.config(), run) == Target(2, -1)
    assert capfd.readouterr().err.endswith("out: what run r1 left unfinished is abandoned\n")
    assert modes.held_by({"number": 2, "base": -1, "kept": []}, home.config()) == Target(2, -1)


def exported(home: Home, content: bytes, output: str = "") -> RunConfig:
    place = str(home.home / "out.csv")
    run = home.run("r1")
    run.mark_exported(output or place, {"sha256": hashlib.sha256(b"mine").hexdigest()})
    (home.home / "out.csv").write_bytes(content)
    return home.config("overwrite", output=place)


def test_one_file_that_a_run_wrote_is_version_zero(home: Home) -> None:
    config = exported(home, b"mine")
    found = modes._written_before(config, Directory(home.home / ".out.csv.versions"))
    assert found is not None
    assert (found.number, found.run_id) == (0, "r1")
    assert found.settled


@pytest.mark.parametrize(("content", "output"), [(b"another's", ""), (b"mine", "elsewhere.csv")])
def test_one_file_that_nobody_wrote_so_is_refused(home: Home, content: bytes, output: str) -> None:
    config = exported(home, content, output)
    with pytest.raises(OutputExists, match=r"out\.csv is there, and no run below .* wrote it as it is now"):
        modes._written_before(config, Directory(home.home / "v"))


def test_a_file_that_is_not_there_has_no_version(home: Home) -> None:
    assert modes._written_before(home.config(output=str(home.home / "out.csv")), home.output) is None
    assert modes._written_before(home.config(), home.output) is None


def test_a_target_comes_back_as_it_was_written(home: Home) -> None:
    home.version(3, "r1", "open")
    target = Target(3, 2, ("a", "b"), {"c": [(0, 1), (2, 0)]})
    assert held_by(json.loads(json.dumps(target.to_json())), home.config()) == target
    assert held_by({}, home.config()) == Target()
    for torn in ({"kept": 5}, {"base": "x"}, {"number": "x"}, {"sections": 3}):
        with pytest.raises(DamagedRun, match="the target that the run began with is torn"):
            held_by({**target.to_json(), **torn}, home.config())
    assert held_by({"number": 3, "base": 2, "kept": []}, home.config(mode="error", output=None)) == Target()
    home.version(4, "r1", "abandoned")
    with pytest.raises(ResumeRefused, match=r"version 4 of output .*out was abandoned by run other; start a new run"):
        held_by({"number": 4, "base": 2, "kept": []}, home.config())


@pytest.mark.parametrize(
    ("committed", "target", "answer"), [(0, 1, "None"), (1, 2, "None"), (2, 2, "manifest"), (3, 2, "refused")]
)
def test_where_the_output_is_by_now(
    home: Home, monkeypatch: pytest.MonkeyPatch, committed: int, target: int, answer: str
) -> None:
    seen: list[int] = []
    monkeypatch.setattr(modes, "show", showing(seen))
    for number in range(1, committed + 1):
        home.version(number, f"r{number}", "done")
    run = home.run("r9")
    if answer == "refused":
        with pytest.raises(ResumeRefused, match=r"has moved on: version 3 is of run r3, and run r9 wrote version 2\."):
            modes.check_current(home.config(), run, Target(target))
        return
    found = modes.check_current(home.config(), run, Target(target))
    assert str(None if found is None else "manifest") == answer
    assert seen == ([2] if found else [])
    home.put("_manifest.json", version=committed)
    home.output.put("_SUCCESS", b"")
    modes.check_current(home.config(), run, Target(target))
    assert len(seen) <= 1


def test_an_output_that_is_nowhere_or_plain_is_never_done(home: Home) -> None:
    run = home.run("r9")
    assert modes.check_current(home.config("error", output=None), run, Target()) is None
    home.put("_run.json", run_id="r0", run="u")
    home.put("_manifest.json", files=[], counts={})
    home.output.put("_SUCCESS", b"")
    assert modes.check_current(home.config("error"), run, Target()) is None
    assert (modes.base_of(home.output, -1), modes.base_of(home.output, 0).run_id) == (None, "r0")  # type: ignore[union-attr]


def check(home: Home, reducer: Any = "concat", **options: Any) -> None:
    modes.check(home.config(**options), choices.choose("reducers", reducer))


@pytest.mark.parametrize("mode", ["overwrite", "append", "incremental"])
def test_versions_need_a_place_and_a_reducer_that_merges(home: Home, mode: str) -> None:
    check(home, mode=mode)
    check(home, "mean", mode=mode)
    with pytest.raises(ConfigError, match=rf"mode='{mode}' is about an output that stays; name it with output="):
        check(home, mode=mode, output=None)
    whole = SimpleNamespace(rows=False, divisible=False, name="whole")
    with pytest.raises(ConfigError, match="merges the results of files, and reducer 'whole' needs whole sub-tasks"):
        modes.check(home.config(mode), whole)  # type: ignore[arg-type]


def test_other_modes_need_neither(home: Home) -> None:
    check(home, mode="error", output=None)
    modes.check(home.config("error"), SimpleNamespace(rows=False, divisible=False, name="whole"))  # type: ignore[arg-type]


def test_a_target_that_is_told_by_keys_comes_back_as_it_was_written(home: Home) -> None:
    home.version(3, "r1", "open")
    target = Target(3, 2, by="keys", base_known=True)
    assert held_by(json.loads(json.dumps(target.to_json())), home.config()) == target


def test_a_later_version_of_the_run_itself_is_its_answer(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(modes, "show", showing([]))
    home.version(1, "r1", "done")
    home.version(2, "r1", "done")  # rows that were mended joined it
    found = modes.check_current(home.config(), home.run("r1"), Target(1))
    assert found == versions.at(home.output, 2).manifest


def test_version_zero_is_not_shown_again_whatever_readers_see(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(modes, "show", None)
    monkeypatch.setattr(modes, "is_shown", None)
    home.put("_run.json", run_id="r0", run="u")
    home.put("_manifest.json", files=[], counts={})
    home.output.put("_SUCCESS", b"")
    assert modes.begin(home.config(), home.run("r9")) == Target(1, 0)


def test_the_one_file_of_version_zero_is_named(home: Home) -> None:
    place = Directory(home.home / ".out.csv.versions")
    modes._written_before(exported(home, b"mine"), place)
    assert json.loads(place.get("_manifest.json")) == {"files": [{"path": "out.csv"}]}


def test_an_append_gives_way_to_a_new_one_only_where_its_own_rows_are_in(home: Home) -> None:
    run = RunDirectory(str(home.home / "runs" / "r"))
    config = home.config("append")
    assert not modes.gives_way(config, run, "auto")
    run.mark_finished({})
    assert modes.gives_way(config, run, "auto")
    assert not modes.gives_way(config, run, "r")
