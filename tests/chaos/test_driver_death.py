"""SIGKILL of the driver at every kind of moment, then a resume from the run directory alone."""

import json
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
