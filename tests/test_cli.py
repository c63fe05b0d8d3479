"""The command line: what it prints, and its exit codes."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from partitioner import cli


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    pq.write_table(pa.table({"x": range(40)}), tmp_path / "in.parquet", row_group_size=10)
    return write(tmp_path / "conf.yaml")


def write(path: Path, **changes: Any) -> Path:
    home = path.parent
    values = {
        "dataset": str(home / "in.parquet"),
        "program": "tests.programs:double",
        "cost": "rows",
        "max_tasks": 4,
        "engine": "serial",
        "checkpoint": str(home / "runs"),
        "output": str(home / "out"),
        "progress": False,
        "report": False,
        **changes,
    }
    path.write_text(yaml.safe_dump(values))
    return path


def call(*arguments: object) -> int:
    """The exit code."""
    try:
        cli.main([str(a) for a in arguments])
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def test_run_prints_json_and_nothing_else(conf: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert call("run", conf, "--json") == 0
    facts = json.loads(capfd.readouterr().out)
    assert facts["counts"] == {"rows_in": 40, "rows_out": 40, "rows_written": 40, "quarantined": 0}
    assert (facts["attempted"], facts["exit_code"]) == (4, 0)
    assert Path(facts["run_directory"]).is_dir()


def test_run_shows_plan_and_result(conf: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert call("run", conf) == 0
    out = capfd.readouterr().out
    assert "makespan" in out
    assert "Output(40 rows in 4 files" in out


def test_plan_runs_nothing(conf: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert call("plan", conf, "--json") == 0
    plan = json.loads(capfd.readouterr().out)
    assert len(plan["assignments"]) == 4
    assert plan["gap"] == 0
    assert not (conf.parent / "runs").exists()


def test_a_misspelt_key_is_exit_2_with_the_nearest(conf: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write(conf, placment="lpt")
    assert call("run", conf) == 2
    assert capfd.readouterr().err == "ConfigError: unknown setting 'placment'. Did you mean 'placement'?\n"


def test_a_name_may_be_a_date(conf: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert call("run", conf, "--name", "2026-11-21", "--json") == 0
    assert json.loads(capfd.readouterr().out)["run_id"].endswith("-2026-11-21")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["simulate", "CONF", "--faults", "none.yaml"], "no configuration at"),
        (["simulate", "CONF", "--faults", "FAULTS"], "faults: noise is 'x'; write a number of at least 0"),
        (["sign", "none.pkl"], "there is no none.pkl"),
        (["init", "CONF"], "cannot make"),
        (["report", "RUN", "--html", "."], "cannot write the page ."),
    ],
)
def test_files_that_are_not_there_are_exit_2(
    conf: Path, capfd: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    faults = conf.with_name("faults.yaml")
    faults.write_text("noise: x")
    if "RUN" in arguments:
        call("run", conf)
    run = next(iter((conf.parent / "runs").glob("*")), conf)
    named = {"CONF": conf, "FAULTS": faults, "RUN": run}
    assert call(*(named.get(argument, argument) for argument in arguments)) == 2
    assert message in capfd.readouterr().err


def test_an_infeasible_plan_is_exit_3(conf: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert call("run", conf, "--set", "task_cpus=64") == 3
    assert "InfeasiblePlan: No worker can hold task 't000000': it needs cpus = 64" in capfd.readouterr().err


def test_a_failed_run_is_exit_4(conf: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert call("run", conf, "--set", "program=tests.programs:fails_on_short_names") == 4
    assert "RunFailed: sub-task t000000 failed" in capfd.readouterr().err


def poison(conf: Path) -> Path:
    pq.write_table(pa.table({"x": [1, -2, 3, -4]}), conf.parent / "in.parquet")
    return write(conf, program="tests.programs:fails_on_negative", on_error="quarantine")


def test_quarantined_rows_are_exit_5_and_can_be_listed_and_retried(
    conf: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert call("run", poison(conf), "--json") == 5
    directory = json.loads(capfd.readouterr().out)["run_directory"]
    assert call("quarantine", "list", directory, "--json") == 0
    rows = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert rows == [{"x": -2, "_error": "ValueError: negative x"}, {"x": -4, "_error": "ValueError: negative x"}]
    assert call("quarantine", "list", directory) == 0
    assert capfd.readouterr().out.endswith("2 quarantined rows\n")
    assert call("quarantine", "retry", directory) == 5


def test_a_resume_of_a_finished_run_runs_nothing(conf: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert call("run", conf, "--json") == 0
    directory = json.loads(capfd.readouterr().out)["run_directory"]
    assert call("resume", directory, "--json") == 0
    assert json.loads(capfd.readouterr().out)["attempted"] == 0
    assert call("run", conf, "--resume", Path(directory).name, "--json") == 0
    assert json.loads(capfd.readouterr().out)["attempted"] == 0


def test_a_resume_of_nothing_is_exit_2(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert call("resume", tmp_path / "none") == 2
    assert "holds no run (there is no run.json)" in capfd.readouterr().err
    assert not (tmp_path / "none").exists()


def test_missing_arguments_are_exit_2(capfd: pytest.CaptureFixture[str]) -> None:
    assert call("run") == 2
    assert "CONF" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("kind", "name"),
    [("placements", "lpt"), ("costs", "bytes"), ("splits", "packed"), ("engines", "dask"), ("reducers", "concat")],
)
def test_list_names_what_is_registered(kind: str, name: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert call("list", kind) == 0
    assert name in [line.split()[0] for line in capfd.readouterr().out.splitlines()]


def test_an_unknown_kind_is_exit_2_with_the_nearest(capfd: pytest.CaptureFixture[str]) -> None:
    assert call("list", "placement") == 2
    assert "Did you mean 'placements'?" in capfd.readouterr().err


def test_simulate_is_reproducible(conf: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    faults = tmp_path / "faults.yaml"
    faults.write_text("noise: 0.5\nfailure_rate: 0.1\n")
    outcomes = []
    for _ in range(2):
        assert call("simulate", conf, "--seed", 7, "--faults", faults, "--json") == 0
        outcomes.append(json.loads(capfd.readouterr().out))
    assert outcomes[0] == outcomes[1]
    assert len(outcomes[0]["timeline"]) == 4


def test_schema_is_json(capfd: pytest.CaptureFixture[str]) -> None:
    assert call("schema") == 0
    assert "target_task_seconds" in json.loads(capfd.readouterr().out)["properties"]
