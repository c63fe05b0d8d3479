"""The same command again: it continues, answers, or is told who runs."""

import json
import os
from pathlib import Path

import pytest
import yaml

from connectors.parquet_sink import ParquetSink
from partitioner import cli
from partitioner.commands.runs import facts_of
from partitioner.errors import ConfigError, OutputExists, ResumeRefused, RunHeld
from partitioner.output.modes import runs_below
from partitioner.store.lease import Lease
from tests.modes.schedule import Died, Schedule, die


def test_resume_starts_continues_and_answers(night: Schedule, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(ParquetSink, "finish", die)
        with pytest.raises(Died):
            night.start("resume")
    assert night.start("resume").attempted == 0
    again = night.start("resume")
    assert (again.attempted, again.exit_code) == (0, 0)
    assert night.shown == night.expected
    assert len(list((night.home / "runs").iterdir())) == 1


def test_a_finished_run_answers_without_its_engine(night: Schedule, monkeypatch: pytest.MonkeyPatch) -> None:
    night.start("resume")
    monkeypatch.setattr("partitioner.engines.dask.DaskEngine.__init__", die)
    assert night.start("resume", engine="dask").attempted == 0


def test_resume_by_name_needs_no_output(night: Schedule) -> None:
    one = night.start("resume", name="nightly", output=None)
    two = night.start("resume", name="nightly", output=None)
    assert one.run_id == two.run_id
    assert one.run_id.endswith("-nightly")
    with pytest.raises(ConfigError, match=r"set output=, or name="):
        night.start("resume", output=None)


def test_error_names_the_run_and_the_ways_on(night: Schedule) -> None:
    first = night.start("error")
    with pytest.raises(OutputExists, match=rf"finished run {first.run_id}.*partitioner resume .*mode='overwrite'"):
        night.start("error")


@pytest.mark.parametrize("mode", ["error", "resume", "overwrite", "append", "incremental"])
def test_of_two_starts_the_second_is_told_by_whom(night: Schedule, mode: str) -> None:
    first = night.start(mode)
    ran = len(list((night.home / "runs").iterdir()))
    with (
        Lease(first.directory.files),
        pytest.raises(RunHeld, match=rf"run {first.run_id}.*pid {os.getpid()} on ") as caught,
    ):
        night.start(mode)
    assert caught.value.exit_code == 6
    assert len(list((night.home / "runs").iterdir())) == ran


def conf(night: Schedule) -> Path:
    path = night.home / "nightly.yaml"
    values = {"dataset": str(night.home / "in"), "program": "tests.programs:double", "output": str(night.home / "out")}
    values |= {"checkpoint": str(night.home / "runs"), "cost": "rows", "engine": "serial", "report": False}
    path.write_text(yaml.safe_dump({**values, "progress": False}))
    return path


def call(*arguments: object) -> int:
    """The exit code of the command."""
    try:
        cli.main([*map(str, arguments), *(("--allow-module", "tests") if arguments[0] in ("run", "plan") else ())])
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def test_a_schedule_on_the_command_line(night: Schedule, capfd: pytest.CaptureFixture[str]) -> None:
    path = conf(night)
    assert call("run", path, "--mode", "incremental", "--name", "nightly") == 0
    assert call("run", path) == 2
    night.file("d", 3000)
    capfd.readouterr()
    assert call("plan", path, "--mode", "incremental") == 0
    assert "runs 1 of 4 files" in capfd.readouterr().out
    assert call("run", path, "--mode", "incremental", "--name", "nightly", "--json") == 0
    assert json.loads(capfd.readouterr().out)["counts"]["rows_in"] == 400
    assert call("runs", night.home / "runs", "--name", "nightly", "--json") == 0
    listed = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    listed.sort(key=lambda run: -run["rows"])  # two runs of one second are listed by the chance of their ids
    assert [(run["state"], run["rows"], run["mode"]) for run in listed] == [
        ("finished", n, "incremental") for n in (400, 300)
    ]
    assert night.shown == night.expected


def test_resume_auto_finds_the_run_of_the_output(night: Schedule, capfd: pytest.CaptureFixture[str]) -> None:
    path = conf(night)
    assert call("run", path, "--resume", "auto") == 0
    assert call("run", path, "--resume", "auto", "--json") == 0
    said = capfd.readouterr()
    assert json.loads(said.out.splitlines()[-1])["attempted"] == 0
    assert "has nothing left to run" in said.err


@pytest.mark.parametrize(("mode", "kept"), [("incremental", 0), ("overwrite", 0), ("append", 1)])
def test_resume_auto_every_night_lets_the_mode_say_what_becomes_of_new_input(
    night: Schedule, mode: str, kept: int
) -> None:
    night.start(mode, resume="auto")
    before = night.shown
    assert night.start(mode, resume="auto").attempted == 0
    assert night.shown == before
    night.file("b", 7000)
    night.start(mode, resume="auto")
    assert night.shown == kept * before + night.expected


def test_resume_auto_does_not_drop_rows_that_an_unfinished_night_was_to_add(
    night: Schedule, monkeypatch: pytest.MonkeyPatch
) -> None:
    night.start("append")
    night.file("b", 6000)
    with monkeypatch.context() as patch:
        patch.setattr(ParquetSink, "commit", die)
        with pytest.raises(Died):
            night.start("append", resume="auto")
    night.file("b", 7000)
    with pytest.raises(ResumeRefused, match=r"b\.parquet: was"):
        night.start("append", resume="auto")


def test_a_run_that_stopped_is_listed_as_unfinished(night: Schedule, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(ParquetSink, "commit", die)
        with pytest.raises(Died):
            night.start("error")
    (run,) = runs_below(str(night.home / "runs"))
    assert facts_of(run)["state"] == "unfinished"
    with Lease(run.files):
        assert facts_of(run)["state"] == "running"
