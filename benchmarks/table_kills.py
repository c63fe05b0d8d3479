"""Exactly once into Delta, Iceberg and PostgreSQL: SIGKILL of the driver and of workers at twenty moments each.

python -m benchmarks.table_kills [--short] [--table delta|iceberg|postgresql] [--only drivers|workers] [--postgres URL]

Every moment appends 2,000 rows of its own to one table, with ``mode="append"``: the driver is killed there, and the same
command is started again until it ends. Then the table must hold every row once: count, sum and number of different
values are compared each time. Workers kill themselves, each sub-task its own the first time that it runs.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

import partitioner as pt
from benchmarks.postgres_server import server
from benchmarks.versions import versions
from partitioner.coordinator.execute import Collector
from partitioner.model import EventKind
from partitioner.runs import results
from partitioner.store.run_directory import RunDirectory

ROWS, TASKS = 2000, 20
TABLES = ("delta", "iceberg", "postgresql")

# What kills the driver: (where, how many) once per start of the command. ``commit``: after so many sub-tasks;
# ``rows``: in the transaction, after so many pieces of rows (21: all of them); ``during``: from outside, so many
# milliseconds after the transaction began.
MOMENTS: tuple[tuple[tuple[str, int], ...], ...] = (
    *((("commit", n),) for n in (1, 5, 10, 15, 20)),
    (("planned", 0),),
    (("checked", 0),),
    *((("rows", n),) for n in (0, 1, 10, 21)),
    *((("during", ms),) for ms in (5, 20, 60, 150)),
    (("wrote", 0),),
    (("before finish", 0),),
    (("after finish", 0),),
    (("rows", 10), ("wrote", 0)),
    (("during", 20), ("during", 40)),
)
SHORT: tuple[tuple[tuple[str, int], ...], ...] = ((("rows", 10),), (("during", 20),), (("rows", 21), ("wrote", 0)))


@dataclass(frozen=True)
class Place:
    """One table: the settings that write to it."""

    kind: str
    home: Path
    url: str = ""

    @property
    def settings(self) -> dict[str, Any]:
        if self.kind == "delta":
            return {"output": str(self.home / "table"), "format": "delta"}
        if self.kind == "iceberg":
            catalog = {"name": "c", "type": "sql", "uri": f"sqlite:///{self.home}/c.db"}
            return {"output": "iceberg://n.t", "catalog": {**catalog, "warehouse": f"file://{self.home}"}}
        return {"output": f"{self.url}#kills"}

    def values(self) -> list[int]:
        """The column ``x`` of the table, by its own reader."""
        if self.kind == "delta":
            from deltalake import DeltaTable

            return list(DeltaTable(self.home / "table").to_pyarrow_table()["x"].to_pylist())
        if self.kind == "iceberg":
            from pyiceberg.catalog import load_catalog

            return list(load_catalog(**self.settings["catalog"]).load_table("n.t").scan().to_arrow()["x"].to_pylist())
        from adbc_driver_postgresql import dbapi

        with closing(dbapi.connect(self.url)) as connection, closing(connection.cursor()) as cursor:
            cursor.execute("SELECT x FROM kills")
            return [row[0] for row in cursor.fetchall()]


def same(batch: pd.DataFrame, marks: str = "") -> pd.DataFrame:
    """The rows; with ``marks`` the process is killed the first time that it works on a sub-task."""
    if marks:
        mark = Path(marks, pt.task_context().task_key)
        if not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
    return batch


def start(place: Place, number: int, engine: Any = "serial", resume: str | None = None, **options: Any) -> None:
    """The command of one moment: it appends its own rows."""
    data = place.home / f"input-{number}.parquet"
    if not data.exists():
        x = range(number * ROWS, (number + 1) * ROWS)
        pq.write_table(pa.table({"x": x, "text": [f"row {i}" for i in x]}), data, row_group_size=ROWS // TASKS)
    pt.run(
        str(data),
        same,
        mode="append",
        name=f"moment-{number}",
        engine=engine,
        resume=resume,
        checkpoint=str(place.home / "runs"),
        cost="rows",
        max_tasks=TASKS,
        min_tasks_per_slot=TASKS,
        progress=False,
        report=False,
        **place.settings,
        **options,
    )


def die(*_: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def armed(where: str, count: int, began: Callable[[], None]) -> None:
    """Make this process die at a moment."""
    write, observe, finished = results.to_table, Collector.observe, RunDirectory.mark_finished
    seen = [0]

    def writing(form: Any, config: Any, tables: Iterator[pa.Table], *rest: Any) -> None:
        began()
        write(form, config, _dying(tables, count) if where == "rows" else tables, *rest)
        if where == "wrote":
            die()

    def observing(self: Collector, state: Any, events: Any, actions: Any) -> None:
        observe(self, state, events, actions)
        seen[0] += sum(event.kind is EventKind.FINISHED for event in events)
        if (where == "commit" and seen[0] >= count) or where == "planned":
            die()

    def finishing(self: RunDirectory, counts: Any) -> None:
        if where == "before finish":
            die()
        finished(self, counts)
        if where == "after finish":
            die()

    results.to_table, Collector.observe = writing, observing  # type: ignore[assignment,method-assign]
    RunDirectory.mark_finished = finishing  # type: ignore[method-assign]
    if where == "checked":
        results.check_rows = die  # type: ignore[assignment]


def _dying(tables: Iterator[pa.Table], pieces: int) -> Iterator[pa.Table]:
    for i, table in enumerate(tables):
        if i == pieces:
            die()
        yield table
    die()


def in_child(work: Callable[[Callable[[], None]], Any], kill_after: float | None = None) -> int:
    """Run in a process of its own; its exit status, negative where a signal ended it.

    ``kill_after`` seconds after it says that its transaction began it is killed from here.
    """
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(reading)
            work(lambda: os.close(writing))
            os._exit(0)
        except BaseException as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
            os._exit(1)
    os.close(writing)
    os.read(reading, 1)  # returns when the other end is closed
    os.close(reading)
    if kill_after is not None:
        time.sleep(kill_after)
        os.kill(pid, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def killed_at(place: Place, number: int, moment: tuple[tuple[str, int], ...]) -> int:
    """Start, kill, start again; how many of the starts were killed."""
    kills = 0
    for where, count in moment:

        def dying(began: Callable[[], None], where: str = where, count: int = count) -> None:
            armed(where, count, began)
            start(place, number)

        status = in_child(dying, count / 1000 if where == "during" else None)
        assert status in (0, -signal.SIGKILL), f"the driver ended with {status}, not by the kill"
        kills += status != 0
    finished = any(run.joinpath("finished.json").exists() for run in (place.home / "runs").glob(f"*-moment-{number}"))
    if not finished:  # the same command again, as a schedule does; one that had finished would append once more
        assert in_child(lambda began: start(place, number)) == 0
    return kills


def checked(place: Place, numbers: int) -> None:
    """Count, sum and different values of the table, read in a process of its own. AssertionError where they are wrong."""

    def right(began: Callable[[], None]) -> None:
        values, n = place.values(), numbers * ROWS
        found, wanted = (len(values), sum(values), len(set(values))), (n, n * (n - 1) // 2, n)
        assert found == wanted, f"count, sum, different: {found}, not {wanted}"

    assert in_child(right) == 0, f"{place.kind}: rows are not there once each"


def drivers(place: Place, moments: tuple[tuple[tuple[str, int], ...], ...]) -> int:
    """All moments of the driver; the number of kills."""
    kills = 0
    for number, moment in enumerate(moments):
        kills += killed_at(place, number, moment)
        checked(place, number + 1)
    return kills


def workers(place: Place, number: int, runs: int) -> int:
    """Runs on two Dask workers in which every fourth sub-task kills its worker once; the number of kills."""
    kills = 0
    for i in range(number, number + runs):
        marks = place.home / f"marks-{i}"
        marks.mkdir()
        for key in range(TASKS):
            if key % 4 != (i - number) % 4:
                (marks / f"t{key:06d}").touch()  # as if it had run before
        (marks / "trial").touch()
        before = len(list(marks.iterdir()))

        def work(began: Callable[[], None], i: int = i, marks: Path = marks) -> None:
            engine = {"engine": "dask", "workers": 2}
            start(place, i, engine, arguments={"marks": str(marks)}, max_retries=10)

        ended = [in_child(work)]
        while ended[-1]:  # a cluster that lost its workers faster than they came back: the same command again
            assert len(ended) < 10
            ended.append(in_child(work))
        kills += len(list(marks.iterdir())) - before
        checked(place, i + 1)
    return kills


def dropped(url: str) -> None:
    """A server that was given may hold the table of a run before."""
    from adbc_driver_postgresql import dbapi

    with closing(dbapi.connect(url)) as connection, closing(connection.cursor()) as cursor:
        cursor.execute("DROP TABLE IF EXISTS kills")
        connection.commit()


def main() -> None:
    """Print one line per table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--table", choices=TABLES)
    parser.add_argument("--only", choices=("drivers", "workers"))
    parser.add_argument("--postgres", help="URL of a server; by default one is started")
    options = parser.parse_args()
    print(versions("pyarrow", "deltalake", "pyiceberg", "adbc-driver-postgresql"), flush=True)
    moments = () if options.only == "workers" else SHORT if options.short else MOMENTS
    runs = 0 if options.only == "drivers" or (options.short and options.only is None) else 4
    for kind in (options.table,) if options.table else TABLES:
        with tempfile.TemporaryDirectory() as folder, ExitStack() as held:
            url = (options.postgres or held.enter_context(server())) if kind == "postgresql" else ""
            place, began = Place(kind, Path(folder), url), time.time()
            if options.postgres:
                in_child(lambda _, url=url: dropped(url))
            killed = drivers(place, moments)
            died = workers(place, len(moments), runs)
            print(
                f"{kind}: {len(moments)} moments of the driver ({killed} kills), {died} kills of workers: every row once "
                f"each time ({time.time() - began:.0f} s)",
                flush=True,
            )


if __name__ == "__main__":
    main()
