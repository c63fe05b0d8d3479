"""SIGKILL of the driver at every kind of moment, then a resume from the run directory alone."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.dying_driver import MOMENTS
from tests.chaos.scene import SIGKILL, TASKS, Scene, wait_until

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def stories(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What ``every_moment`` tells, by moment."""
    command = [sys.executable, "-m", "tests.chaos.every_moment", str(tmp_path_factory.mktemp("moments"))]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False)
    assert told.returncode == 0, told.stderr
    found: dict[str, Any] = json.loads(told.stdout)
    assert (found["never"]["died"], found["never"]["success"]) == (0, True)
    assert len(found["never"]["output"]) == TASKS + 2
    return found


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_resume_completes_with_the_same_bytes_and_runs_nothing_twice(stories: dict[str, Any], moment: str) -> None:
    told = stories[moment]
    assert told["died"] == -SIGKILL
    before = told["before"]
    assert len(before) == {"before_commit": 3, "after_commit": 4, "after_record": 4}.get(moment, TASKS)
    assert not told["success"]
    assert (told["resume"], told["code"]) == (0, 0), told["stderr"]
    assert json.loads(told["stdout"])["attempted"] == TASKS - len(before)
    assert told["output"] == stories["never"]["output"]
    assert {key: told["ran in all"][key] - told["ran"][key] for key in before} == dict.fromkeys(before, 0)


def test_a_driver_with_dask_workers_dies_and_another_engine_goes_on(
    tmp_path: Path, undisturbed: dict[str, bytes]
) -> None:
    scene = Scene(tmp_path / "scene", gated=True)
    driver = scene.start_dying("never", 0, {"engine": "dask", "workers": 2})
    wait_until(lambda: len(scene.committed()) >= 2)
    driver.kill()
    assert driver.wait(timeout=60) == -SIGKILL
    scene.open()
    before, ran = scene.committed(), scene.executions()
    done = scene.resume()
    assert done.returncode == 0, done.stderr
    assert scene.output() == undisturbed
    assert {key: scene.executions()[key] - ran[key] for key in before} == dict.fromkeys(before, 0)


WRITES = ("run.json", "quarantine", "part-t000001", "commits/t000001", "_manifest.json", "_SUCCESS", "finished.json")


def test_a_driver_that_dies_right_after_a_write_is_followed_by_one_that_delivers_the_same(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.chaos.every_write", str(tmp_path / "home"), *WRITES]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False)
    lines = told.stdout.splitlines()
    assert (told.returncode, len(lines)) == (0, len(WRITES)), told.stdout + told.stderr
    assert {line[:8] for line in lines} == {"the same"}


def test_a_small_disk_that_is_full_stops_the_run_which_goes_on_once_there_is_room(tmp_path: Path) -> None:
    command, own = [sys.executable, "-m", "tests.chaos.small_disk", str(tmp_path)], ["--map-root-user", "--mount"]
    unshare = shutil.which("unshare")
    if unshare and subprocess.run([unshare, *own, "true"], capture_output=True, check=False).returncode == 0:
        command = [unshare, *own, *command, "mount"]  # where the kernel lets us, a real file system
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False)
    assert told.returncode == 0, told.stderr
    facts = json.loads(told.stdout)
    assert "No space left on device" in facts["said"] or "File too large" in facts["said"]
    assert "Free space or restore access there, then resume the run" in facts["said"]
    assert (facts["x"], facts["attempted"]) == (list(range(8)), 8 - facts["before"])
