"""Spark contexts of their own: devices, a context that is stopped, a driver that is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import partitioner as pt
from partitioner.store.run_directory import RunDirectory
from tests.engines import spark_programs as programs
from tests.engines.spark_driver import settings

pytestmark = pytest.mark.spark
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def alone(tmp_path_factory) -> dict[str, Any]:
    """What ``spark_alone`` found."""
    command = [sys.executable, "-m", "tests.engines.spark_alone", str(tmp_path_factory.mktemp("alone"))]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_the_executors_planned_with_are_those_that_start(alone) -> None:
    expected, started = alone["expected"]
    assert expected == started


def test_gpus_of_executors_are_counted(alone) -> None:
    assert alone["gpus"] == [1.0]


def test_subtasks_with_and_without_a_gpu_each_see_their_own_devices(alone) -> None:
    told = alone["told"]
    assert [told["t000000"], told["t000001"]] == [["5", "5"], ["5", "5"]]
    assert [told["t000002"], told["t000003"]] == [["none", "unset"], ["none", "unset"]]


def test_two_halves_of_a_gpu_are_used_at_once(alone) -> None:
    assert alone["halves_overlap"]


def test_a_run_with_a_fraction_of_a_gpu_per_subtask(alone) -> None:
    assert alone["whole_run"] == ["5"]


def test_an_executor_that_comes_has_its_python_before_it_gets_work(alone) -> None:
    assert alone["came"]


def test_a_stopped_context_is_an_engine_lost(alone) -> None:
    assert alone["stopped"].startswith("EngineLost: the engine went away")


def test_a_session_that_was_stopped_is_refused_in_one_line(alone) -> None:
    assert alone["given stopped"].startswith("EngineLost: the Spark session was stopped. Start another")


def test_a_killed_jvm_is_an_engine_lost_and_the_session_refused_then(alone) -> None:
    lost, refused = alone["killed"]
    assert lost.startswith("EngineLost: the engine went away")
    assert refused.startswith("EngineLost: the Spark session of this process no longer answers, its JVM is gone")


def test_a_session_that_is_started_after_a_killed_one_works(alone) -> None:
    assert alone["interrupted"]["rows"] == 60


def test_closing_after_a_call_that_was_broken_off_hides_no_error_and_sets_the_wait_back(alone) -> None:
    assert alone["interrupted"]["said"] == "SystemExit: 3"
    assert alone["interrupted"]["wait"] == "500ms"


def test_a_killed_driver_is_resumed_on_dask(checkpoint, tmp_path, dask_engine) -> None:
    folder = tmp_path / "marks"
    folder.mkdir()
    command = [sys.executable, "-m", "tests.engines.spark_driver", checkpoint, str(folder)]
    driver = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        directory = wait_for_commits(Path(checkpoint), 5, driver)
    finally:
        os.kill(driver.pid, signal.SIGKILL)
        driver.wait()
    committed = set(directory.commits())
    assert 5 <= len(committed) < 60
    options = settings(checkpoint, str(folder))
    run = pt.run(programs.ROWS, resume=directory.run_id, engine=dask_engine, **options)
    assert run.result.to_pandas()["y"].tolist() == [2 * x for x in range(60)]
    marks = [path.name[:7] for path in folder.iterdir()]
    assert {key: marks.count(key) for key in committed} == dict.fromkeys(committed, 1)
    assert run.attempted <= 60 - len(committed)


def wait_for_commits(checkpoint: Path, count: int, driver: subprocess.Popen[bytes]) -> RunDirectory:
    """The run directory, once so many sub-tasks are committed."""
    end = time.monotonic() + 240
    while time.monotonic() < end:
        assert driver.poll() is None, "the driver ended by itself"
        runs = list(checkpoint.glob("*/commits"))
        if runs and len(list(runs[0].glob("*.json"))) >= count:
            return RunDirectory(str(runs[0].parent))
        time.sleep(0.05)
    raise AssertionError(f"no {count} commits in 240 s")
