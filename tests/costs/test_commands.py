import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from partitioner.commands.calibrate import calibrate, profile_app
from partitioner.costs.fitting.terms import Term
from partitioner.costs.measuring.drift import detect
from partitioner.costs.measuring.measurements import Measurements, Timing
from partitioner.costs.measuring.profile import ProfileKey, ProfileStore
from partitioner.errors import ConfigError


@pytest.fixture
def store(tmp_path):
    held = ProfileStore(tmp_path / "p.sqlite")
    m = Measurements.of({"bytes": np.arange(1.0, 9.0)}, [Timing(1.0)] * 8)
    held.add(ProfileKey("jobs:embed", "abc", "gpu"), m, [Term("bytes")], "run-1", detect(np.ones(8), np.full(8, 2.0)))
    return held.location


def call(*arguments):
    return CliRunner().invoke(profile_app, list(arguments))


def test_list(store):
    (row,) = json.loads(call("list", "--store", store, "--json").stdout)
    assert (row["program"], row["worker_class"], row["runs"], row["measurements"]) == ("jobs:embed", "gpu", 1, 8)


def test_calibrate_measures_in_processes_as_a_plan_does_and_says_what_no_rows_cost(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(Path(__file__).parents[2])
    for rows, name in ((0, "none"), (400, "some")):
        pq.write_table(pa.table({"x": range(rows)}), tmp_path / f"{name}.parquet")
    given = "program: tests.programs:double\nengine: {engine: dask, workers: 2}\n"
    (tmp_path / "conf.yaml").write_text(f"{given}checkpoint: {tmp_path}/runs\ndataset: {tmp_path}/none.parquet\n")
    calibrate(tmp_path / "conf.yaml")
    assert capsys.readouterr().out == "nothing is measured: no fragments\n"
    calibrate(tmp_path / "conf.yaml", [f"dataset={tmp_path}/some.parquet"], as_json=True)
    assert json.loads(capsys.readouterr().out)["pilot"]["slots"] == 2


def test_a_name_means_all_its_profiles_whatever_they_were_given(store):
    held = ProfileStore(store)
    m = Measurements.of({"bytes": np.arange(1.0, 9.0)}, [Timing(1.0)] * 8)
    held.add(ProfileKey("jobs:embed [0123abcd]", "abc"), m, [Term("bytes")], "run-2")
    (row,) = json.loads(call("show", "jobs:embed [0123abcd]", "--store", store, "--json").stdout)
    assert row["program"] == "jobs:embed [0123abcd]"
    assert "forgot 2" in call("forget", "jobs:embed", "--store", store).stdout


def test_show_tells_drift(store):
    (row,) = json.loads(call("show", "jobs:embed", "--store", store, "--json").stdout)
    assert row["runs"][0]["drift"]["drifted"]
    assert "2.00x DRIFT" in call("show", "jobs:embed", "--store", store).stdout


def test_forget(store):
    assert "forgot 1" in call("forget", "jobs:embed", "--store", store).stdout
    assert json.loads(call("list", "--store", store, "--json").stdout) == []


def test_an_unknown_program_gets_the_nearest(store):
    result = call("show", "jobs:embd", "--store", store)
    assert isinstance(result.exception, ConfigError)
    assert "Did you mean 'jobs:embed'" in str(result.exception)
