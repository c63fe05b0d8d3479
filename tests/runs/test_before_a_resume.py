"""Before a resume: which run is meant, what may have changed, and what is left to do."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from partitioner import config as configuration
from partitioner.coordinator import ledger
from partitioner.errors import ConfigError, ResumeRefused
from partitioner.model import CommitRecord, SubTasks
from partitioner.runs import resume
from partitioner.store.commit_log import encoded
from partitioner.store.commits import Commits
from partitioner.store.run_directory import RunDirectory
from tests.attempt.by_hand import KEY
from tests.runs.recorded import KEYS
from tests.store.records import record

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
    assert resume.resume_command(RunDirectory(f"{tmp_path}/my runs")) == f"partitioner resume '{tmp_path}/my runs'"
