"""Programs of the pipelines that the tests run; workers are other processes."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from partitioner.graphs import Step


def doubled(batch: pd.DataFrame) -> dict[str, Any]:
    return {"x": batch["x"] * 2}


def total(batch: pd.DataFrame) -> float:
    return float(batch["x"].sum())


def largest(batch: pd.DataFrame) -> float:
    return float(batch["x"].max())


def shares(batch: pd.DataFrame, all_of_it: float) -> dict[str, Any]:
    return {"x": batch["x"] / all_of_it}


def spread(all_of_it: float, top: float) -> dict[str, float]:
    return {"sum": all_of_it, "max": top}


class FailsOnce:
    """Fails while a file is not there."""

    def __init__(self, marker: str) -> None:
        self.marker = Path(marker)

    def __call__(self, all_of_it: float) -> float:
        if not self.marker.exists():
            raise ValueError("the marker is not there")
        return all_of_it


class Waits:
    """Says that it was reached, and waits until it may go on."""

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)

    def __call__(self, batch: pd.DataFrame) -> float:
        (self.folder / "reached").touch()
        until = time.monotonic() + 120
        while not (self.folder / "open").exists():
            if time.monotonic() > until:
                raise TimeoutError("nobody opened the gate")
            time.sleep(0.01)
        return float(batch["x"].max())


class KillsItsProcess:
    """The first time that it is called."""

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)

    def __call__(self, batch: pd.DataFrame) -> float:
        try:
            (self.folder / "killed").touch(exist_ok=False)
        except FileExistsError:
            return float(batch["x"].max())
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("it was killed")


def meets(here: str, there: str) -> float:
    """Ends only when another sub-task runs at the same time."""
    Path(here).touch()
    until = time.monotonic() + 60
    while not Path(there).exists():
        if time.monotonic() > until:
            raise TimeoutError(f"{there} never came")
        time.sleep(0.01)
    return 1.0


def first(batch: pd.DataFrame, here: str, there: str) -> float:
    return meets(here, there)


GRAPH = [
    Step("spread", spread, using=("all_of_it", "top"), seconds=0.01),
    Step("shares", shares, over="double", using=("all_of_it",), seconds=0.1),
    Step("top", largest, over="double", whole=True, seconds=0.1),
    Step("all_of_it", total, over="double", reducer="sum", seconds=0.2),
    Step("double", doubled, seconds=0.4),
]
"""Given last step first: the order is found."""


def replaced(program: Any, folder: str) -> list[Step]:
    """The graph with another program for the step ``top``, which waits for all of ``double``."""
    top = Step("top", program, over="double", whole=True, arguments={"folder": folder}, seconds=0.1)
    return [top if step.name == "top" else step for step in GRAPH]


def heavy(batch: pd.DataFrame) -> float:
    """The sum of ``x``, by way of 160 MB that a process holds during the call alone, as what it imports is held for good."""
    held = np.ones(20_000_000)
    return float(batch["x"].sum() * held[-1])
