"""Real faults, each beside the same run undisturbed: ``python -m benchmarks.chaos [--engine spark] [--short]``.

kills       a random worker process is killed every 3 s for the whole run: the output must be the same byte for byte
bad node    one worker of three fails everything with OSError: no row may be set aside
killer      one row ends every process that works on it: all others are delivered
explosions  many rows for which memory runs out, each by itself: all others are delivered
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import tempfile
import threading
import time
from collections.abc import Callable
from math import log2
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import pyarrow as pa

import partitioner as pt
from partitioner.engines.base import Engine
from partitioner.engines.dask import DaskEngine

EVERY = 3.0
"""Seconds between two kills."""


def work(batch: pd.DataFrame, seconds: float = 0.0, bad: str = "", killer: int = -1, every: int = 0) -> pd.DataFrame:
    """Doubles, slowly; fails on a bad node, ends its process at one row, and has no memory for each ``every``-th."""
    if pt.task_context().worker_id == bad:
        raise OSError(28, "No space left on device")
    if (batch["x"] == killer).any():
        os._exit(9)
    if every and (batch["x"] % every == 0).any():
        raise MemoryError("no memory for this row")
    time.sleep(seconds)
    return pd.DataFrame({"y": batch["x"] * 2})


def dask(workers: int) -> tuple[Engine, Callable[[], list[int]]]:
    """A cluster of so many processes, and how to ask for their pids."""
    engine = DaskEngine(workers=workers)
    return engine, lambda: [p for p in engine._client.run(os.getpid, on_error="ignore").values() if isinstance(p, int)]


def spark(workers: int) -> tuple[Engine, Callable[[], list[int]]]:
    """So many executors of one core, and how to find their processes."""
    from partitioner.engines.spark import SparkEngine

    settings = {"spark.ui.enabled": False, "spark.deploy.maxExecutorRetries": 1000}
    engine = SparkEngine(master=f"local-cluster[{workers},1,1024]", conf=settings)
    engine._context.setLogLevel("OFF")
    engine.workers()
    return engine, executors


def executors() -> list[int]:
    """The executors' processes below this one."""
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            if "--executor-id" in process.cmdline() and process.name() == "java":
                found.append(process.pid)
        except psutil.Error:
            continue
    return found


ENGINES = {"dask": (dask, 4), "spark": (spark, 3)}


def run(
    home: Path,
    made: tuple[Engine, Callable[[], list[int]]],
    rows: int,
    tasks: int,
    kill: bool = False,
    **arguments: Any,
) -> tuple[pt.Run, float, int]:
    """One run, while a random worker process is killed every few seconds if asked. Run, seconds, kills."""
    engine, pids = made
    over, kills = threading.Event(), [0]

    def killing() -> None:
        draw = random.Random(7)
        while not over.wait(EVERY):
            if there := pids():
                os.kill(draw.choice(there), signal.SIGKILL)
                kills[0] += 1

    thread = threading.Thread(target=killing, daemon=True)
    began = time.perf_counter()
    if kill:
        thread.start()
    try:
        finished = pt.run(
            pa.table({"x": range(1, rows + 1)}), work, arguments=arguments, engine=engine, cost="rows", max_tasks=tasks,
            min_tasks_per_slot=tasks, on_error="quarantine", output=str(home / "out"), checkpoint=str(home / "runs"),
            progress=False, report=False,
        )  # fmt: skip
    finally:
        over.set()
        seconds = time.perf_counter() - began
        if kill:
            thread.join()
    return finished, seconds, kills[0]


def output(home: Path) -> dict[str, bytes]:
    """The output byte for byte."""
    return {p.name: p.read_bytes() for p in (home / "out").glob("part-*.parquet")}


def main() -> None:
    """Print a line for each kind of fault."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", choices=sorted(ENGINES), default="dask")
    parser.add_argument("--short", action="store_true")
    asked = parser.parse_args()
    start, workers = ENGINES[asked.engine]
    rows, tasks, each, explosions = (2_000, 40, 0.4, 5) if asked.short else (100_000, 200, 0.5, 100)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        made = start(workers)
        calm, undisturbed, _ = run(home / "calm", made, rows, tasks, seconds=each)
        done, seconds, kills = run(home / "kills", made, rows, tasks, kill=True, seconds=each)
        same = output(home / "kills") == output(home / "calm")
        more, ratio = done.attempted - calm.attempted, seconds / undisturbed
        print(f"kills: {kills}, output the same: {same}, attempts more: {more}, {ratio:.2f} x the undisturbed makespan")
        made[0].close()
        made = start(3)
        bad = str(made[0].workers()[1].worker_id)
        done, seconds, _ = run(home / "bad", made, rows, tasks, seconds=each, bad=bad)
        told(done, f"bad node: {done.quarantined} rows set aside", tasks)
        one, _, _ = run(home / "killer", made, rows, tasks, killer=rows // 3)
        told(one, f"killer: {len(one.result.to_pandas())} of {rows} rows delivered", tasks)
        many, _, _ = run(home / "explosions", made, rows, tasks, every=rows // explosions)
        told(many, f"{explosions} explosions: {len(many.result.to_pandas())} of {rows} rows delivered", tasks)
        each_more = (many.attempted - tasks) / explosions
        print(f"            {each_more:.1f} attempts more for each; 2 log2 n is {2 * log2(rows):.1f}")
        made[0].close()
        made = start(2)
        _, two, _ = run(home / "two", made, rows, tasks, seconds=each)
        print(f"bad node: {seconds / two:.2f} x the makespan of the two good ones alone")
        made[0].close()


def told(finished: pt.Run, text: str, tasks: int) -> None:
    """One line."""
    print(f"{text}, exit code {finished.exit_code}, attempts more: {finished.attempted - tasks}")


if __name__ == "__main__":
    main()
