"""Programs that die or kill on a worker once, so that the next try goes well."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import numpy as np
import pandas as pd
import psutil

import partitioner as pt
from partitioner import stages
from partitioner.config import make
from partitioner.model import Attempt
from partitioner.model.workers import Workers
from partitioner.run_directory import RunDirectory, new_run_id

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


def kills_its_python_worker(batch: pd.DataFrame, folder: str) -> pd.DataFrame:
    if 0 in set(batch["x"]) and first_time(folder, "killed"):
        os.kill(os.getpid(), signal.SIGKILL)
    return double(batch)


def kills_its_executor(batch: pd.DataFrame, folder: str) -> pd.DataFrame:
    if 0 in set(batch["x"]) and first_time(folder, "killed"):
        executor = next(p for p in psutil.Process().parents() if "--executor-id" in p.cmdline())
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


def devices(batch: pd.DataFrame, seconds: float = 0.0) -> pd.DataFrame:
    """The device this attempt was given, as the context and the environment tell it."""
    time.sleep(seconds)
    told = ",".join(pt.task_context().devices.get("gpu", ("none",)))
    return pd.DataFrame({"told": told, "cuda": os.environ.get("CUDA_VISIBLE_DEVICES", "unset")}, index=batch.index)


def prepared(checkpoint: str, program: object, workers: Workers, tasks: int, **arguments: object) -> list[Attempt]:
    """A run directory with a job and the attempts a coordinator would submit."""
    config = make({"dataset": ROWS, "program": program, "arguments": arguments, "max_tasks": tasks})
    directory = RunDirectory(f"{checkpoint}/{new_run_id()}")
    dataset = stages.describe(config, directory)
    table = stages.split(config, dataset, stages.cost(config, dataset), workers)
    plan = stages.place(config, table, workers)
    stages.claim(config, directory, stages.make_job(config, dataset, directory), plan)
    keys = table.task_id.to_pylist()
    ids = workers.worker_id
    return [Attempt(keys[i], i, 0, ids[plan.worker[i]], directory.url) for i in range(len(table))]
