"""A run directory of which something is missing, torn or something else: told in one sentence, and no other run suffers."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

import partitioner as pt
from partitioner import config as configuration
from partitioner.cli import app
from partitioner.commands.explain import life
from partitioner.coordinator import execute
from partitioner.errors import DamagedOutput, DamagedRun
from partitioner.output import modes
from partitioner.report.report import Report
from partitioner.runs import quarantine
from partitioner.store.run_directory import RunDirectory
from tests.programs import double

SETTINGS: dict[str, Any] = {"cost": "rows", "max_tasks": 2, "min_tasks_per_slot": 2, "engine": "serial"}
SETTINGS |= {"progress": False, "report": False}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("whole")
    pq.write_table(pa.table({"x": range(8)}), home / "in.parquet", row_group_size=4)
    SETTINGS["dataset"] = str(home / "in.parquet")
    run = pt.run(program=double, checkpoint=str(home / "runs"), output=str(home / "out"), **SETTINGS)
    return Path(run.url)


@pytest.fixture
def run(whole: Path, tmp_path: Path) -> RunDirectory:
    """A copy of the run's directory."""
    shutil.copytree(whole, tmp_path / "runs" / whole.name)
    return RunDirectory(str(tmp_path / "runs" / whole.name))


def resumed(run: RunDirectory) -> pt.Run:
    out = str(Path(SETTINGS["dataset"]).parent / "out")
    return pt.run(program=double, resume=run.url, checkpoint=run.url.rpartition("/")[0], output=out, **SETTINGS)


READS: list[Callable[[RunDirectory], object]] = [Report.of, lambda run: life(run, "t000000")]


@pytest.mark.parametrize("data", [b"", b"null", b"[1]", b"{}", b'{"config": 1}', b'{"a": ', b"\xff\xfe", b"[" * 99_999])
def test_a_torn_description_is_told_by_whoever_reads_it(run: RunDirectory, data: bytes) -> None:
    (Path(run.url) / "run.json").write_bytes(data)
    for read in [*READS, resumed]:
        with pytest.raises(DamagedRun, match=r"^run\.json in .* is missing or torn, .*Restore it, or start a new run"):
            read(run)


@pytest.mark.parametrize(
    ("part", "value"),
    [("objective", 7), ("task_cpus", "x"), ("fingerprints", None), ("input", 1), ("code", []), ("modules", "x")],
)
def test_a_description_whose_parts_are_something_else_is_told_too(run: RunDirectory, part: str, value: Any) -> None:
    described = run.description()
    holder = next(p for p in (described, described["config"], described["fingerprints"]) if part in p)
    holder[part] = value
    (Path(run.url) / "run.json").write_text(json.dumps(described))
    for read in [*READS, resumed]:
        with pytest.raises(DamagedRun, match=r"^run\.json in .* is missing or torn"):
            read(run)


@pytest.mark.parametrize(
    "damage", [lambda p: p.unlink(), lambda p: p.write_bytes(b""), lambda p: p.write_bytes(b"PAR1")]
)
def test_sub_tasks_that_are_torn_are_told_by_whoever_reads_them(run: RunDirectory, damage: Any) -> None:
    damage(Path(run.url) / "tasks.parquet")
    for read in [*READS, RunDirectory.read_tasks, RunDirectory.read_inputs]:
        with pytest.raises(DamagedRun, match=r"^tasks\.parquet in "):
            read(run)


@pytest.mark.parametrize("data", [b"", b"null", b"{}", b'{"reasons": 1}', b'{"reasons": {', b"\xff"])
def test_a_torn_plan_which_is_for_people_stops_nothing(run: RunDirectory, data: bytes) -> None:
    (Path(run.url) / "plan.json").write_bytes(data)
    assert Report.of(run).summary.committed == 2
    run.plan()
    run.write_phases({"plan": 1.0}, 2.0)
    assert run.plan()["total_seconds"] == 2.0
    assert execute._cost_reasons(run) == {}


def test_a_damaged_run_hides_no_other_in_the_list_and_is_passed_over_by_auto(run: RunDirectory, whole: Path) -> None:
    home = Path(run.url).parent
    shutil.copytree(whole, home / "29990101-000000-damaged")
    (home / "29990101-000000-damaged" / "run.json").write_bytes(b"{")
    listed = CliRunner().invoke(app, ["runs", str(home), "--json"])
    states = {facts["run_id"]: facts["state"] for facts in map(json.loads, listed.stdout.splitlines())}
    assert states == {"29990101-000000-damaged": "damaged", run.run_id: "finished"}
    config = configuration.make({"checkpoint": str(home), "output": str(whole.parent.parent / "out")})
    found = modes.named(config)
    assert found is not None
    assert found.run_id == run.run_id


def fails_on_three(batch: Any) -> Any:
    if (batch["x"] == 3).any():
        raise ValueError("three")
    return double(batch)


@pytest.mark.parametrize("content", [None, b"", b"no Parquet"])
def test_quarantined_rows_that_are_gone_or_torn_are_told_by_report_and_list(
    tmp_path: Path, content: bytes | None
) -> None:
    table = pa.table({"x": range(8)})
    made = {**SETTINGS, "dataset": table, "on_error": "quarantine", "checkpoint": str(tmp_path / "runs")}
    run = pt.run(program=fails_on_three, **made)
    (file,) = Path(run.url, "quarantine").iterdir()
    file.unlink() if content is None else file.write_bytes(content)
    assert f"unknown: the file quarantine/{file.name} of these rows is" in json.dumps(
        Report.of(run.directory).to_json(), default=str
    )
    with pytest.raises(DamagedOutput, match=f"{file.name} is missing or torn"):
        quarantine.rows_of(run.directory)


@pytest.mark.parametrize("mode", ["error", "overwrite"])
@pytest.mark.parametrize("rows", [{"x": [4], "_error": ["e"]}, {"x": [3, 3], "_error": ["e", "e"]}, {"x": [3]}])
def test_quarantined_rows_that_are_others_are_neither_listed_nor_tried(
    tmp_path: Path, mode: str, rows: dict[str, list[Any]]
) -> None:
    made = {**SETTINGS, "dataset": pa.table({"x": range(8)}), "on_error": "quarantine", "mode": mode}
    run = pt.run(
        program=fails_on_three, **{**made, "checkpoint": str(tmp_path / "runs"), "output": str(tmp_path / "out")}
    )
    (file,) = Path(run.url, "quarantine").iterdir()
    pq.write_table(pa.table(rows), file)
    for asked in (["list"], ["retry"]):
        told = CliRunner().invoke(app, ["quarantine", *asked, run.url])
        assert isinstance(told.exception, DamagedOutput)
        assert f"{file}: the 1 quarantined rows of" in str(told.exception)
        assert f"partitioner resume {run.url}" in str(told.exception)
    assert len(list((tmp_path / "runs").iterdir())) == 1


def test_a_run_json_without_settings_hides_no_other_run(tmp_path: Path) -> None:
    Path(tmp_path, "20260101-000000-aa").mkdir()
    Path(tmp_path, "20260101-000000-aa", "run.json").write_text('{"key": 1}')
    told = CliRunner().invoke(app, ["runs", str(tmp_path), "--json"])
    assert json.loads(told.output)["state"] == "damaged"
