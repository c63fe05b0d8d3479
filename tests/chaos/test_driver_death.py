"""SIGKILL of the driver at every kind of moment, then a resume from the run directory alone."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.chaos.dying_driver import MOMENTS
from tests.chaos.scene import SIGKILL, TASKS, Scene, wait_until


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    scene = Scene(tmp_path_factory.mktemp("undisturbed") / "scene")
    assert scene.start_dying("never", 0).wait(timeout=120) == 0
    output = scene.output()
    assert len(output) == TASKS + 2
    return output


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_resume_completes_with_the_same_bytes_and_runs_nothing_twice(
    tmp_path: Path, undisturbed: dict[str, bytes], moment: str
) -> None:
    scene = Scene(tmp_path / "scene")
    assert scene.start_dying(moment, 4).wait(timeout=120) == -SIGKILL
    before, ran = scene.committed(), scene.executions()
    assert len(before) == {"before_commit": 3, "after_commit": 4, "after_record": 4}.get(moment, TASKS)
    assert not (scene.home / "out" / "_SUCCESS").exists()
    done = scene.resume()
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["attempted"] == TASKS - len(before)
    assert scene.output() == undisturbed
    assert {key: scene.executions()[key] - ran[key] for key in before} == dict.fromkeys(before, 0)


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
ROOT = Path(__file__).parents[2]


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
