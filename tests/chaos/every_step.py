"""Drivers that die before each step of publishing a version in turn, with a reader at work all the time.

``python -m tests.chaos.every_step FOLDER [--form NAME]... [--engine NAME] [--begin N] [--stride N]`` prints a line for each
step: what a reader saw before, between and after was the old output or the new one, never a mixture, and never the old one
after the new one; the next driver delivers what an undisturbed one does. Exit code 1 where it is not so. A step is whatever
changes a file: a write, a link, a folder, a rename, a removal, the exchange of two folders.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

import partitioner as pt
from partitioner.output import finishing, publishing
from tests.chaos.every_write import LOADED, forked

OLD, NEW, TASKS = range(9), range(100, 112), 3
SETTINGS: dict[str, dict[str, Any]] = {
    "folder": {"output": "out"},
    "steps": {"output": "out"},  # as a disk that cannot exchange folders, and a store, publish
    "days": {"output": "out", "format": "csv", "partition_by": ["day"]},
    "file": {"output": "out.csv"},
    "mean": {"output": "out", "reducer": "mean"},
}
SPARK = {"engine": "spark", "master": "local-cluster[2,1,1024]"}
CHANGES = frozenset({"os.mkdir", "os.link", "os.rename", "os.remove", "os.rmdir", "os.chmod", "ctypes.dlsym"})


def twice(batch: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({"y": batch["x"] * 2, "day": batch["x"] % 2})


def twice_only(batch: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({"y": batch["x"] * 2})


def driver(home: Path, form: str, rows: range, engine: Any = "serial", **options: Any) -> pt.Run:
    if form == "steps":
        publishing._exchange = lambda one, other: False
    places = {**SETTINGS[form], "checkpoint": str(home / "runs"), "output": str(home / SETTINGS[form]["output"])}
    settings = {"cost": "rows", "engine": engine, "max_tasks": TASKS, "min_tasks_per_slot": TASKS, "mode": "overwrite"}
    settings |= {"progress": False, "report": False, "fsync": "never", **places, **options}
    return pt.run(pa.table({"x": rows}), twice if form == "days" else twice_only, **settings)


def dying(log: Path, after: int) -> None:
    """Note every step from the first of putting the version together; die before one of them (0: never)."""
    began, count, finish = [False], [0], finishing.finish

    def step(name: str) -> None:
        if not began[0] or count[0] < 0:
            return
        at, count[0] = count[0] + 1, -1  # writing this down is no step
        with log.open("a") as file:
            file.write(f"{name}\n")
        if at == after:
            os.kill(os.getpid(), signal.SIGKILL)
        count[0] = at

    def audited(event: str, args: tuple[Any, ...]) -> None:
        flags = 0 if event != "open" or isinstance(args[0], int) else args[2]  # what has a number was opened before
        if isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR):
            step(f"open {Path(os.fsdecode(args[0])).name}")
        elif event in CHANGES and (event != "ctypes.dlsym" or args[1] == "renameat2"):
            step(f"{event} {Path(str(args[0])).name if event != 'ctypes.dlsym' else args[1]}")

    def wrapped(name: str) -> None:
        import obstore

        call = getattr(obstore, name)

        def stepped(store: Any, path: Any, *args: Any, **options: Any) -> Any:
            step(f"{name} {path}")
            return call(store, path, *args, **options)

        setattr(obstore, name, stepped)

    def finishing_now(*args: Any, **options: Any) -> Any:
        began[0] = True
        return finish(*args, **options)

    for name in ("put", "copy", "delete"):
        wrapped(name)
    finishing.finish = finishing_now
    sys.addaudithook(audited)


def read(home: Path, form: str) -> Any:
    """What a reader of plain files sees now."""
    out = home / SETTINGS[form]["output"]
    if form == "file":
        return sorted(pd.read_csv(out)["y"].tolist())
    if form == "mean":
        return pt.load_result(f"{out}/result.pkl")
    if form == "days":
        files = ds.dataset(out, format="csv", partitioning="hive").files
        return sorted(y for f in files for y in pd.read_csv(f)["y"].tolist())
    if form == "steps":
        named = json.loads((out / "_manifest.json").read_text())["files"]
        files = [str(out / f["path"]) for f in named]
    else:
        files = ds.dataset(out, format="parquet").files
    return sorted(y for f in files for y in pq.read_table(f)["y"].to_pylist())


def reading(home: Path, form: str, known: dict[str, Any], told: Path) -> None:
    """Read until ``told`` is asked for; the states in the order seen, how often, and what was neither."""
    seen: list[str] = []
    often: Counter[str] = Counter()
    while True:
        last = (home / "stop").exists()
        try:
            found = read(home, form)
            state = next((name for name, value in known.items() if value == found), f"MIXTURE {found}")
        except FileNotFoundError:
            state = "again"  # it listed before and opened after: readers start again
        often[state] += 1
        if state != "again" and state != (seen[-1] if seen else ""):
            seen.append(state)
        if last:
            told.write_text(json.dumps([seen, often]))
            return


@contextmanager
def reader(home: Path, form: str, known: dict[str, Any]) -> Iterator[Callable[[], tuple[list[str], dict[str, int]]]]:
    """A reader in a process of its own; a function that ends it and says what it saw."""
    pid = os.fork()
    if not pid:
        code = 1
        try:
            reading(home, form, known, home / "seen.json")
            code = 0
        except BaseException as error:
            (home / "seen.json").write_text(json.dumps([[f"ERROR {type(error).__name__}: {error}"], {}]))
        finally:
            os._exit(code)

    def ended() -> tuple[list[str], dict[str, int]]:
        (home / "stop").touch()
        os.waitpid(pid, 0)
        seen, often = json.loads((home / "seen.json").read_text())
        return seen, often

    yield ended


def facts(home: Path, form: str) -> dict[str, Any]:
    """What lies at the output, and beside it, once all is done."""
    out = home / SETTINGS[form]["output"]
    names = [p.relative_to(home).as_posix() for p in home.rglob("*") if p.is_file() and "runs" not in p.parts]
    own = {"names", "told.json", "seen.json", "stop"}
    return {"value": read(home, form), "files": sorted(n for n in names if n not in own), "there": out.exists()}


def apart(work: Callable[[], Any], told: Path) -> Any:
    """What a fork says: this process opens no store, so that its forks can."""
    assert forked(lambda: told.write_text(json.dumps(work()))) == 0
    return json.loads(told.read_text())


def goes_on(home: Path, form: str, engine: Any) -> None:
    run = max((home / "runs").glob("*/run.json"), key=lambda p: p.stat().st_mtime).parent
    driver(home, form, NEW, engine, resume=str(run))


def in_process(work: list[str], engine: Any) -> int:
    """A driver of its own process; a fork where the engine needs no JVM."""
    if engine == "serial":
        return forked(lambda: main(work))
    return subprocess.run([sys.executable, "-m", "tests.chaos.every_step", *work], check=False, timeout=300).returncode


def story(home: Path, form: str, engine: Any, after: int) -> tuple[list[str], list[str], Any]:
    """Steps, what is wrong, and what is there in the end."""
    home.mkdir(parents=True)
    assert forked(lambda: driver(home, form, OLD)) == 0
    y = [2 * x for x in NEW]
    known = {
        "old": apart(lambda: read(home, form), home / "told.json"),
        "new": {"y": sum(y) / len(y)} if form == "mean" else y,
    }
    how = "spark" if engine != "serial" else "serial"
    wrong: list[str] = []
    with reader(home, form, known) as ended:
        first = in_process([str(home), "--form", form, "--engine", how, "--die", str(after)], engine)
        time.sleep(0.05)
        second = in_process([str(home), "--form", form, "--engine", how, "--go-on"], engine)
        seen, often = ended()
    if first != (-signal.SIGKILL if after else 0) or second != 0:
        wrong.append(f"drivers ended with {first}, {second}")
    if seen != ["old", "new"]:
        wrong.append(f"readers saw {seen}")
    if often.get("again", 0) > sum(often.values()) / 2:
        wrong.append(f"readers found nothing {often}")
    return (home / "names").read_text().splitlines(), wrong, apart(lambda: facts(home, form), home / "told.json")


def main(argv: list[str] | None = None) -> int:
    """Print a line per step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("home", type=Path)
    parser.add_argument("--form", action="append", choices=SETTINGS)
    parser.add_argument("--engine", choices=("serial", "spark"), default="serial")
    parser.add_argument("--begin", type=int, default=1)
    parser.add_argument("--stride", type=int, default=1)
    parser.add_argument("--die", type=int)
    parser.add_argument("--go-on", action="store_true")
    options = parser.parse_args(argv)
    engine: Any = "serial" if options.engine == "serial" else SPARK
    if options.die is not None:
        dying(options.home / "names", options.die)
        driver(options.home, options.form[0], NEW, engine)
        return 0
    if options.go_on:
        goes_on(options.home, options.form[0], engine)
        return 0
    for name in LOADED:
        import_module(name)
    pt.plan(pa.table({"x": OLD}), twice_only, cost="rows", workers=1)
    broken = 0
    for form in options.form or SETTINGS:
        home = options.home / form
        steps, wrong, expected = story(home / "whole", form, engine, 0)
        broken += bool(wrong)
        print(form, "whole", wrong or "good", flush=True)
        for n in range(options.begin, len(steps) + 1, options.stride):
            _, wrong, found = story(home / str(n), form, engine, n)
            if found != expected:
                wrong.append(f"there is {found}, not {expected}")
            broken += bool(wrong)
            print(form, n, "good" if not wrong else f"BROKEN {'; '.join(wrong)}", steps[n - 1], flush=True)
    return int(broken > 0)


if __name__ == "__main__":
    raise SystemExit(main())
