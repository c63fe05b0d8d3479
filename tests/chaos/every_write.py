"""Drivers that die right after each of their writes in turn, each followed by one that goes on.

``python -m tests.chaos.every_write FOLDER [NAME...]`` prints a line for each write (those whose names begin so, else all):
what the next driver delivered must be what an undisturbed one does, byte for byte. Exit code 1 where it is not.
Every driver is a fork of this process, which has loaded the libraries and opened no store.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import obstore
import pandas as pd
import pyarrow as pa

import partitioner as pt

ROWS, TASKS = 9, 3
LOADED = ("partitioner.running", "partitioner.attempt.run", "partitioner.reducers.concat", "connectors.parquet_sink")


def fails_on_four(batch: pd.DataFrame) -> pd.DataFrame:
    if (batch["x"] == 4).any():
        raise ValueError("four")
    return pd.DataFrame({"y": batch["x"] * 2})


def driver(home: Path, **options: Any) -> pt.Run:
    settings: dict[str, Any] = {"cost": "rows", "engine": "serial", "max_tasks": TASKS, "min_tasks_per_slot": TASKS}
    settings |= {"on_error": "quarantine", "progress": False, "report": False, "fsync": "never"}
    places = {"checkpoint": str(home / "runs"), "output": str(home / "out")}
    return pt.run(pa.table({"x": range(ROWS)}), fails_on_four, **{**settings, **places, **options})


def dying(names: Path, after: int) -> None:
    """Note the name of every write; die after one of them (0: never)."""
    put, count = obstore.put, [0]

    def counted(store: Any, path: str, *args: Any, **options: Any) -> Any:
        result = put(store, path, *args, **options)
        count[0] += 1
        with names.open("a") as file:
            file.write(f"{path}\n")
        if count[0] == after:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    obstore.put = counted  # type: ignore[assignment]


def forked(work: Callable[[], None]) -> int:
    """What became of a driver: its exit code, or minus the signal that ended it."""
    sys.stdout.flush()
    if pid := os.fork():
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    code = 1
    try:
        work()
        code = 0
    except Exception:
        traceback.print_exc()
    finally:
        os._exit(code)


def goes_on(home: Path) -> None:
    """Resume the run where there is one, else begin it; write down what came of it."""
    runs = [path.parent for path in (home / "runs").glob("*/run.json")]
    finished = driver(home, **({"resume": str(runs[0])} if runs else {}))
    output = {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted((home / "out").glob("part-*"))}
    facts = {"y": finished.result.to_pandas()["y"].tolist(), "counts": dict(finished.counts), "output": output}
    facts |= {"success": (home / "out" / "_SUCCESS").exists(), "exit code": finished.exit_code}
    (home / "told.json").write_text(json.dumps(facts))


def story(home: Path, after: int) -> tuple[list[str], bool, Any]:
    """A driver that dies after its n-th write, and the next one: the writes, whether it died, and what came of it."""
    home.mkdir(parents=True)
    names = home / "names"

    def first() -> None:
        dying(names, after)
        driver(home)

    died = forked(first) == -signal.SIGKILL
    went_on = forked(lambda: goes_on(home))
    return names.read_text().split(), died, json.loads((home / "told.json").read_text()) if went_on == 0 else None


def main() -> int:
    home, asked = Path(sys.argv[1]), tuple(sys.argv[2:])
    for name in LOADED:
        import_module(name)
    pt.plan(pa.table({"x": range(ROWS)}), fails_on_four, cost="rows", workers=1)  # loads what plans
    writes, _, expected = story(home / "whole", 0)
    assert expected["y"] == [2 * x for x in range(ROWS) if x != 4]
    broken = 0
    for n, name in enumerate(writes, 1):
        if not asked or name.startswith(asked):
            before, died, told = story(home / str(n), n)
            good = died and told == expected and len(before) == n
            broken += not good
            print("the same" if good else f"BROKEN {told}", name)
    return int(broken > 0)


if __name__ == "__main__":
    raise SystemExit(main())
