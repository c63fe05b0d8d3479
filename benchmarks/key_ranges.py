"""Sub-tasks over a PostgreSQL table with a skewed key: cut at equal rows, beside ranges of equal width as JDBC sources make.

python -m benchmarks.key_ranges [--rows 1000000] [--tasks 32]

Half of the keys are drawn by Zipf's law, so that one key alone has many of the rows; the others lie far out and with
holes. Each sub-task is read on its own and each of its rows is worked on; seconds are the least of three.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from contextlib import closing

import numpy as np
import pyarrow as pa
from adbc_driver_postgresql import dbapi

import partitioner as pt
from benchmarks.postgres_server import server
from benchmarks.versions import versions
from connectors.key_ranges import Range
from connectors.sql import SqlSource
from partitioner.model import Dataset

REPEATS = 3
WORK = 200  # iterations of a small loop per 100 rows: the program's share, the same for every row


def filled(url: str, rows: int) -> None:
    """The table ``events``: half Zipf, half sparse keys up to a billion."""
    draw = np.random.default_rng(7)
    crowded = np.minimum(draw.zipf(1.3, rows // 2), 10**9)
    sparse = np.sort(draw.integers(10**6, 10**9, rows - rows // 2)) // 10_000 * 10_000
    keys = draw.permutation(np.concatenate([crowded, sparse]))
    table = pa.table({"id": keys, "value": draw.random(rows)})
    with closing(dbapi.connect(url)) as connection, closing(connection.cursor()) as cursor:
        cursor.adbc_ingest("events", table, mode="replace")
        cursor.execute("CREATE INDEX ON events (id)")
        connection.commit()
        cursor.execute("ANALYZE events")
        connection.commit()


def of_equal_width(source: SqlSource, url: str, ranges: int) -> SqlSource:
    """The same table cut by the value of its key."""
    from dataclasses import replace

    with closing(dbapi.connect(url)) as connection, closing(connection.cursor()) as cursor:
        cursor.execute("SELECT min(id), max(id) FROM events")
        low, high = cursor.fetchone()
        bounds = [int(low + (high - low) * i // ranges) for i in range(ranges)]
        cuts = list(zip(bounds, [*bounds[1:], None], strict=True))
        known = []
        for a, b in cuts:
            cursor.execute(f"SELECT count(*) FROM events WHERE id >= {a}" + (f" AND id < {b}" if b is not None else ""))
            known.append(Range(cursor.fetchone()[0], a, b))
    return replace(source, known=tuple(known))


def measured(dataset: Dataset, tasks: Sequence[Sequence[int]]) -> tuple[np.ndarray, np.ndarray]:
    """Wall and CPU seconds of every sub-task, given by its fragments; the least of some repeats."""
    wall = np.full(len(tasks), np.inf)
    cpu = wall.copy()
    for _ in range(REPEATS):
        for task, fragments in enumerate(tasks):
            began, used = time.perf_counter(), time.process_time()
            for i in fragments:
                for batch in dataset.source.read(dataset.fragments[int(i)]):
                    sum(range(WORK * batch.num_rows // 100))
            wall[task] = min(wall[task], time.perf_counter() - began)
            cpu[task] = min(cpu[task], time.process_time() - used)
    return wall, cpu


def main() -> None:
    """Print a line for each way to cut."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--tasks", type=int, default=32)
    options = parser.parse_args()
    print(versions("pyarrow", "adbc-driver-postgresql"))
    with server() as url:
        filled(url, options.rows)
        source = SqlSource(url, "events", "id")
        began = time.perf_counter()
        ranges = source.describe()
        print(f"{options.rows} rows cut into {len(ranges.fragments)} ranges in {time.perf_counter() - began:.1f} s")
        tasks = pt.plan(
            ranges.source, cost="rows", workers=1, max_tasks=options.tasks, min_tasks_per_slot=options.tasks
        ).tasks
        packed = [tasks.fragments_of(i).tolist() for i in range(len(tasks))]
        width = of_equal_width(ranges.source, url, options.tasks).describe()  # type: ignore[arg-type]
        for name, dataset, held in (
            ("equal rows", ranges, packed),
            ("equal width", width, [[i] for i in range(len(width.fragments))]),
        ):
            wall, cpu = measured(dataset, held)
            rows = np.array([dataset.fragments.rows[fragments].sum() for fragments in held])
            assert rows.sum() == options.rows
            print(
                f"{name}: {len(rows)} sub-tasks, largest / mean: rows {rows.max() / rows.mean():.2f}, "
                f"CPU seconds {cpu.max() / cpu.mean():.2f}, seconds {wall.max() / wall.mean():.2f}"
            )


if __name__ == "__main__":
    main()
