"""Real faults, each beside the same run undisturbed: ``python -m benchmarks.chaos [--engine spark] [--only kills]``.

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
from dataclasses import dataclass
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


Made = tuple[Engine, Callable[[], list[int]]]
Start = Callable[[int], Made]

ENGINES: dict[str, tuple[Start, int]] = {"dask": (dask, 4), "spark": (spark, 3)}


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
    over, count = threading.Event(), [0]

    def killing() -> None:
        draw = random.Random(7)
        while not over.wait(kill):
            if there := pids():
                os.kill(draw.choice(there), signal.SIGKILL)
                count[0] += 1

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
    return finished, seconds, count[0]


def output(home: Path) -> dict[str, bytes]:
    """The output byte for byte."""
    return {p.name: p.read_bytes() for p in (home / "out").glob("part-*.parquet")}


@dataclass(frozen=True)
class Sizes:
    """Of the runs: rows, sub-tasks, seconds of sleep in each sub-task, explosions."""

    rows: int
    tasks: int
    each: float
    explosions: int


def kills(home: Path, start: Start, workers: int, sizes: Sizes, every: float) -> None:
    """Random kills for a whole run, beside the same run undisturbed."""
    made = start(workers)
    calm, undisturbed, _ = run(home / "calm", made, sizes.rows, sizes.tasks, seconds=sizes.each)
    done, seconds, count = run(home / "kills", made, sizes.rows, sizes.tasks, kill=every, seconds=sizes.each)
    same = output(home / "kills") == output(home / "calm")
    more, ratio = done.attempted - calm.attempted, seconds / undisturbed
    print(f"kills: {count}, output the same: {same}, attempts more: {more}, {ratio:.2f} x the undisturbed makespan")
    made[0].close()


def bad_node(home: Path, start: Start, workers: int, sizes: Sizes, every: float) -> None:
    """One of three fails everything, beside the two good ones alone."""
    seconds = []
    for count in (3, 2):
        made = start(count)
        bad = str(made[0].workers()[1].worker_id) if count == 3 else ""
        done, took, _ = run(home / f"{count}", made, sizes.rows, sizes.tasks, seconds=sizes.each, bad=bad)
        seconds.append(took)
        if bad:
            told(done, f"bad node: {done.quarantined} rows set aside", sizes.tasks)
        made[0].close()
    print(f"bad node: {seconds[0] / seconds[1]:.2f} x the makespan of the two good ones alone")


def killer(home: Path, start: Start, workers: int, sizes: Sizes, every: float) -> None:
    """One row that ends every process that works on it."""
    made = start(3)
    done, _, _ = run(home / "killer", made, sizes.rows, sizes.tasks, killer=sizes.rows // 3)
    told(done, f"killer: {len(done.result.to_pandas())} of {sizes.rows} rows delivered", sizes.tasks)
    made[0].close()


def explosions(home: Path, start: Start, workers: int, sizes: Sizes, every: float) -> None:
    """Rows for which memory runs out, each by itself."""
    made = start(3)
    done, _, _ = run(home / "explosions", made, sizes.rows, sizes.tasks, every=sizes.rows // sizes.explosions)
    left = len(done.result.to_pandas())
    told(done, f"{sizes.explosions} explosions: {left} of {sizes.rows} rows delivered", sizes.tasks)
    more = (done.attempted - sizes.tasks) / sizes.explosions
    print(f"{more:.1f} attempts more for each; 2 log2 n is {2 * log2(sizes.rows):.1f}")
    made[0].close()


FAULTS = {"kills": kills, "bad-node": bad_node, "killer": killer, "explosions": explosions}


def main() -> None:
    """Print a line for each kind of fault."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", choices=sorted(ENGINES), default="dask")
    parser.add_argument("--only", choices=sorted(FAULTS), help="This kind of fault alone.")
    parser.add_argument("--every", type=float, default=EVERY, help="Seconds between two kills.")
    parser.add_argument("--short", action="store_true")
    asked = parser.parse_args()
    start, workers = ENGINES[asked.engine]
    sizes = Sizes(1_000, 20, 0.5, 5) if asked.short else Sizes(100_000, 200, 0.5, 100)
    for name, play in FAULTS.items():
        if asked.only in (None, name):
            with tempfile.TemporaryDirectory() as folder:
                play(Path(folder), start, workers, sizes, asked.every)


def told(finished: pt.Run, text: str, tasks: int) -> None:
    """One line."""
    print(f"{text}, exit code {finished.exit_code}, attempts more: {finished.attempted - tasks}")


if __name__ == "__main__":
    main()
