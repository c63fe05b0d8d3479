"""Real faults on a local Dask cluster, each beside the same run undisturbed: ``python -m benchmarks.chaos_kills [--short]``.

kills     a random worker process is killed every few seconds for the whole run: the output must be the same byte for byte
bad node  one worker of three fails everything with OSError: no row may be set aside
killer    one row ends every process that works on it: all others are delivered, in at most 2 log2 n attempts more
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import tempfile
import threading
import time
from math import log2
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

import partitioner as pt
from partitioner.engines.dask import DaskEngine


def work(batch: pd.DataFrame, seconds: float = 0.0, bad: str = "", killer: int = -1) -> pd.DataFrame:
    """Doubles, slowly; fails on a bad node, and ends its process at one row."""
    if pt.task_context().worker_id == bad:
        raise OSError(28, "No space left on device")
    if (batch["x"] == killer).any():
        os._exit(9)
    time.sleep(seconds)
    return pd.DataFrame({"y": batch["x"] * 2})


def run(
    home: Path, rows: int, tasks: int, workers: int, every: float = 0.0, **arguments: Any
) -> tuple[pt.Run, float, int]:
    """One run in a cluster of its own; a random worker is killed every so many seconds. Run, seconds, kills."""
    engine, over, kills = DaskEngine(workers=workers), threading.Event(), [0]

    def kill() -> None:
        draw = random.Random(7)
        while not over.wait(every):
            pids = [p for p in engine._client.run(os.getpid, on_error="ignore").values() if isinstance(p, int)]
            if pids:
                os.kill(draw.choice(pids), signal.SIGKILL)
                kills[0] += 1

    thread = threading.Thread(target=kill, daemon=True)
    began = time.perf_counter()
    if every:
        thread.start()
    try:
        finished = pt.run(
            pa.table({"x": range(rows)}), work, arguments=arguments, engine=engine, cost="rows", max_tasks=tasks,
            min_tasks_per_slot=tasks, on_error="quarantine", output=str(home / "out"), checkpoint=str(home / "runs"),
            progress=False, report=False,
        )  # fmt: skip
    finally:
        over.set()
        seconds = time.perf_counter() - began
        if every:
            thread.join()
        engine.close()
    return finished, seconds, kills[0]


def output(home: Path) -> dict[str, bytes]:
    """The output byte for byte."""
    return {p.name: p.read_bytes() for p in (home / "out").glob("part-*.parquet")}


def main() -> None:
    """Print a line for each kind of fault."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true")
    short = parser.parse_args().short
    rows, tasks, each = (2_000, 40, 0.2) if short else (20_000, 200, 0.5)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        calm, undisturbed, _ = run(home / "calm", rows, tasks, 4, seconds=each)
        done, seconds, kills = run(home / "kills", rows, tasks, 4, every=3.0, seconds=each)
        same = output(home / "kills") == output(home / "calm")
        more = done.attempted - calm.attempted
        print(
            f"kills: {kills}, output the same: {same}, attempts more: {more}, {seconds:.1f} s beside {undisturbed:.1f} s"
        )
        _, two, _ = run(home / "two", rows, tasks, 2, seconds=each)
        done, seconds, _ = run(home / "bad", rows, tasks, 3, seconds=each, bad="1")
        print(
            f"bad node: {done.quarantined} rows set aside, {seconds:.1f} s beside {two:.1f} s with the two good ones alone"
        )
        done, seconds, _ = run(home / "killer", rows, tasks, 3, seconds=0.0, killer=rows // 3)
        left = len(done.result.to_pandas())
        print(
            f"killer: {left} of {rows} delivered, exit code {done.exit_code}, attempts more: {done.attempted - tasks}, "
        )
        print(f"        2 log2 n is {2 * log2(rows):.1f}, {seconds:.1f} s")


if __name__ == "__main__":
    main()
