"""Workers forked from a server that holds the program: once built, found unsound where it is, and declared by a class."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dask
import pyarrow as pa
import pytest

import partitioner as pt
from partitioner.config import make
from partitioner.engines import fork_server
from partitioner.stages.start import preloads

ONE_EACH: dict[str, Any] = {
    "batch_format": "arrow",
    "cost": "rows",
    "engine": {"engine": "dask", "workers": 2},
    "report": False,
    "progress": False,
}


class Noted:
    """Notes in a folder every process that builds it."""

    def __init__(self, folder: str) -> None:
        Path(folder, f"built-{os.getpid()}").touch()

    def __call__(self, batch: pa.RecordBatch) -> list[int]:
        return [os.getpid()] * batch.num_rows


class Threaded(Noted):
    """Starts a thread when built, which no fork takes along."""

    def __init__(self, folder: str) -> None:
        super().__init__(folder)
        threading.Thread(target=threading.Event().wait, daemon=True).start()


class Sees:
    """Says whether pandas was there when it was built."""

    def __init__(self) -> None:
        self.seen = "pandas" in sys.modules

    def __call__(self, batch: Any) -> list[bool]:
        return [self.seen] * len(batch)


class Willing(Noted):
    preload = True


class Unwilling(Noted):
    preload = False


class LikeWilling(Willing):
    """Says nothing itself."""


class LikeUnwilling(Unwilling):
    """Says nothing itself."""


def run(program: Any, folder: Path, **options: Any) -> pt.Run:
    arguments = {"folder": str(folder)}
    return pt.run(
        pa.table({"x": range(64)}), program, arguments=arguments, checkpoint=str(folder / "runs"), **ONE_EACH, **options
    )


def test_the_program_is_built_once_for_all_workers(tmp_path: Path) -> None:
    done = run(Noted, tmp_path, preload=True)
    workers = set(done.result.to_table()["result"].to_pylist())
    built = {int(p.name.partition("-")[2]) for p in tmp_path.glob("built-*")}
    assert (len(workers), len(built), workers & built) == (2, 1, set())
    assert done.plan.reasons["preload"] == "forked with the program"


def test_a_program_that_starts_threads_is_built_in_every_worker(tmp_path: Path) -> None:
    done = run(Threaded, tmp_path, preload=True)
    workers = set(done.result.to_table()["result"].to_pylist())
    assert done.plan.reasons["preload"] == "built in every process, for a fork is unsound: it starts 1 threads"
    assert {int(p.name.partition("-")[2]) for p in tmp_path.glob("built-*")} >= workers


def test_what_batches_are_made_with_is_imported_before_the_fork(checkpoint: str) -> None:
    done = pt.run(
        pa.table({"x": range(8)}), Sees, preload=True, checkpoint=checkpoint, **{**ONE_EACH, "batch_format": "pandas"}
    )
    assert set(done.result.to_table()["result"].to_pylist()) == {True}
    assert done.plan.reasons["preload"] == "forked with the program"


def test_a_ctrl_c_while_the_fork_server_loads_does_not_end_it() -> None:
    with fork_server.running():
        server = fork_server._server._forkserver_pid
        os.kill(server, signal.SIGINT)  # as a terminal does
        child = multiprocessing.get_context("forkserver").Process(target=os.getpid)
        child.start()
        child.join()
        assert (child.exitcode, fork_server._server._forkserver_pid) == (0, server)


def test_a_fork_server_that_somebody_else_started_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fork_server, "_server", SimpleNamespace(_forkserver_pid=4711))
    with fork_server.running():
        assert dask.config.get("distributed.worker.multiprocessing-method") == "spawn"


def test_a_server_finds_modules_and_the_environment_of_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", ["/scripts", ""])
    monkeypatch.setenv("PYTHONPATH", "/before")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    with fork_server._environment():
        found = {name: os.environ.get(name) for name in ("PYTHONPATH", "OMP_NUM_THREADS")}
    assert found == {"PYTHONPATH": f"/scripts{os.pathsep}{os.getcwd()}", "OMP_NUM_THREADS": "1"}
    assert (os.environ["PYTHONPATH"], os.environ.get("OMP_NUM_THREADS")) == ("/before", None)


@pytest.mark.parametrize(
    ("program", "setting", "expected"),
    [
        (Noted, "auto", False),
        (Noted, True, True),
        (Noted, False, False),
        (Willing, "auto", True),
        (Willing, False, False),
        (Unwilling, True, False),
        (LikeWilling, "auto", True),
        (LikeUnwilling, True, False),
        (len, True, False),
    ],
)
def test_a_class_can_declare_whether_it_may(program: Any, setting: Any, expected: bool) -> None:
    assert preloads(make({"preload": setting}), program) is expected
