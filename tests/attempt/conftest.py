from collections import OrderedDict

import pytest

from partitioner.attempt import job as jobs
from partitioner.attempt import probe
from partitioner.attempt import trial as trials
from tests.attempt.held import SEEN


@pytest.fixture
def no_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process holds no job."""
    monkeypatch.setattr(jobs, "_jobs", OrderedDict())


@pytest.fixture
def nothing_held(monkeypatch: pytest.MonkeyPatch, no_jobs: None) -> None:
    """This process holds no job, program, trial, runner or sample, and no program has noted anything."""
    monkeypatch.setattr(jobs, "_programs", OrderedDict())
    monkeypatch.setattr(trials, "_running", [])
    monkeypatch.setattr(probe, "_samples", {})
    SEEN.clear()
