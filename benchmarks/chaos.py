"""Real faults, each beside the same run undisturbed: ``python -m benchmarks.chaos [--engine spark] [--only kills]``.

kills       a random worker process is killed every 3 s for the whole run: the output must be the same byte for byte
bad node    one worker of three fails everything with OSError: no row may be set aside
killer      one row ends every process that works on it (``segfault``: by reading at address 0): all others are delivered
explosions  many rows for which memory runs out, each by itself: all others are delivered
"""

from __future__ import annotations

import argparse
import ctypes
import os
import random
import signal
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
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

LOOK_SECONDS = 0.1
"""Between looks at how many workers there are."""


def work(
    batch: pd.DataFrame, seconds: float = 0.0, bad: str = "", killer: int = -1, segfault: bool = False, every: int = 0
) -> pd.DataFrame:
    """Doubles, slowly; fails on a bad node, ends its process at one row, and has no memory for each ``every``-th."""
    if pt.task_context().worker_id == bad:
        raise OSError(28, "No space left on device")
    if (batch["x"] == killer).any():
        ctypes.string_at(0) if segfault else os._exit(9)
    if every and (batch["x"] % every == 0).any():
        raise MemoryError("no memory for this row")
    time.sleep(seconds)
    return pd.DataFrame({"y": batch["x"] * 2})


@dataclass(frozen=True)
class Made:
    """An engine, how to ask for the pids of its worker processes, and how many workers are ready now."""

    engine: Engine
    pids: Callable[[], list[int]]
    ready: Callable[[], int]


def dask(workers: int) -> Made:
    """A cluster of so many processes."""
    engine = DaskEngine(workers=workers)
    client = engine._client
    return Made(
        engine,
        lambda: [p for p in client.run(os.getpid, on_error="ignore").values() if isinstance(p, int)],
        lambda: len(client.scheduler_info(n_workers=-1)["workers"]),
    )


def spark(workers: int) -> Made:
    """So many executors of one core."""
    from partitioner.engines.spark import SparkEngine

    settings = {"spark.ui.enabled": False, "spark.deploy.maxExecutorRetries": 1000}
    engine = SparkEngine(master=f"local-cluster[{workers},1,1024]", conf=settings)
    engine._context.setLogLevel("OFF")
    engine.workers()
    return Made(engine, executors, lambda: len(engine._store.executors()))


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


Start = Callable[[int], Made]

ENGINES: dict[str, tuple[Start, int]] = {"dask": (dask, 4), "spark": (spark, 3)}


class Killer(threading.Thread):
    """Kills a random worker process every few seconds; ``absent`` are the seconds of workers that were not there."""

    def __init__(self, made: Made, every: float) -> None:
        super().__init__(daemon=True)
        self.made, self.every = made, every
        self.count, self.absent = 0, 0.0
        self._over = threading.Event()

    def run(self) -> None:
        draw, all_of_them = random.Random(7), self.made.ready()
        due = before = time.monotonic()
        while not self._over.wait(LOOK_SECONDS):
            now = time.monotonic()
            self.absent += max(0, all_of_them - self.made.ready()) * (now - before)
            before = now
            if now - due >= self.every and (there := self.made.pids()):
                os.kill(draw.choice(there), signal.SIGKILL)
                self.count, due = self.count + 1, now

    def stop(self) -> None:
        """Until no more is killed."""
        self._over.set()
        if self.is_alive():
            self.join()


def start_seconds(made: Made) -> float:
    """What a worker takes to be there again after one was killed; all are there then."""
    every = made.ready()
    os.kill(made.pids()[0], signal.SIGKILL)
    began = time.monotonic()
    while made.ready() >= every:
        time.sleep(LOOK_SECONDS)
    while made.ready() < every:
        time.sleep(LOOK_SECONDS)
    return time.monotonic() - began


def run(
    home: Path,
    made: Made,
    rows: int,
    tasks: int,
    kill: float = 0.0,
    **arguments: Any,
) -> tuple[pt.Run, float, Killer]:
    """One run, while a random worker process is killed every ``kill`` seconds, if any. Run, seconds, what was killed."""
    killer = Killer(made, kill)
    began = time.perf_counter()
    if kill:
        killer.start()
    try:
        finished = pt.run(
            pa.table({"x": range(1, rows + 1)}), work, arguments=arguments, engine=made.engine, cost="rows", max_tasks=tasks,
            min_tasks_per_slot=tasks, on_error="quarantine", output=str(home / "out"), checkpoint=str(home / "runs"),
            progress=False, report=False,
        )  # fmt: skip
    finally:
        seconds = time.perf_counter() - began
        killer.stop()
    return finished, seconds, killer


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
    """Random kills for a whole run, beside the same run undisturbed.

    Where one in ``workers`` is killed so often that fewer than exp(-1) of them live until they are there, less often.
    """
    made = start(workers)
    calm, undisturbed, _ = run(home / "calm", made, sizes.rows, sizes.tasks, seconds=sizes.each)
    takes = start_seconds(made)
    possible = max(every, takes / workers)
    less = "" if possible == every else f"; one every {every:g} s kills most of them before they are there"
    every = possible
    print(
        f"kills: a worker takes {takes:.1f} s to start; one of {workers} is killed every {every:.1f} s{less}",
        flush=True,
    )
    done, seconds, killer = run(home / "kills", made, sizes.rows, sizes.tasks, kill=every, seconds=sizes.each)
    same = output(home / "kills") == output(home / "calm")
    more, away = done.attempted - calm.attempted, killer.absent / workers
    print(f"kills: {killer.count}, output the same: {same}, attempts more: {more} (asked: at most {2 * killer.count})")
    print(
        f"kills: {seconds:.1f} s, {seconds / undisturbed:.2f} x the undisturbed {undisturbed:.1f} s; asked: at most "
        f"{1.25 * undisturbed + away:.1f} s, 1.25 x and the {away:.1f} s that workers were away, on each"
    )
    made.engine.close()


def bad_node(home: Path, start: Start, workers: int, sizes: Sizes, every: float) -> None:
    """One of three fails everything, beside the two good ones alone."""
    seconds = []
    for count in (3, 2):
        made = start(count)
        bad = str(made.engine.workers()[1].worker_id) if count == 3 else ""
        done, took, _ = run(home / f"{count}", made, sizes.rows, sizes.tasks, seconds=sizes.each, bad=bad)
        seconds.append(took)
        if bad:
            told(done, f"bad node: {done.quarantined} rows set aside", sizes.tasks)
        made.engine.close()
    print(f"bad node: {seconds[0] / seconds[1]:.2f} x the makespan of the two good ones alone")


def killer(home: Path, start: Start, workers: int, sizes: Sizes, every: float, segfault: bool = False) -> None:
    """One row that ends every process that works on it."""
    made, name = start(3), "segfault" if segfault else "killer"
    done, _, _ = run(home / name, made, sizes.rows, sizes.tasks, killer=sizes.rows // 3, segfault=segfault)
    told(done, f"{name}: {delivered(done, sizes.rows, sizes.rows // 3)}", sizes.tasks)
    print(f"{name}: asked are at most {2 * log2(sizes.rows):.0f} attempts more")
    made.engine.close()


def explosions(home: Path, start: Start, workers: int, sizes: Sizes, every: float) -> None:
    """Rows for which memory runs out, each by itself."""
    made = start(3)
    step = sizes.rows // sizes.explosions
    done, _, _ = run(home / "explosions", made, sizes.rows, sizes.tasks, every=step)
    told(done, f"{sizes.explosions} explosions: {delivered(done, sizes.rows, every=step)}", sizes.tasks)
    more = (done.attempted - sizes.tasks) / sizes.explosions
    print(f"{more:.1f} attempts more for each; 2 log2 n is {2 * log2(sizes.rows):.1f}")
    made.engine.close()


def delivered(finished: pt.Run, rows: int, killer: int = -1, every: int = 0) -> str:
    """How many rows came out, and whether they are just those that are good, once each and in order."""
    good = [2 * x for x in range(1, rows + 1) if x != killer and not (every and x % every == 0)]
    got = finished.result.to_pandas()["y"].tolist()
    return f"{len(got)} of {rows} rows delivered, {'all the good ones once' if got == good else 'NOT THE GOOD ONES'}"


FAULTS: dict[str, Callable[[Path, Start, int, Sizes, float], None]] = {
    "kills": kills,
    "bad-node": bad_node,
    "killer": killer,
    "segfault": partial(killer, segfault=True),
    "explosions": explosions,
}


def main() -> None:
    """Print a line for each kind of fault."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", choices=sorted(ENGINES), default="dask")
    parser.add_argument("--only", choices=sorted(FAULTS), help="This kind of fault alone.")
    parser.add_argument("--every", type=float, default=EVERY, help="Seconds between two kills.")
    parser.add_argument("--short", action="store_true")
    for name in ("rows", "tasks", "explosions"):
        parser.add_argument(f"--{name}", type=int, help="Instead of the size's own.")
    asked = parser.parse_args()
    start, workers = ENGINES[asked.engine]
    sizes = Sizes(1_000, 20, 0.5, 5) if asked.short else Sizes(100_000, 200, 0.5, 100)
    sizes = replace(sizes, **{n: v for n in ("rows", "tasks", "explosions") if (v := getattr(asked, n)) is not None})
    for name, play in FAULTS.items():
        if asked.only in (None, name):
            with tempfile.TemporaryDirectory() as folder:
                play(Path(folder), start, workers, sizes, asked.every)


def told(finished: pt.Run, text: str, tasks: int) -> None:
    """One line."""
    print(f"{text}, exit code {finished.exit_code}, attempts more: {finished.attempted - tasks}")


if __name__ == "__main__":
    main()
