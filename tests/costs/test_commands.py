import json

import numpy as np
import pytest
from typer.testing import CliRunner

from partitioner.commands.calibrate import profile_app
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
