"""One model per machine: generated weights on four slots, loaded once and forked, or in every process.

    python -m benchmarks.preload [--megabytes 400] [--engines dask spark]

Seconds from the call to the first result of the last slot, and the proportional set size of all computing processes and of
those that they were forked from, with ``preload=True`` and ``False``, beside the seconds and bytes of one load in a process
of its own; and where the seconds between call and result went.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import psutil
import pyarrow as pa

import partitioner as pt
from benchmarks.versions import versions
from partitioner.report.facts import read

SLOTS = 4
HOLD = 0.5
"""Seconds that a slot is held after its result, so that every other one gets work, too."""

ENGINES: dict[str, dict[str, Any]] = {
    "dask": {"engine": "dask", "workers": SLOTS},
    "spark": {"engine": "spark", "master": f"local-cluster[2,{SLOTS // 2},1024]", "conf": {"spark.ui.enabled": False}},
}


class Model:
    """Weights of so many megabytes; says who computed, when, and what its process holds."""

    def __init__(self, megabytes: int) -> None:
        self.weights = np.random.default_rng(0).random(megabytes << 17)

    def __call__(self, batch: pa.RecordBatch) -> dict[str, list[float]]:
        """Process, Unix time and proportional set size in bytes, for every row."""
        said = {"pid": os.getpid(), "total": float(self.weights.sum()), "at": time.time()}  # the sum touches all of it
        time.sleep(HOLD)
        said["pss"] = proportional()
        above = [
            p for p in psutil.Process().parents()[:2] if "fork" in (line := " ".join(p.cmdline())) or "spark" in line
        ]
        for level in range(2):  # a server, or a daemon and the process that it was forked from
            there = level < len(above) and "java" not in above[level].name()
            said[f"above {level}"] = above[level].pid if there else 0
            said[f"above {level} pss"] = proportional(above[level].pid) if there else 0
        return {name: [float(value)] * batch.num_rows for name, value in said.items()}


def proportional(process: int | str = "self") -> int:
    """Bytes of a process, shared pages divided among those that share them."""
    for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    raise OSError(f"no Pss of {process}")


def held_in_all(frame: Any) -> float:
    """Bytes of the computing processes, and of those that they were forked from."""
    total = frame.groupby("pid")["pss"].last().sum()
    servers = {}
    for level in range(2):
        servers |= frame.groupby(f"above {level}")[f"above {level} pss"].last().to_dict()
    return float(total + sum(servers.values()))


def one_run(engine: str, megabytes: int, preload: bool) -> tuple[float, float, str]:
    """Seconds to the first result of the last slot, bytes of all processes, and what the plan says of the fork."""
    began = time.time()
    with TemporaryDirectory() as folder:
        run = pt.run(
            pa.table({"x": range(SLOTS * 4)}),
            Model,
            arguments={"megabytes": megabytes},
            batch_format="arrow",
            cost="rows",
            max_tasks=SLOTS * 4,
            engine=ENGINES[engine],
            preload=preload,
            checkpoint=folder,
            report=False,
            progress=False,
        )
        frame = run.result.to_pandas()
        phases = ", ".join(f"{name} {took:.2f}" for name, took in read(run.directory).phases.items() if took >= 0.05)
    first = frame.groupby("pid")["at"].min()
    return float(first.max() - began), held_in_all(frame), f"{run.plan.reasons.get('preload', 'not asked')}; {phases}"


def one_load(megabytes: int) -> tuple[float, float]:
    """Seconds and bytes of one process that imports and builds the model."""
    code = (
        "import time; began = time.time(); from benchmarks.preload import Model, proportional; "
        f"model = Model({megabytes}); print(time.time() - began, proportional())"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    return float(said[0]), float(said[1])


def main() -> None:
    """All engines, with and without."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=int, default=400)
    parser.add_argument("--engines", nargs="*", choices=list(ENGINES), default=list(ENGINES))
    options = parser.parse_args()
    print(versions("dask", "numpy"))
    seconds, held = one_load(options.megabytes)
    print(f"one load in a process of its own: {seconds:.1f} s, {held / 1e6:.0f} MB")
    for engine in options.engines:
        for preload in (False, True):
            took, all_of_them, told = one_run(engine, options.megabytes, preload)
            print(
                f"{engine:6s} preload={preload!s:5s} {SLOTS} slots: {took:5.1f} s to the last first result, "
                f"{all_of_them / 1e6:6.0f} MB in all, {all_of_them / held:.2f} of one; {told}",
                flush=True,
            )


if __name__ == "__main__":
    main()
