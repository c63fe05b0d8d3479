"""Programs that tests run on workers. They are found by name, so every process can import or unpickle them."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pandas as pd

import partitioner as pt


def double(batch: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({"y": batch["x"] * 2})


def marking(batch: pd.DataFrame, folder: str, gate: str = "") -> pd.DataFrame:
    """Leave a mark that this attempt ran, then double. Behind a ``gate``, the fifth and later ones wait until it exists."""
    context = pt.task_context()
    name = f"{context.task_key}-{os.getpid()}-{time.monotonic_ns()}"
    Path(folder, name).write_text(str(context.number))
    while gate and not Path(gate).exists() and len(os.listdir(folder)) > 4:
        time.sleep(0.01)
    return double(batch)


def fails_on_negative(batch: pd.DataFrame) -> pd.DataFrame:
    if (batch["x"] < 0).any():
        raise ValueError("negative x")
    return double(batch)


def fails_on_short_names(batch: pd.DataFrame) -> pd.DataFrame:
    if (batch["name"].str.len() < 2).any():
        raise ValueError("name too short")
    return pd.DataFrame({"n": batch["name"].str.len()})


def random_numbers(batch: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({"seed": [pt.task_context().seed] * len(batch), "draw": np.random.random(len(batch))})


def worker_facts(batch: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({"pid": [os.getpid()] * len(batch), "worker": [pt.task_context().worker_id] * len(batch)})


def talkative(batch: pd.DataFrame) -> pd.DataFrame:
    print(f"rows {batch['x'].min()} to {batch['x'].max()}")
    return double(batch)


def thread_limits(batch: pd.DataFrame) -> pd.DataFrame:
    from threadpoolctl import threadpool_info

    most = max((library["num_threads"] for library in threadpool_info()), default=1)
    return pd.DataFrame({"threads": [most] * len(batch)})


class BuiltOnce:
    """Says how often it was built in this process."""

    built = 0

    def __init__(self, offset: int) -> None:
        type(self).built += 1
        self.offset = offset

    def __call__(self, batch: pd.DataFrame) -> pd.DataFrame:
        n = len(batch)
        return pd.DataFrame({"y": batch["x"] + self.offset, "built": [type(self).built] * n, "pid": [os.getpid()] * n})
