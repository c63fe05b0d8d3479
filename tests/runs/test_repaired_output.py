"""Where repaired rows go, and which run's quarantine holds what is left: by run directories alone."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import partitioner as pt
from partitioner.commands.quarantine import retry
from partitioner.errors import ConfigError, RunHeld
from partitioner.output import versions
from partitioner.runs import repair
from partitioner.runs.repair import check_mergeable, config_of, merge, output_of, rest_of, version_of
from partitioner.storage import Directory
from partitioner.store.run_directory import RunDirectory
from tests import programs

RUN = "r1"


def created(home: Path, run_id: str = RUN, target: int = 0, **config: Any) -> RunDirectory:
    run = RunDirectory(str(home / "runs" / run_id), b"key")
    settings = {"dataset": "d", "output": str(home / "out"), "checkpoint": "elsewhere", "seed": 7, **config}
    run.create({"config": settings, "fingerprints": {}} | ({"target": {"number": target}} if target else {}))
    return run


def version(home: Path, number: int, run: RunDirectory, **manifest: Any) -> None:
    out = Directory(home / "out")
    claim = {"run_id": run.run_id, "run": run.url}
    out.put(f"_versions/{number:06d}/claim.json", json.dumps(claim).encode())
    facts = {"files": [], "counts": {}, "run": run.url, "run_id": run.run_id, **manifest}
    out.put(f"_versions/{number:06d}/manifest.json", json.dumps(facts).encode())


def test_of_the_settings_of_a_run_those_of_its_output_count(tmp_path: Path) -> None:
    found = config_of(created(tmp_path, format="csv", fsync="never"))
    assert (found.output, found.format, found.fsync) == (str(tmp_path / "out"), "csv", "never")
    assert found.checkpoint == str(tmp_path / "runs")  # where it lies now
    assert found.seed == 0


@pytest.mark.parametrize(("options", "fsync"), [({}, True), ({"fsync": "each"}, True), ({"fsync": "never"}, False)])
def test_what_is_repaired_is_on_the_medium_as_the_run_asked_for(
    tmp_path: Path, options: dict[str, str], fsync: bool
) -> None:
    output = output_of(created(tmp_path, **options))
    assert (output.url, output.fsync) == (str(tmp_path / "out"), fsync)
    own = created(tmp_path, "r2", output=None)
    assert output_of(own).url == f"{own.url}/output"


def retried(run: RunDirectory, by: RunDirectory, number: int, run_id: str = "") -> None:
    facts = {"run": by.url, "run_id": run_id or by.run_id, "version": number}
    run.files.put("retried.json", json.dumps(facts).encode())


def test_what_is_left_is_in_the_last_retry_that_was_merged(tmp_path: Path) -> None:
    first, second, third = (created(tmp_path, name) for name in ("r1", "r2", "r3"))
    assert rest_of(first).url == first.url
    retried(first, second, 1)
    assert rest_of(first).url == first.url  # its driver died before the version was committed
    version(tmp_path, 1, second)
    assert rest_of(first).url == second.url
    retried(second, third, 2)
    version(tmp_path, 2, third)
    assert rest_of(first).url == third.url


def test_a_version_that_another_run_committed_is_no_merge(tmp_path: Path) -> None:
    first, second, third = (created(tmp_path, name) for name in ("r1", "r2", "r3"))
    retried(first, second, 1)
    version(tmp_path, 1, third)
    assert rest_of(first).url == first.url


def test_the_version_of_a_run_is_the_one_that_it_claimed_and_committed(tmp_path: Path) -> None:
    plain = created(tmp_path)
    assert version_of(plain) is None
    mine, other = created(tmp_path, "r2", target=1), created(tmp_path, "r3", target=1)
    assert version_of(mine) is None
    version(tmp_path, 1, mine)
    assert version_of(mine)["run_id"] == "r2"  # type: ignore[index]
    assert version_of(other) is None
    assert version_of(created(tmp_path, "r4", target=2)) is None


def finished(home: Path, **config: Any) -> RunDirectory:
    run = created(home, **config)
    run.mark_finished({"rows_in": 3})
    return run


def test_rows_are_added_to_the_output_that_a_finished_run_wrote_last(tmp_path: Path) -> None:
    run = finished(tmp_path, mode="overwrite")
    version(tmp_path, 1, run)
    check_mergeable(run)
    version(tmp_path, 2, created(tmp_path, "r2"))
    with pytest.raises(ConfigError, match=rf"output {tmp_path}/out was written by run r2 since, not by run r1"):
        check_mergeable(run)


def test_an_output_that_nobody_committed_takes_no_rows(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="was written by nothing since, not by run r1"):
        check_mergeable(finished(tmp_path))


def test_an_unfinished_run_is_resumed_first(tmp_path: Path) -> None:
    run = created(tmp_path)
    version(tmp_path, 1, run)
    with pytest.raises(ConfigError, match=f"run r1 is unfinished; resume it first: partitioner resume {run.url}"):
        check_mergeable(run)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"format": "delta"}, "run r1 wrote to a table, which has transactions of its own"),
        ({"reducer": "mean"}, "run r1 made one result of all rows, to which no rows can be added"),
        ({"split": "by_weight"}, "run r1 put the rows of its sub-tasks back in order one by one"),
    ],
)
def test_what_takes_no_rows_is_told_before_anything_runs(tmp_path: Path, config: dict[str, Any], said: str) -> None:
    run = finished(tmp_path, mode="overwrite", **config)
    version(tmp_path, 1, run)
    with pytest.raises(ConfigError, match=f"{said}.*--no-merge"):
        check_mergeable(run)


@pytest.mark.parametrize(
    "config", [{"split": "by_weight", "preserve_order": False}, {"split": "<mine>"}, {"split": "ordered"}, {}]
)
def test_rows_that_stay_as_they_lie_can_be_added_to(tmp_path: Path, config: dict[str, Any]) -> None:
    run = finished(tmp_path, mode="overwrite", **config)
    version(tmp_path, 1, run)
    check_mergeable(run)


def test_an_output_within_the_run_is_claimed_for_it_by_the_first_merge(tmp_path: Path) -> None:
    run = finished(tmp_path, output=None)
    inside = Directory(f"{run.url}/output")
    inside.put("_manifest.json", b'{"files": [], "counts": {}}')
    inside.put("_SUCCESS", b"")
    check_mergeable(run)
    assert json.loads(inside.get("_run.json")) == {"run_id": "r1", "run": run.url}
    outside = finished(tmp_path, run_id="r2")
    with pytest.raises(ConfigError):
        check_mergeable(outside)
    assert not Directory(tmp_path / "out").exists("_run.json")


def test_a_reducer_that_was_an_object_is_known_by_the_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = finished(tmp_path, reducer="<Mine>", mode="overwrite")
    version(tmp_path, 1, run)
    monkeypatch.setattr(RunDirectory, "read_job", lambda self: b"job")
    jobs = {"reducer": "mean"}
    monkeypatch.setattr(repair.pickle, "loads", lambda data: type("Job", (), jobs) if data == b"job" else None)
    with pytest.raises(ConfigError, match="made one result of all rows"):
        check_mergeable(run)
    jobs["reducer"] = "concat"
    check_mergeable(run)


def test_rows_are_merged_by_one_driver_at_a_time(tmp_path: Path) -> None:
    run = finished(tmp_path, mode="overwrite")
    version(tmp_path, 1, run)
    facts = {"host": "h", "machine": "other", "pid": 7, "since": "today", "lease_seconds": 60.0}
    run.files.put("lease/000001.json", json.dumps(facts).encode())
    before = output_of(run).names()
    table = SimpleNamespace(to_table=lambda: pa.table({"y": [1]}))
    with pytest.raises(RunHeld, match="run r1 is being worked on by pid 7 on h"):
        merge(run, SimpleNamespace(result=table))  # type: ignore[arg-type]
    assert output_of(run).names() == before


# a merge, of a run that set two rows of six aside

TABLE = pa.table({"x": [1, -2, 3, -4, 5, 6]})


def both(batch: pd.DataFrame) -> pd.DataFrame:
    return programs.fails_on_negative(batch).assign(z=batch["x"])


def fails_on_four(batch: pd.DataFrame) -> pd.DataFrame:
    if (batch["x"] == -4).any():
        raise ValueError("still four")
    return programs.double(batch)


def ran(home: Path, program: Any = programs.fails_on_negative, **options: Any) -> pt.Run:
    settings: dict[str, Any] = {"cost": "rows", "max_tasks": 2, "engine": "serial", "on_error": "quarantine"}
    places = {"output": str(home / "out"), "checkpoint": str(home / "runs")}
    return pt.run(TABLE, program, progress=False, report=False, **{**settings, **places, **options})


def test_the_version_of_a_merge_says_whose_it_is_and_what_it_follows(tmp_path: Path) -> None:
    first = ran(tmp_path, mode="overwrite")
    output = Directory(tmp_path / "out")
    before = versions.at(output, 1).manifest
    assert before is not None
    again = retry(first.directory, merge=True, program=fails_on_four)
    made = versions.at(output, 2)
    assert made.manifest is not None
    assert (made.run_id, made.run) == (again.run_id, first.url)
    assert {key: made.manifest[key] for key in ("run_id", "run", "mode", "version")} == {
        "run_id": again.run_id,
        "run": first.url,
        "mode": "repair",
        "version": 2,
    }
    assert made.manifest["job"] == before["job"] != ""
    assert made.manifest["before"] == [file["stored"] for file in before["files"]]
    assert all(output.exists(name) for name in made.manifest["before"])  # somebody may still read them
    (aside,) = made.manifest["inputs"][-1]["quarantine"]
    assert aside.startswith(f"{again.url}/quarantine/")
    assert all(not part["quarantine"] for part in made.manifest["inputs"][:-1])


def test_what_a_dead_run_left_of_a_version_is_abandoned_by_a_merge(tmp_path: Path) -> None:
    first = ran(tmp_path, mode="overwrite")
    output = Directory(tmp_path / "out")
    output.put("_versions/000002/claim.json", json.dumps({"run_id": "dead", "run": f"{tmp_path}/dead"}).encode())
    again = retry(first.directory, merge=True, program=programs.double)
    assert versions.at(output, 2).abandoned == again.run_id
    assert versions.committed(output) == versions.at(output, 3)


def test_mended_rows_join_files_of_another_form(tmp_path: Path) -> None:
    first = ran(tmp_path, mode="overwrite", format="csv")
    retry(first.directory, merge=True, program=programs.double)
    shown = sorted((tmp_path / "out").glob("part-*.csv"))
    assert [line for path in shown for line in path.read_text().split()[1:]] == ["2", "6", "10", "12", "-4", "-8"]


def test_mended_rows_have_the_columns_of_the_output(tmp_path: Path) -> None:
    first = ran(tmp_path, both, mode="overwrite")
    retry(first.directory, merge=True, program=programs.double)
    stored = versions.at(Directory(tmp_path / "out"), 2).manifest["files"]  # type: ignore[index]
    assert stored[-1]["stored"] == "_versions/000002/repaired-000000.parquet"
    mended = pq.read_table(tmp_path / "out" / stored[-1]["stored"])
    assert mended.schema.names == ["y", "z"]
    assert mended.to_pylist() == [{"y": -4, "z": None}, {"y": -8, "z": None}]
