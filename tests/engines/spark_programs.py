"""Programs that die or kill on a worker once, so that the next try goes well."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import numpy as np
import pandas as pd

import partitioner as pt
from partitioner.config import make
from partitioner.engines.base import Engine
from partitioner.engines.spark_place import above
from partitioner.model import Attempt
from partitioner.running import run_config
from partitioner.store.run_directory import RunDirectory

ROWS = pd.DataFrame({"x": np.arange(60)})


def double(batch: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({"y": batch["x"] * 2})


def first_time(folder: str, name: str) -> bool:
    """True for one caller ever."""
    try:
        Path(folder, name).open("x").close()
    except FileExistsError:
        return False
    return True


def in_a_subtask() -> bool:
    """Whether this is no trial before the run, which would meet the death in the run's stead."""
    return pt.task_context().task_key != "trial"


def kills_its_python_worker(batch: pd.DataFrame, folder: str) -> pd.DataFrame:
    if 0 in set(batch["x"]) and in_a_subtask() and first_time(folder, "killed"):
        os.kill(os.getpid(), signal.SIGKILL)
    return double(batch)


def kills_the_server(batch: pd.DataFrame, folder: str) -> pd.DataFrame:
    if 30 in set(batch["x"]) and in_a_subtask() and first_time(folder, "killed"):
        next(p for p in above() if any("SparkConnectServer" in part for part in p.cmdline())).kill()
        time.sleep(60)
    return double(batch)


def kills_the_jvm(batch: pd.DataFrame) -> pd.DataFrame:
    """In local mode, where it is the driver's."""
    if in_a_subtask():
        next(p for p in above() if p.name() == "java").kill()
        time.sleep(60)
    return double(batch)


def bad_node(batch: pd.DataFrame, name: str) -> pd.DataFrame:
    if pt.task_context().worker_id == name:
        raise OSError(28, "No space left on device")
    time.sleep(0.1)
    return double(batch)


def kills_its_executor(batch: pd.DataFrame, folder: str) -> pd.DataFrame:
    if 0 in set(batch["x"]) and in_a_subtask() and first_time(folder, "killed"):
        executor = next(p for p in above() if "--executor-id" in p.cmdline())
        Path(folder, "executor").write_text(str(executor.pid))
        executor.kill()
        time.sleep(60)
    return marked(batch, folder)


def marked(batch: pd.DataFrame, folder: str) -> pd.DataFrame:
    """Double, and leave a mark that this sub-task came to its end here."""
    Path(folder, f"{pt.task_context().task_key}-{time.monotonic_ns()}").touch()
    return double(batch)


def slowly_marked(batch: pd.DataFrame, folder: str) -> pd.DataFrame:
    time.sleep(0.5)
    return marked(batch, folder)


def sleeps(batch: pd.DataFrame, seconds: float) -> pd.DataFrame:
    time.sleep(seconds)
    return double(batch)


def raises_import_error(*_: object) -> None:
    raise ImportError("no such package here")


def wait_for(path: Path, seconds: float = 120.0) -> None:
    """Until a file is there."""
    end = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < end, f"no {path} in {seconds} s"
        time.sleep(0.05)


def holds_its_core(folder: str, _: object) -> None:
    """A task of somebody else's job: says which executor it holds, and ends when it is over."""
    from partitioner.engines.spark_place import executor_id

    Path(folder, "held.part").write_text(executor_id() or "")
    Path(folder, "held.part").rename(Path(folder, "held"))
    wait_for(Path(folder, "over"))


def devices(batch: pd.DataFrame, seconds: float = 0.0) -> pd.DataFrame:
    """The device this attempt was given, as the context and the environment tell it."""
    time.sleep(seconds)
    told = ",".join(pt.task_context().devices.get("gpu", ("none",)))
    return pd.DataFrame({"told": told, "cuda": os.environ.get("CUDA_VISIBLE_DEVICES", "unset")}, index=batch.index)


class _Planned(Exception):
    """Stops a run between its plan and its first attempt."""


def prepared(checkpoint: str, program: object, engine: Engine, tasks: int, **arguments: object) -> list[Attempt]:
    """A run directory with a job and the attempts a coordinator would submit."""
    settings = {"dataset": ROWS, "program": program, "arguments": arguments, "max_tasks": tasks}

    def stop(plan: pt.Plan, directory: RunDirectory) -> None:
        raise _Planned(plan, directory.url)

    try:
        run_config(make({**settings, "engine": engine, "checkpoint": checkpoint}), on_plan=stop)
    except _Planned as planned:
        plan, url = planned.args
    ids = plan.workers.worker_id
    return [Attempt(key, i, 0, ids[plan.worker[i]], url) for i, key in enumerate(plan.tasks.task_id.to_pylist())]
