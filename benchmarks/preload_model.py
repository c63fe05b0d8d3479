"""The model of ``benchmarks.preload``, in a module of its own that needs neither this library nor its environment."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pyarrow as pa

HOLD = 0.5
"""Seconds that a slot is held after its result, so that every other one gets work, too."""


class Model:
    """Weights of so many megabytes; says who computed, when, and what its process holds."""

    def __init__(self, megabytes: int, load: float = 0.0) -> None:
        end = time.process_time() + load
        while time.process_time() < end:
            pass
        self.weights = np.random.default_rng(0).random(megabytes << 17)

    def __call__(self, batch: pa.RecordBatch) -> dict[str, list[float]]:
        """Process, Unix time and proportional set size in bytes, for every row."""
        said = {"pid": os.getpid(), "total": float(self.weights.sum()), "at": time.time()}  # the sum touches all of it
        time.sleep(HOLD)
        said["pss"] = proportional()
        above = forked_from()
        for level in range(2):
            said[f"above {level}"] = above[level] if level < len(above) else 0
            said[f"above {level} pss"] = proportional(above[level]) if level < len(above) else 0
        return {name: [float(value)] * batch.num_rows for name, value in said.items()}


def proportional(process: int | str = "self") -> int:
    """Bytes of a process, shared pages divided among those that share them."""
    for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    raise OSError(f"no Pss of {process}")


def forked_from() -> list[int]:
    """The processes above this one that hold the model too: a fork server, or a daemon and what that was forked from."""
    found, process = [], os.getppid()
    while process > 1 and len(found) < 2:
        place = Path(f"/proc/{process}")
        line = (place / "cmdline").read_bytes()
        driver_or_jvm = b"benchmarks.preload" in line or "java" in (place / "comm").read_text()
        if driver_or_jvm or not (b"fork" in line or b"spark" in line):
            break
        found.append(process)
        process = int((place / "stat").read_text().rpartition(")")[2].split()[1])
    return found
