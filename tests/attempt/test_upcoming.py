"""The next sub-task's first batch is read while the program works on the present one; what comes of it is the same."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import partitioner as pt
from partitioner.attempt import upcoming
from partitioner.model import Attempt, Dataset, Fragment, Upcoming
from partitioner.store.run_directory import RunDirectory
from partitioner.testing.tables import TableSource

ROWS, EACH = 12, 3


class Watched(TableSource):
    """Fragments of three rows; leaves a line for every one that is read, and fails where a file says so."""

    def __init__(self, table: pa.Table, folder: str) -> None:
        super().__init__(table)
        self.folder = folder

    def describe(self) -> Dataset:
        return self.dataset([EACH] * (ROWS // EACH))

    def read(self, fragment: Fragment, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        with Path(self.folder, "reads").open("a") as lines:
            lines.write(f"{fragment.index}\n")
        failing = Path(self.folder, f"fail-{fragment.index}")
        if failing.exists():
            failing.unlink()
            raise OSError("the store hiccups once")
        yield from super().read(fragment, columns)


@pytest.fixture
def source(tmp_path: Path) -> Watched:
    return Watched(pa.table({"x": range(ROWS)}), str(tmp_path))


def reads(folder: str) -> list[int]:
    """The fragments that were read, in order."""
    return [int(line) for line in Path(folder, "reads").read_text().split()]


def waits_for_the_next(batch: pa.RecordBatch, folder: str) -> pa.RecordBatch:
    """Returns once the fragment behind these rows is being read, which it never is before the next sub-task begins."""
    following, until = batch.column(0)[-1].as_py() // EACH + 1, time.monotonic() + 20.0
    while pt.task_context().task_key != "trial" and following < ROWS // EACH and following not in reads(folder):
        assert time.monotonic() < until, f"fragment {following} is not read ahead"
        time.sleep(0.01)
    return batch


def same(batch: pa.RecordBatch, folder: str) -> pa.RecordBatch:
    return batch


def run(source: Watched, program: Any, checkpoint: str, **options: Any) -> pt.Run:
    settings: dict[str, Any] = {"cost": "rows", "max_tasks": 4, "engine": "serial", "batch_format": "arrow", **options}
    arguments = {"folder": source.folder}
    return pt.run(source, program, arguments=arguments, checkpoint=checkpoint, progress=False, report=False, **settings)


@pytest.mark.parametrize("batching", [{}, {"batch_size": 100}])
def test_the_next_sub_task_is_read_while_the_program_works_on_this_one(
    source: Watched, checkpoint: str, batching: dict[str, int]
) -> None:
    finished = run(source, waits_for_the_next, checkpoint, **batching)
    assert finished.result.to_table().column("x").to_pylist() == list(range(ROWS))
    assert [r.task_key for r in finished.records] == ["t000000", "t000001", "t000002", "t000003"]


def test_a_dask_worker_reads_ahead(source: Watched, checkpoint: str) -> None:
    finished = run(source, waits_for_the_next, checkpoint, engine={"engine": "dask", "workers": 1}, hand_over=False)
    assert finished.result.to_table().column("x").to_pylist() == list(range(ROWS))


@pytest.mark.parametrize("reducer", ["concat", "count"])
@pytest.mark.parametrize("batching", [{}, {"batch_size": 2}])
def test_every_row_is_read_once(source: Watched, checkpoint: str, batching: dict[str, int], reducer: str) -> None:
    finished = run(source, same, checkpoint, reducer=reducer, **batching)
    assert reads(source.folder)[-4:] == [0, 1, 2, 3]
    assert [(r.rows_in, r.bytes_read) for r in finished.records] == [(3, 24)] * 4


def test_a_read_that_fails_ahead_is_done_again_by_the_attempt(source: Watched, checkpoint: str) -> None:
    Path(source.folder, "fail-2").touch()
    finished = run(source, same, checkpoint)
    assert (len(finished.result), finished.attempted) == (ROWS, 4)


class OfRun:
    """What ``begin`` asks of a loaded job."""

    run = RunDirectory("memory://upcoming")


def items(value: int) -> Iterator[upcoming.Item]:
    yield value, None


@pytest.fixture
def begun() -> Iterator[list[Fragment]]:
    """Sub-tasks 1 and 2 are read ahead, of which one is kept."""
    rows = [Fragment(0, "part-0", -1, 0, 3, 3, 24)]
    for task in (1, 2):
        upcoming.begin(OfRun(), Upcoming(task, kept=1), rows, items(task), everything=False)  # type: ignore[arg-type]
    yield rows
    upcoming.forget(OfRun.run.url)


def taken(task: int, rows: list[Fragment]) -> list[upcoming.Item]:
    return list(upcoming.taken(Attempt("t", task, 0, "w", OfRun.run.url), rows, items(-1)))


def test_what_was_read_ahead_is_taken_once(begun: list[Fragment]) -> None:
    assert [taken(2, begun), taken(2, begun)] == [[(2, None)], [(-1, None)]]


def test_no_more_is_kept_than_slots(begun: list[Fragment]) -> None:
    assert taken(1, begun) == [(-1, None)]


def test_other_rows_are_not_taken_for_those_of_the_attempt(begun: list[Fragment]) -> None:
    assert taken(2, [*begun, *begun]) == [(-1, None)]


def test_a_run_that_is_over_is_forgotten(begun: list[Fragment]) -> None:
    upcoming.forget(OfRun.run.url)
    assert taken(2, begun) == [(-1, None)]
