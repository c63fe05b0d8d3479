"""Ctrl-C, the death of a worker in mid-task, and an engine that tells its story badly."""

import json
import os
import re
import signal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import partitioner as pt
from partitioner.engines.dask import DaskEngine
from partitioner.engines.serial import SerialEngine
from partitioner.errors import PreflightFailed
from partitioner.model import Worker, Workers
from partitioner.testing.flaky import FlakyEngine, Hostility
from tests import programs
from tests.chaos.scene import SIGINT, TASKS, Scene, kill_group, wait_until


@pytest.mark.parametrize("engine", ["serial", {"engine": "dask", "workers": 2}])
def test_ctrl_c_says_how_to_resume_and_the_resume_completes(
    tmp_path: Path, undisturbed: dict[str, bytes], engine: Any
) -> None:
    scene = Scene(tmp_path / "scene", gated=True)
    process = scene.start_cli(engine)
    wait_until(lambda: len(scene.committed()) >= 2)
    kill_group(process, SIGINT)  # as a terminal does: the workers get it too
    if engine == "serial":
        scene.open()  # the attempt that runs in the driver ends first, then the driver stops
    _, stderr = process.communicate(timeout=120)
    scene.open()
    assert process.returncode == 130, stderr
    command = re.search(r"resume with: partitioner resume (\S+)", stderr)
    assert command is not None, stderr
    assert command[1] == str(scene.run)
    assert "Traceback" not in stderr
    before, ran = scene.committed(), scene.executions()
    assert 2 <= len(before) < TASKS
    done = scene.resume()
    assert done.returncode == 0, done.stderr
    assert scene.output() == undisturbed
    assert {key: scene.executions()[key] - ran[key] for key in before} == dict.fromkeys(before, 0)


def test_sigterm_before_the_run_began_leaves_neither_a_run_nor_a_worker(tmp_path: Path) -> None:
    scene = Scene(tmp_path / "scene", gated=True)
    marks = scene.home / "marks"
    for number in range(4):
        (marks / f"mark-{number}").touch()  # so that the trial on the first rows waits for the gate
    process = scene.start_cli({"engine": "dask", "workers": 1})
    wait_until(lambda: any(marks.glob("trial-*")))
    (worker,) = (int(mark.name.split("-")[1]) for mark in marks.glob("trial-*"))
    process.terminate()  # as systemd and Kubernetes do: the driver alone gets it
    _, stderr = process.communicate(timeout=120)
    assert (process.returncode, stderr) == (
        130,
        "Interrupted: stopped by SIGTERM before the run began; nothing is left of it\n",
    )
    wait_until(lambda: not Path(f"/proc/{worker}").exists())
    assert not (scene.home / "runs").exists()
    assert not (scene.home / "out").exists()


def kills_its_worker_once(batch: Any, folder: str) -> Any:
    """The sub-task that holds row 130 kills the process it runs in, the first time."""
    flag = Path(folder, "killed")
    if (batch["x"] == 130).any() and not flag.exists():
        flag.write_text(str(os.getpid()))
        os.kill(os.getpid(), signal.SIGKILL)
    return programs.marking(batch, folder)


def test_a_worker_killed_in_mid_task_changes_nothing_in_the_output(
    tmp_path: Path, undisturbed: dict[str, bytes]
) -> None:
    scene = Scene(tmp_path / "scene")
    settings = scene.settings({"engine": "dask", "workers": 2})
    settings |= {"program": kills_its_worker_once, "arguments": {"folder": str(scene.home / "marks")}}
    finished = pt.run(**settings)
    assert (scene.home / "marks" / "killed").exists()
    assert scene.output() == undisturbed
    assert finished.attempted > TASKS
    lines = [json.loads(line) for p in (scene.run / "ledger").iterdir() for line in p.read_text().splitlines()]
    assert {line["attempt"].split("-")[0] for line in lines if line["what"] == "lost"} >= {"t000002"}


def test_true_runs_survive_a_hostile_engine(tmp_path: Path, undisturbed: dict[str, bytes]) -> None:
    scene = Scene(tmp_path / "scene")
    hostility = Hostility(drop_start=0.3, repeat=0.5, delay=0.3, lose_attempt=0.5, lose_worker=0.3, losses=6)
    engine = FlakyEngine(hostility=hostility, seed=5)
    finished = pt.run(**scene.settings(engine))
    assert scene.output() == undisturbed
    assert finished.attempted > TASKS
    assert dict(scene.executions()) == {f"t{i:06d}": 1 for i in range(TASKS)}


class Elsewhere(DaskEngine):
    """Workers that see another disk: what is asked of them is answered from an empty place."""

    def __init__(self, client: Any, other: str) -> None:
        super().__init__(client=client)
        self.other = other

    def ask_slots(self, function: Any, slots: Any, *args: Any) -> Any:
        return super().ask_slots(function, slots, self.other, b"")


def test_a_run_directory_the_workers_do_not_see_is_refused(tmp_path: Path, dask_engine: DaskEngine) -> None:
    engine = Elsewhere(dask_engine._client, str(tmp_path / "elsewhere"))
    with pytest.raises(PreflightFailed) as caught:
        pt.run(
            pa.table({"x": [1, 2]}),
            programs.double,
            engine=engine,
            checkpoint=str(tmp_path / "runs"),
            progress=False,
            cost="rows",
        )
    message = str(caught.value)
    for worker in ("0", "1"):
        assert f"- worker {worker} does not see the run directory {tmp_path}/runs/" in message
    assert "Give checkpoint= a place that driver and workers share" in message
    assert not list(Path(tmp_path, "runs").glob("*/commits/*"))
    engine.close()


def test_a_worker_of_another_version_is_refused(
    tmp_path: Path, dask_engine: DaskEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    from partitioner.engines import preflight

    real = preflight.versions()
    monkeypatch.setattr(preflight, "versions", lambda: {**real, "numpy": "0.9.1"})
    with pytest.raises(PreflightFailed, match=r"worker 0 has numpy \S+, the driver 0\.9\.1; install the same version"):
        pt.run(
            pa.table({"x": [1, 2]}),
            programs.double,
            engine=dask_engine,
            checkpoint=str(tmp_path / "runs"),
            output=str(tmp_path / "out"),
            progress=False,
            cost="rows",
        )
    assert not [*tmp_path.rglob("*.*")], "a failed preflight leaves output and checkpoint free"


def test_a_worker_that_claims_more_memory_than_there_is_is_refused(tmp_path: Path) -> None:
    class Boastful(SerialEngine):
        def workers(self) -> Workers:
            return Workers.of([Worker("serial", memory_bytes=1e18)])

    with pytest.raises(
        PreflightFailed, match=r"worker serial claims 1e\+18 bytes of memory, its machine has \S+; lower"
    ):
        pt.run(
            pa.table({"x": [1, 2]}),
            programs.double,
            engine=Boastful(),
            checkpoint=str(tmp_path / "runs"),
            progress=False,
            cost="rows",
        )
