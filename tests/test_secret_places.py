"""Secrets in every place that has one, on each engine: not a byte that the run writes holds one of them."""

from __future__ import annotations

import base64
import json
import logging
import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from partitioner import cli, config, known_secrets
from partitioner import program as programs
from partitioner.errors import RunFailed
from partitioner.running import run_config
from partitioner.runs.resume import from_directory
from partitioner.security.sealing import is_sealed
from partitioner.store.run_directory import RunDirectory

MARK = b"Planted"
"""Is part of every secret, also of those that others hold."""

BASIC = base64.b64encode(b"me:PlantedBasicPw").decode()

VARIABLES = {
    "MY_TOKEN": 'Planted"token&<x>é',
    "MY_HEADER": "Bearer Planted-bearer",
    "MY_KEY": "-----BEGIN KEY-----\nPlantedLineOfTheKeyNumber1\n-----END KEY-----",
    "MY_FOLDER": "Planted-tenant-7",
    "OTHER_PASSWORD": "PlantedInEnvironment1",  # which the configuration does not name
}

ARGUMENTS = {
    "token": "${MY_TOKEN}",
    "headers": {"Authorization": "${MY_HEADER}", "X-Api-Key": "PlantedLiteral", "authorization": f"Basic {BASIC}"},
    "key": "${MY_KEY}",
    "flag": "--token=${MY_TOKEN}",
    "url": "postgresql://me:p%40Planted%2Burl@host/db?sslpassword=PlantedQuery",
    "dsn": "host=db password=PlantedDsn",
    "command": "curl -H 'X-Api-Key: PlantedInCommand' https://host",
    "signed": "https://b.s3.amazonaws.com/k?X-Amz-Signature=PlantedSignature&z=1",
}


class Talkative:
    """Prints and logs all that it was given, when it is made and when it is called; fails with it at a row."""

    def __init__(self, **given: Any) -> None:
        self.given = given
        self._tell("made")

    def __call__(self, batch: Any) -> Any:
        self._tell("called")
        if (batch["x"] == 3).any():
            try:
                raise KeyError(json.dumps(self.given))
            except KeyError as error:
                raise ValueError(f"denied: {self._parts()}") from error
        return batch

    def _tell(self, what: str) -> None:
        print(what, self._parts())
        logging.getLogger("talkative").warning("%s %s", what, self._parts())

    def _parts(self) -> str:
        bearer = self.given["headers"]["Authorization"].split()[1]
        lines = self.given["key"].splitlines()
        return f"{self.given} {bearer} p@Planted+url PlantedBasicPw {lines} {os.environ.get('OTHER_PASSWORD', '')}"


@pytest.fixture
def conf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration that holds all of them, with a profile store beside it."""
    monkeypatch.setattr(known_secrets, "_known", {})
    monkeypatch.setenv("PARTITIONER_PROFILES", str(tmp_path / "written" / "profiles.sqlite"))
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    folder = tmp_path / VARIABLES["MY_FOLDER"]
    folder.mkdir()
    pq.write_table(pa.table({"x": range(8)}), folder / "in.parquet", row_group_size=4)
    settings = {
        "dataset": "${MY_FOLDER}/*.parquet",
        "program": "tests.test_secret_places:Talkative",
        "arguments": ARGUMENTS,
        "max_tasks": 2,
        "max_retries": 0,
        "on_error": "quarantine",
        "checkpoint": str(tmp_path / "written" / "runs"),
        "output": str(tmp_path / "written" / "out"),
        "progress": False,
    }
    path = tmp_path / "conf.yaml"
    path.write_text(yaml.safe_dump(settings))
    monkeypatch.chdir(tmp_path)
    return path


def holding(folder: Path) -> list[str]:
    """Files below that hold a part of a secret, as bytes or as values of a table; names of files count too."""
    found = []
    for path in folder.rglob("*"):
        data = path.relative_to(folder).as_posix().encode()
        if path.is_file():
            data += path.read_bytes()
            if path.suffix == ".parquet" and not is_sealed(path.read_bytes()):
                data += str(pq.read_table(path).to_pydict()).encode()
        if MARK in data or BASIC.encode() in data:
            at = data.find(MARK)
            found.append(f"{path}: {data[max(0, at - 60) : at + 40]!r}")
    return found


@pytest.mark.parametrize("engine", ["serial", "dask_engine", "spark"])
def test_no_byte_that_a_run_writes_holds_a_secret(
    engine: str, conf: Path, request: pytest.FixtureRequest, capfd: pytest.CaptureFixture[str]
) -> None:
    live = engine if engine == "serial" else request.getfixturevalue(engine)
    made = config.load_config(conf, allow_modules=("tests",)).model_copy(update={"engine": live})
    finished = run_config(made)
    assert finished.exit_code == 5
    assert finished.counts["quarantined"] == 1
    finished.report.save(conf.parent / "written" / "page.html")
    said = capfd.readouterr()
    assert holding(conf.parent / "written") == []
    assert "Planted" not in str(finished.report) + said.out + said.err


def test_prints_of_a_program_that_is_made_go_where_they_went_without_secrets(
    conf: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    made = config.load_config(conf, allow_modules=("tests",)).model_copy(update={"engine": "serial", "cost": "rows"})
    run_config(made)
    said = capfd.readouterr().out
    assert "made {" in said
    assert "'token': '${MY_TOKEN}'" in said
    assert "Planted" not in said


def test_a_run_with_secrets_over_data_whose_name_holds_one_resumes(conf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = config.load_config(conf, ["on_error=raise"], allow_modules=("tests",)).model_copy(
        update={"engine": "serial", "cost": "rows"}
    )
    with pytest.raises(RunFailed):
        run_config(made)
    (run,) = (conf.parent / "written" / "runs").iterdir()
    assert is_sealed((run / "fragments.parquet").read_bytes())
    monkeypatch.setattr(known_secrets, "_known", {})  # a process of its own, which imports the program anew
    asked = from_directory(RunDirectory(str(run)), {"on_error": "quarantine"})
    monkeypatch.setattr(programs, "_held", [])
    finished = run_config(asked, str(run))
    assert finished.result.to_pandas()["x"].tolist() == [0, 1, 2, 4, 5, 6, 7]
    assert holding(conf.parent / "written") == []


@pytest.mark.parametrize("command", ["plan", "run"])
def test_what_is_wrong_with_a_configuration_is_told_without_its_secrets(
    command: str, conf: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    wrong = ["--set", "max_tasks=PlantedA1", "--set", "arguments.password=PlantedA1", "--set", "extra.token=PlantedB2"]
    with pytest.raises(SystemExit) as ended:
        cli.main([command, str(conf), *wrong, "--allow-module", "tests", "--json"])
    said = capfd.readouterr()
    assert ended.value.code == 2
    assert "max_tasks" in said.err
    assert "Planted" not in said.out + said.err


def test_an_incremental_output_knows_the_files_whose_names_hold_a_secret(conf: Path) -> None:
    told = []
    for _ in range(2):
        made = config.load_config(conf, ["mode=incremental", "name=nightly"], allow_modules=("tests",))
        finished = run_config(made.model_copy(update={"engine": "serial", "cost": "rows"}))
        told.append((finished.counts["rows_in"], finished.attempted))
        pq.write_table(pa.table({"x": [100]}), conf.parent / VARIABLES["MY_FOLDER"] / "second.parquet")
    assert told[0][0] == 8
    assert told[1] == (9, 1)  # the second night runs the new file alone
    assert holding(conf.parent / "written") == []
