"""Programs and a reducer for merges on workers, some of which die once; found by name in every process."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np

from partitioner.reducers.base import Reducer
from partitioner.reducers.tree_sum import TreeSum


def weights(batch: Any) -> Any:
    """Numbers whose sum depends on how it is grouped: one array for each sub-task."""
    return {"w": np.random.default_rng(int(batch["x"].min())).normal(size=1000)}


def opposite_infinities(batch: Any) -> Any:
    return np.array([np.inf if int(batch["x"].min()) < 3 else -np.inf, 1.0])


def first_time(folder: str, what: str) -> bool:
    """Whether nobody has asked before."""
    try:
        os.close(os.open(Path(folder, what), os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True


class DyingSum(TreeSum):
    """As ``tree_sum``; the first ``deaths`` processes that merge what they hold alone end at once."""

    name = "dying_sum"
    in_place = False

    def __init__(self, folder: str = "", deaths: int = 0) -> None:
        self.folder, self.deaths = folder, deaths

    def merge_into(self, left: Any, right: Any) -> Any:
        if any(first_time(self.folder, f"death-{i}") for i in range(self.deaths)):
            os.kill(os.getpid(), signal.SIGKILL)
        return self.merge_accumulators(left, right)


class Texts(Reducer):
    """A reducer with a way of its own to write accumulators, which is promised bytes."""

    name = "texts"
    mergeable = True

    def create_accumulator(self) -> str:
        return ""

    def add_input(self, accumulator: str, value: Any) -> str:
        return f"{accumulator}{int(value['x'].min())} "

    def merge_accumulators(self, left: str, right: str) -> str:
        return f"({left}{right})"

    def extract_output(self, accumulator: str) -> str:
        return accumulator

    def serialize(self, accumulator: str) -> bytes:
        return accumulator.encode()

    def deserialize(self, data: bytes) -> str:
        return data.decode()


def as_it_is(batch: Any) -> Any:
    return batch


class AfterMerges:
    """``weights``, of which the sub-task ``last`` waits until two merges of others are there, and then for ``gate``."""

    def __init__(self, runs: str, last: int, gate: str = "") -> None:
        self.runs, self.last, self.gate = Path(runs), last, gate

    def __call__(self, batch: Any) -> dict[str, Any]:
        until = time.monotonic() + 60
        while int(batch["x"].iloc[0]) == self.last and not self._may_end():
            if time.monotonic() > until:
                raise TimeoutError("nothing was merged meanwhile")
            time.sleep(0.01)
        return weights(batch)

    def _may_end(self) -> bool:
        if self.gate:
            return Path(self.gate).exists()
        return len(list(self.runs.glob("*/merge/partials/merge-*.value"))) >= 2
