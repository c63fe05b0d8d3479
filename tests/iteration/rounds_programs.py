"""Programs of rounds that tests run on real workers."""

import os
import signal
from pathlib import Path

import numpy as np
import pyarrow as pa

from partitioner.iteration import RoundProgram

SLOPES = np.array([2.0, -1.0, 0.5])


def table(rows: int = 600) -> pa.Table:
    """A linear problem whose answer is SLOPES."""
    x = np.random.default_rng(3).normal(size=(rows, 3))
    return pa.table({"a": x[:, 0], "b": x[:, 1], "c": x[:, 2], "y": x @ SLOPES})


def gradient(x, y, state):
    rest = x @ state["w"] - y
    return {"gradient": x.T @ rest, "loss": float(rest @ rest), "n": len(y)}


class Gradient(RoundProgram):
    """Least squares; each preparation leaves a line in ``log``, and the sub-task ``dies`` in ``round`` once."""

    def __init__(self, log: str = "", die_in_round: int = -1) -> None:
        self.log, self.die_in_round = log, die_in_round

    def prepare(self, batch):
        if self.log:
            with Path(self.log).open("a") as file:
                file.write(f"{os.getpid()} {len(batch)}\n")
        return batch[["a", "b", "c"]].to_numpy(), batch["y"].to_numpy()

    def __call__(self, data, state):
        if state["round"] == self.die_in_round and data[0][0, 0] == table()["a"][0].as_py():
            try:
                os.close(os.open(f"{self.log}.died", os.O_CREAT | os.O_EXCL))
            except FileExistsError:
                pass
            else:
                os.kill(os.getpid(), signal.SIGKILL)
        return gradient(*data, state)


def step(state, merged):
    """One step down the gradient."""
    return {"w": state["w"] - 0.7 * merged["gradient"] / merged["n"], "round": state["round"] + 1}


START = {"w": np.zeros(3), "round": 0}
