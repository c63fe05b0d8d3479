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
from partitioner.errors import DamagedRun
from partitioner.output import modes
from partitioner.report.report import Report
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
