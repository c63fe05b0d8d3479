"""Whose an output is, what is written down before it is taken, and what is said of one that is not free: by hand."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from partitioner import config as configuration
from partitioner.config import RunConfig
from partitioner.errors import OutputExists
from partitioner.model import Fragment, Fragments, SubTasks
from partitioner.output.modes import Target
from partitioner.stages import steps
from partitioner.storage import Directory
from partitioner.store.run_directory import RunDirectory


def config(**options: Any) -> RunConfig:
    return configuration.make({"dataset": "d", "checkpoint": "/runs", **options})


class Claimed:
    """A run and a plan of one sub-task, and an output folder."""

    def __init__(self, home: Path) -> None:
        self.home, self.output = home, Directory(home / "out")
        self.run = RunDirectory(str(home / "runs" / "r1"))
        fragments = Fragments.of([Fragment(0, "f", 0, 0, 1, 1, 1)])
        tasks = SubTasks.build([1.0], fragments=fragments, offsets=np.array([0, 1]), fragment_index=np.array([0]))
        self.planned: Any = SimpleNamespace(tasks=tasks)

    def claim(self, job: Any = None, target: Target | None = None, **options: Any) -> None:
        asked = config(**{"output": self.output.url, **options})
        steps.claim(asked, self.run, job, self.planned, target or Target(), {"code": "c"})


@pytest.fixture
def claimed(tmp_path: Path) -> Claimed:
    return Claimed(tmp_path)


def test_a_run_is_written_down_before_it_takes_its_output(claimed: Claimed, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bool] = []
    take = steps.claim_output
    monkeypatch.setattr(
        steps, "claim_output", lambda output, run: seen.append(run.files.exists("run.json")) or take(output, run)
    )
    claimed.claim()
    assert seen == [True]
    assert json.loads(claimed.output.get("_run.json")) == {"run_id": "r1", "run": claimed.run.url}
    told = claimed.run.description()
    assert (told["run_id"], told["fingerprints"], "batching" in told) == ("r1", {"code": "c"}, False)
    assert told["target"]["number"] == 0
    assert claimed.run.files.exists("tasks.parquet")


def test_a_bound_that_a_pilot_found_is_written_down(claimed: Claimed) -> None:
    job = SimpleNamespace(batching={"max_batch_weight": 7})
    claimed.claim(job, weight="x", max_batch_weight="auto")
    assert claimed.run.description()["batching"] == {"max_batch_weight": 7.0}


def test_a_version_of_an_output_is_not_claimed_again(claimed: Claimed) -> None:
    claimed.claim(target=Target(2, 1))
    assert claimed.output.names() == []
    assert claimed.run.description()["target"]["number"] == 2


def test_an_output_of_another_is_left_and_the_run_removed(claimed: Claimed) -> None:
    claimed.output.put("_run.json", json.dumps({"run_id": "r0", "run": str(claimed.home / "gone")}).encode())
    with pytest.raises(OutputExists, match=r"it belongs to run .*gone, which is gone; mode='overwrite' replaces it"):
        claimed.claim()
    assert not Path(claimed.run.url).exists()


def test_an_own_claim_is_found_again(claimed: Claimed) -> None:
    steps.claim_output(claimed.output, claimed.run)
    steps.claim_output(claimed.output, claimed.run)
    steps.check_free(claimed.output, claimed.run)
    assert steps.holder_of(claimed.output) == claimed.run.url
    with pytest.raises(OutputExists):
        steps.check_free(claimed.output, RunDirectory(str(claimed.home / "runs" / "r2")))


@pytest.mark.parametrize(("finished", "state"), [(True, "finished"), (False, "unfinished")])
def test_whose_an_output_is_and_what_to_do_is_said(claimed: Claimed, finished: bool, state: str) -> None:
    claimed.claim()
    if finished:
        claimed.output.put("_manifest.json", json.dumps({"files": [], "counts": {}}).encode())
        claimed.output.put("_SUCCESS", b"")
    said = steps.occupied(claimed.output, ["_run.json"])
    assert f"it belongs to the {state} run r1. Go on with it: mode='resume'" in said


@pytest.mark.parametrize("content", [b"{", b"[]", b"{}"])
def test_a_torn_claim_names_nobody(claimed: Claimed, content: bytes) -> None:
    claimed.output.put("_run.json", content)
    assert steps.holder_of(claimed.output) == ""


def test_an_empty_output_is_free(claimed: Claimed) -> None:
    steps.check_free(claimed.output, claimed.run)
    assert steps.holder_of(claimed.output) == ""
    claimed.output.put("x", b"")
    with pytest.raises(OutputExists, match=r"it holds x"):
        steps.check_free(claimed.output, claimed.run)
