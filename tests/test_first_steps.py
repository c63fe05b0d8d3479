"""The first commands of a newcomer: version, doctor, init and a run of what it wrote; errors as JSON."""

from __future__ import annotations

import importlib.metadata
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from partitioner import registry
from partitioner.cli import main
from partitioner.commands import doctor
from partitioner.commands.init import reviews


def said(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    with pytest.raises(SystemExit) as done:
        main(list(arguments))
    assert (done.value.code or 0) == code
    return capsys.readouterr().out


def test_the_version_is_that_of_the_distribution(capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, "--version") == f"batch-partitioner {importlib.metadata.version('batch-partitioner')}\n"


def test_what_init_writes_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "partitioner run conf.yaml" in said(capsys, "init", str(tmp_path / "mine"))
    monkeypatch.chdir(tmp_path / "mine")
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setenv("PARTITIONER_PROFILES", str(tmp_path / "profiles.sqlite"))
    try:
        facts = json.loads(said(capsys, "run", "conf.yaml", "--engine", "serial", "--json"))
        again = json.loads(said(capsys, "run", "conf.yaml", "--engine", "serial", "--json", "--set", "report=false"))
    finally:
        sys.modules.pop("my_program", None)
    assert (facts["counts"]["rows_in"], facts["exit_code"], again["exit_code"]) == (2000, 0, 0)
    run = next(Path("runs").glob("*/report.json"))
    assert json.loads(run.read_text())["predicted_call_seconds"] > 0
    assert Path("out", "_SUCCESS").exists()


def test_init_in_the_working_directory_asks_for_no_change_of_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert said(capsys, "init").endswith("now:\n  partitioner run conf.yaml\n")


def test_a_plan_may_be_for_another_engine_than_the_file_names(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    said(capsys, "init", str(tmp_path / "mine"))
    monkeypatch.chdir(tmp_path / "mine")
    monkeypatch.setattr(sys, "path", [*sys.path])
    try:
        assert "on 1 worker by" in said(capsys, "plan", "conf.yaml", "--engine", "serial")
    finally:
        sys.modules.pop("my_program", None)


def test_what_is_no_configuration_is_told_by_what_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty.yaml").write_text("")
    (tmp_path / "text.yaml").write_text("id,text")
    for name, message in (
        ("", "is a directory; give the path of a YAML file"),
        ("empty.yaml", "is empty; a configuration is a mapping"),
        ("text.yaml", "holds 'id,text'; a configuration is a mapping"),
    ):
        told = json.loads(said(capsys, "plan", str(tmp_path / name), "--json", code=2))
        assert message in told["error"]["message"]


def test_a_checkpoint_that_cannot_be_made_is_told_with_its_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    said(capsys, "init", str(tmp_path / "mine"))
    monkeypatch.chdir(tmp_path / "mine")
    (tmp_path / "file").write_text("")
    place = str(tmp_path / "file" / "runs")
    told = json.loads(
        said(capsys, "run", "conf.yaml", "--engine", "serial", "--json", "--set", f"checkpoint={place}", code=2)
    )
    assert f"checkpoint {place} cannot be written: Not a directory" in told["error"]["message"]


def test_run_ids_are_listed_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "runs" / "20261120-101500-3f2a-a-schedule-with-a-long-name"
    run.mkdir(parents=True)
    (run / "run.json").write_text(json.dumps({"config": {"output": "o" * 200}}))
    out = said(capsys, "runs", str(tmp_path / "runs"))
    assert run.name in out
    assert "o" * 200 in out


def test_init_overwrites_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "my_program.py").write_text("mine")
    said(capsys, "init", str(tmp_path), code=2)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["my_program.py"]


@pytest.mark.parametrize(
    ("arguments", "kind", "code"),
    [
        (["plan", "none.yaml", "--json"], "ConfigError", 2),
        (["list", "reducer", "--json"], "UnknownName", 2),
        (["report", "no/such/run", "--json"], "ConfigError", 2),
    ],
)
def test_errors_are_json_where_json_was_asked_for(
    capsys: pytest.CaptureFixture[str], arguments: list[str], kind: str, code: int
) -> None:
    told = json.loads(said(capsys, *arguments, code=code))
    assert (told["error"]["type"], told["exit_code"]) == (kind, code)
    assert told["error"]["message"]


def test_names_are_listed_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    told: dict[str, Any] = json.loads(said(capsys, "list", "reducers", "--json"))
    assert told["concat"] == {"target": "partitioner.reducers.concat:Concat", "extra": "", "built_in": True}
    assert list(told) == registry.names("reducers")


def test_doctor_finds_the_core_whole(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    found = {f["what"]: f for f in json.loads(said(capsys, "doctor", "--json", "--checkpoint", str(tmp_path / "runs")))}
    assert found["core packages"]["state"] == "ok"
    assert re.search(r"pyarrow \d+", found["core packages"]["detail"])
    assert found["run directories"]["state"] == "ok"
    assert list((tmp_path / "runs").glob("*")) == []


def test_doctor_names_the_command_for_a_missing_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = ["numpy>=2.0", 'no-such-package>=1; extra == "solver"']
    monkeypatch.setattr(doctor.importlib.metadata, "requires", lambda name: lines)
    found = {f.what: f for f in doctor.look()}
    assert (found["extra solver"].state, found["extra solver"].remedy) == (
        "missing",
        'pip install "batch-partitioner[solver]"',
    )


def test_doctor_fails_where_run_directories_cannot_be_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert "broken" in said(capsys, "doctor", "--checkpoint", str(tmp_path / "file" / "runs"), code=2)


def test_the_code_of_the_readme_runs_as_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = re.findall(r"```python\n(.*?)```", Path(__file__).parents[1].joinpath("README.md").read_text(), re.S)
    assert len(blocks) == 2
    monkeypatch.chdir(tmp_path)
    (tmp_path / "reviews.csv").write_text(reviews(40))
    told: dict[str, Any] = {"__name__": "__main__"}
    for block in blocks:
        exec(block.replace('engine="dask"', 'engine="serial"'), told)
    assert told["run"].counts["rows_in"] == 40
    assert told["plan"].workers.worker_id
    assert Path("report.html").exists()
