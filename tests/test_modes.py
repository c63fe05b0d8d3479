"""Runs that can be repeated: every mode of an output, and ten nights of a schedule."""

import json
import os
import threading
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
import yaml

import partitioner as pt
from connectors.parquet_sink import ParquetSink
from partitioner import cli
from partitioner.commands.runs import facts_of
from partitioner.errors import ConfigError, OutputExists, ResumeRefused, RunHeld
from partitioner.output import versions
from partitioner.output.modes import runs_below
from partitioner.output.publishing import publish
from partitioner.reducers.count import Count
from partitioner.storage import Directory
from partitioner.store.lease import Lease
from tests import programs


class Died(BaseException):
    """Stands for the end of the driver."""


def die(*_: object, **__: object) -> None:
    raise Died


class Schedule:
    """A folder of input files and the command that is started every night."""

    def __init__(self, home: Path, **options: Any) -> None:
        self.home, self.options = home, options
        (home / "in").mkdir(parents=True)

    def file(self, name: str, first: int, rows: int = 100) -> None:
        pq.write_table(pa.table({"x": range(first, first + rows)}), self.home / "in" / f"{name}.parquet")

    def start(self, mode: str, **options: Any) -> pt.Run:
        return pt.run(
            str(self.home / "in"),
            **{
                "program": programs.double,
                "mode": mode,
                "output": str(self.home / "out"),
                "checkpoint": str(self.home / "runs"),
                "cost": "rows",
                "engine": "serial",
                "max_tasks": 4,
                "min_tasks_per_slot": 4,
                "progress": False,
                "report": False,
                **self.options,
                **options,
            },
        )

    @property
    def shown(self) -> list[int]:
        """What a reader of the plain folder gets, in its order."""
        return list(pq.read_table(self.home / "out")["y"].to_pylist())

    @property
    def expected(self) -> list[int]:
        """What a fresh run over the input of now gives."""
        return [2 * x for x in pq.read_table(self.home / "in")["x"].to_pylist()]


@pytest.fixture
def night(tmp_path: Path) -> Schedule:
    schedule = Schedule(tmp_path)
    for i, name in enumerate("abc"):
        schedule.file(name, 1000 * i)
    return schedule


def test_overwrite_replaces_and_append_adds(night: Schedule) -> None:
    assert night.start("overwrite").result.to_pandas()["y"].tolist() == night.expected == night.shown
    night.file("a", 5000)
    assert len(night.start("overwrite").result) == 300
    assert night.shown == night.expected
    before = night.expected
    added = night.start("append")
    assert night.shown == before + night.expected == added.result.to_pandas()["y"].tolist()
    assert added.counts == {"rows_in": 600, "rows_out": 600, "rows_written": 600, "quarantined": 0}
    assert json.loads((night.home / "out" / "_manifest.json").read_text())["counts"] == added.counts


@pytest.mark.parametrize("mode", ["overwrite", "append", "incremental"])
def test_every_mode_goes_on_from_an_output_of_mode_error(night: Schedule, mode: str) -> None:
    night.start("error")
    before = night.shown
    night.start(mode)
    assert night.shown == (before if mode == "append" else []) + night.expected


def test_ten_nights_equal_ten_fresh_runs(night: Schedule, monkeypatch: pytest.MonkeyPatch) -> None:
    """New, changed and deleted files, one night killed, one started twice, one without any change."""

    def change(n: int) -> None:
        {
            1: lambda: night.file("d", 3000),
            2: lambda: night.file("b", 7000, 150),
            3: lambda: (night.home / "in" / "a.parquet").unlink(),
            4: lambda: night.file("ab", 9000, 30),
            5: lambda: night.file("c", 11_000, 10),
            6: lambda: night.file("e", 12_000),
            8: lambda: (night.home / "in" / "d.parquet").unlink(),
            9: lambda: night.file("a", 13_000),
        }.get(n, lambda: None)()

    read = []
    for n in range(10):
        change(n)
        if n == 5:
            with monkeypatch.context() as patch:
                patch.setattr(ParquetSink, "commit", die)
                with pytest.raises(Died):
                    night.start("incremental")
        finished = night.start("incremental")
        if n == 6:
            assert night.start("incremental").attempted == 0
        assert finished.result.to_pandas()["y"].tolist() == night.expected
        assert night.shown == night.expected
        assert finished.counts["rows_in"] == len(night.expected)
        read.append(sum(record.rows_in for record in finished.records))
    assert read == [300, 100, 150, 0, 30, 10, 100, 0, 0, 100]


def test_one_changed_file_of_a_hundred_costs_its_own_rows(tmp_path: Path) -> None:
    schedule = Schedule(tmp_path)
    for i in range(100):
        schedule.file(f"f{i:03d}", 100 * i)
    schedule.start("incremental")
    schedule.file("f050", 77_000)
    again = schedule.start("incremental")
    assert sum(record.rows_in for record in again.records) == 100
    assert again.counts["rows_in"] == 10_000
    assert schedule.shown == schedule.expected


def test_other_code_or_settings_keep_nothing(night: Schedule) -> None:
    night.start("incremental")
    assert sum(r.rows_in for r in night.start("incremental", batch_format="arrow", program=same).records) == 300
    assert sum(r.rows_in for r in night.start("incremental", batch_format="arrow", program=same).records) == 0


def same(batch: Any) -> Any:
    return batch


def test_rows_that_were_kept_and_are_gone_are_made_again(night: Schedule) -> None:
    first = night.start("incremental")
    os.unlink(f"{night.home}/out/{first.records[0].path}")
    night.start("incremental")
    assert night.shown == night.expected


def test_quarantined_rows_of_kept_files_still_count(tmp_path: Path) -> None:
    schedule = Schedule(tmp_path, program=programs.fails_on_negative, on_error="quarantine")
    schedule.file("a", -2, 10)
    schedule.file("b", 100, 10)
    assert (schedule.start("incremental").quarantined, len(schedule.shown)) == (2, 18)
    schedule.file("b", 200, 10)
    again = schedule.start("incremental")
    assert dict(again.counts) == {"rows_in": 20, "rows_out": 18, "rows_written": 18, "quarantined": 2}
    assert again.exit_code == 5


def filtered(batch: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({"y": batch["x"][batch["x"] % 3 == 0] * 2})


def test_a_program_that_filters_is_incremental_too(night: Schedule) -> None:
    options: dict[str, Any] = {"program": filtered, "allow_row_change": True}
    night.start("incremental", **options)
    night.file("b", 7000, 150)
    night.start("incremental", **options)
    assert night.shown == [y for y in night.expected if y % 6 == 0]


def test_a_plan_tells_what_an_incremental_run_saves(night: Schedule) -> None:
    night.start("incremental")
    night.file("d", 3000)
    plan = pt.plan(
        str(night.home / "in"),
        programs.double,
        mode="incremental",
        output=str(night.home / "out"),
        cost="rows",
        workers=2,
    )
    assert "runs 1 of 4 files (25.0% of the bytes), keeps the rows of 3" in plan.explain()


@pytest.mark.parametrize("moment", ["_parts", "versions.commit", "publish"])
@pytest.mark.parametrize("mode", ["append", "overwrite", "incremental"])
def test_a_driver_that_dies_while_it_finishes_adds_its_rows_once(
    night: Schedule, monkeypatch: pytest.MonkeyPatch, moment: str, mode: str
) -> None:
    night.start(mode)
    night.file("d", 3000)
    before = night.shown
    with monkeypatch.context() as patch:
        patch.setattr(f"partitioner.output.modes.{moment}", die)
        with pytest.raises(Died):
            night.start(mode)
    assert night.shown == before
    finished = night.start(mode)
    if mode == "append" and moment != "publish":
        assert finished.attempted == 0
    expected = before + night.expected if mode == "append" else night.expected
    if mode == "append" and moment == "publish":  # it was committed: this command appends once more
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


def test_what_else_lies_in_the_output_stays(night: Schedule) -> None:
    night.start("overwrite")
    (night.home / "out" / "README.md").write_text("ours")
    night.start("overwrite")
    assert (night.home / "out" / "README.md").read_text() == "ours"


def test_versions_on_an_object_store(night: Schedule, s3: str, tmp_path: Path) -> None:
    place = f"{s3}/{tmp_path.name}-modes"
    for name in ("x", "a"):
        night.file(name, 5000)
        finished = night.start("incremental", output=f"{place}/out", checkpoint=f"{place}/runs")
        assert finished.result.to_pandas()["y"].tolist() == night.expected
    names = Directory(f"{place}/out").names()
    shown = json.loads(Directory(f"{place}/out").get("_manifest.json"))
    assert sorted(f["path"] for f in shown["files"]) == [n for n in names if n.startswith("part-")]


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


def test_a_run_that_stopped_is_listed_as_unfinished(night: Schedule, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(ParquetSink, "commit", die)
        with pytest.raises(Died):
            night.start("error")
    (run,) = runs_below(str(night.home / "runs"))
    assert facts_of(run)["state"] == "unfinished"
    with Lease(run.files):
        assert facts_of(run)["state"] == "running"


class FirstCome(Count):
    """Accumulators of parts do not merge."""

    name = "first_come"
    mergeable = False


def as_is(batch: pd.DataFrame) -> pd.DataFrame:
    return batch


def test_nights_of_a_reducer_merge_what_is_kept_with_what_is_new(night: Schedule) -> None:
    options: dict[str, Any] = {"program": as_is, "reducer": "mean"}
    changes = [
        lambda: None,
        lambda: night.file("d", 3000),
        lambda: night.file("b", 7000, 150),
        lambda: (night.home / "in" / "a.parquet").unlink(),
        lambda: None,
    ]
    read = []
    for n, change in enumerate(changes):
        change()
        finished = night.start("incremental", **options)
        fresh = night.start("error", **options, output=str(night.home / f"fresh{n}"))
        assert finished.result == fresh.result
        assert finished.counts["rows_in"] == fresh.counts["rows_in"]
        read.append(sum(record.rows_in for record in finished.records))
        assert (night.home / "out" / "result.pkl").read_bytes() == (
            night.home / f"fresh{n}" / "result.pkl"
        ).read_bytes()
    assert read == [300, 100, 150, 0, 0]


def test_append_and_overwrite_of_a_reducer(night: Schedule) -> None:
    options: dict[str, Any] = {"program": as_is, "reducer": "count"}
    assert night.start("overwrite", **options).result == 300
    assert night.start("append", **options).result == 600
    again = night.start("overwrite", **options)
    assert again.result == 300
    assert night.start("overwrite", **options, resume=again.url).result == 300


def test_a_mode_without_an_output_or_rows_is_refused(night: Schedule) -> None:
    with pytest.raises(ConfigError, match=r"mode='append' is about an output that stays; name it with output="):
        night.start("append", output=None)
    with pytest.raises(ConfigError, match=r"mode='overwrite' merges the results of files, and reducer 'first_come'"):
        night.start("overwrite", reducer=FirstCome())
    with pytest.raises(ConfigError, match=r"leave out limit and sample"):
        night.start("incremental", limit=5)
    with pytest.raises(ConfigError, match=r"split .* puts rows of many together"):
        night.start("incremental", split={"split": "grouped", "key": "x"})


def test_a_folder_that_no_run_wrote_is_refused_in_every_mode(night: Schedule) -> None:
    (night.home / "out").mkdir()
    (night.home / "out" / "thesis.txt").write_text("mine")
    for mode in ("error", "resume", "overwrite", "append", "incremental"):
        with pytest.raises(OutputExists, match=r"is not empty \(it holds thesis\.txt\) and names no run"):
            night.start(mode)
    assert [p.name for p in (night.home / "out").iterdir()] == ["thesis.txt"]


class Dies:
    """Lets so many writes of this process pass, then none."""

    def __init__(self, writes: int) -> None:
        self.writes, self.died = writes, False

    def __enter__(self) -> "Dies":
        import obstore

        original, self.patch = obstore.put, pytest.MonkeyPatch()

        def put(*arguments: Any, **options: Any) -> Any:
            self.writes -= 1
            self.died = self.died or self.writes < 0
            if self.died:
                raise Died
            return original(*arguments, **options)

        self.patch.setattr(obstore, "put", put)
        return self

    def __exit__(self, *_: object) -> None:
        self.patch.undo()


@pytest.mark.parametrize(("mode", "first"), [("incremental", 0), ("overwrite", 1), ("append", 2)])
def test_the_same_command_goes_on_after_a_death_at_any_write(tmp_path: Path, mode: str, first: int) -> None:
    deaths = 0
    for n in range(first, 60, 5):
        schedule = Schedule(tmp_path / f"{n}")
        for i, name in enumerate("abc"):
            schedule.file(name, 1000 * i)
        schedule.start(mode)
        before = schedule.shown
        schedule.file("b", 7000)
        with Dies(n) as dying:
            try:
                schedule.start(mode)
            except Died:
                deaths += 1
        if not dying.died:
            break
        schedule.start(mode)
        kept = before if mode == "append" else []
        # A death after the commit leaves nothing to go on with: the next append adds once more.
        assert schedule.shown in (kept + schedule.expected, kept + 2 * schedule.expected if mode == "append" else None)
    assert deaths >= 5
