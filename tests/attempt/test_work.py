"""What an attempt reads: runs of fragments, the rows of a part, and what the program gets at once."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from partitioner.attempt.batching import Batcher
from partitioner.attempt.tally import Tally
from partitioner.attempt.work import calls_of, read, runs_of
from partitioner.model import Fragment, Fragments, SubTasks


def fragment(index: int, start: int, rows: int, path: str = "f", section: int = 0) -> Fragment:
    return Fragment(index, path, section, start, start + max(rows, 0), rows, 8)


class Source:
    """Rows numbered by their place, in batches of ``batch`` rows; notes what is read."""

    def __init__(self, batch: int = 100, lengths: dict[int, int] | None = None) -> None:
        self.batch, self.lengths, self.seen = batch, lengths or {}, list[int]()
        self.batches = 0

    def read(self, fragment: Fragment, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        assert columns == ("x",)
        self.seen.append(fragment.index)
        stop = fragment.start + self.lengths.get(fragment.index, fragment.rows)
        for start in range(fragment.start, stop, self.batch):
            self.batches += 1
            yield pa.RecordBatch.from_pydict({"x": list(range(start, min(start + self.batch, stop)))})


def loaded(source: Source, batcher: Batcher | None = None, whole_task: bool = False) -> Any:
    job = SimpleNamespace(source=source, columns=("x",), reducer=SimpleNamespace(whole_task=whole_task))
    return SimpleNamespace(job=job, batcher=batcher)


def three() -> list[Fragment]:
    return [fragment(0, 0, 4), fragment(1, 4, 3), fragment(2, 7, 3)]


def x_of(batches: Any) -> list[list[int]]:
    return [batch.column(0).to_pylist() for batch in batches]


def test_all_rows_come_in_order_and_are_counted() -> None:
    tally = Tally()
    assert x_of(read(loaded(Source()), three(), tally)) == [[0, 1, 2, 3], [4, 5, 6], [7, 8, 9]]
    assert (tally.position, tally.bytes_read) == (10, 80)


@pytest.mark.parametrize(
    ("part", "expected", "seen"),
    [
        ((0, 4), [[0, 1, 2, 3]], [0]),
        ((0, 3), [[0, 1, 2]], [0]),
        ((4, 7), [[4, 5, 6]], [1]),
        ((5, 6), [[5]], [1]),
        ((1, 3), [[1, 2]], [0]),
        ((3, 5), [[3], [4]], [0, 1]),
        ((5, 9), [[5, 6], [7, 8]], [1, 2]),
        ((9, 10), [[9]], [2]),
        ((4, 4), [], []),
        ((10, 12), [], []),
    ],
)
def test_a_part_reads_its_rows_and_no_fragment_beside_them(
    part: tuple[int, int], expected: list[list[int]], seen: list[int]
) -> None:
    source, tally = Source(), Tally(part=part)
    assert x_of(read(loaded(source), three(), tally)) == expected
    assert source.seen == seen
    assert tally.bytes_read == 8 * sum(map(len, expected))


def test_a_part_reads_no_batch_beyond_its_end() -> None:
    source = Source(batch=2)
    assert x_of(read(loaded(source), [fragment(0, 0, 8)], Tally(part=(1, 4)))) == [[1], [2, 3]]
    assert source.batches <= 3


def test_rows_that_only_reading_tells_are_counted_on_the_way() -> None:
    source = Source(lengths={0: 4, 1: 3})
    unknown = [fragment(0, 0, -1), fragment(1, 4, -1), fragment(2, 7, 3)]
    tally = Tally(part=(5, 8))
    assert x_of(read(loaded(source), unknown, tally)) == [[5, 6], [7]]
    assert source.seen == [0, 1, 2]


def test_the_place_goes_on_from_run_to_run() -> None:
    source, tally = Source(), Tally(part=(2, 9))
    first = x_of(read(loaded(source), three()[:1], tally))
    assert tally.position == 4
    assert first + x_of(read(loaded(source), three()[1:], tally)) == [[2, 3], [4, 5, 6], [7, 8]]
    assert tally.position == 10


def test_skipped_fragments_count_for_the_place() -> None:
    tally = Tally(part=(7, 9))
    assert x_of(read(loaded(Source()), three()[:2], tally)) == []
    assert tally.position == 7
    assert x_of(read(loaded(Source()), three()[2:], tally)) == [[7, 8]]


def test_reading_ahead_gives_the_same() -> None:
    assert x_of(read(loaded(Source(2)), three(), Tally(part=(1, 8)), overlap=True)) == [[1], [2, 3], [4, 5], [6], [7]]


def test_the_time_spent_waiting_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter([10.0, 12.0, 20.0, 23.0, 30.0, 30.5])
    monkeypatch.setattr("partitioner.attempt.work.time.perf_counter", lambda: next(now))
    tally = Tally()
    assert len(list(read(loaded(Source()), [fragment(0, 0, 2)], tally))) == 1
    assert tally.read_seconds == 5.5


def test_without_batch_settings_all_rows_come_at_once() -> None:
    ((batch, places),) = calls_of(loaded(Source(2)), three(), Tally())
    assert (batch.column(0).to_pylist(), places) == (list(range(10)), None)
    assert list(calls_of(loaded(Source()), [fragment(0, 0, 0)], Tally())) == []


def test_with_batch_settings_they_come_in_batches_but_for_whole_sub_tasks() -> None:
    batcher = Batcher(batch_size=6)
    sizes = [b.num_rows for b, _ in calls_of(loaded(Source(), batcher), three(), Tally())]
    assert sizes == [6, 4]
    assert [b.num_rows for b, _ in calls_of(loaded(Source(), batcher, whole_task=True), three(), Tally())] == [10]


def tasks(order: list[int]) -> SubTasks:
    """One sub-task of fragments of two files, of two sections each, two fragments a section."""
    made = [fragment(i, 10 * i, 10, f"f{i // 4}", i // 2 % 2) for i in range(8)]
    return SubTasks.build(
        [1.0], fragments=Fragments.of(made), offsets=np.array([0, len(order)]), fragment_index=np.array(order, np.int64)
    )


@pytest.mark.parametrize(
    ("order", "options", "expected"),
    [
        ([0, 1, 2], {}, [[0, 1, 2]]),
        ([0, 1, 3, 2, 5], {}, [[0, 1], [3], [2], [5]]),
        ([0, 1, 3, 2, 5], {"together": True}, [[0, 1, 3, 2, 5]]),
        ([2, 3, 4, 5], {}, [[2, 3, 4, 5]]),
        ([2, 3, 4, 5], {"by_file": True}, [[2, 3], [4, 5]]),
        ([1, 2, 3, 4], {"by_file": True, "by_section": True}, [[1], [2, 3], [4]]),
        ([0, 1, 2], {"by_section": True}, [[0, 1], [2]]),
        ([], {}, []),
        ([], {"together": True}, []),
        ([6], {}, [[6]]),
    ],
)
def test_runs_are_neighbours_and_end_with_what_is_kept_apart(
    order: list[int], options: dict[str, bool], expected: list[list[int]]
) -> None:
    found = runs_of(tasks(order), 0, **{"together": False, **options})
    assert [[f.index for f in run] for run in found] == expected


def test_a_part_without_an_end_reads_all() -> None:
    assert x_of(read(loaded(Source()), three(), Tally(part=(8, sys.maxsize)))) == [[8, 9]]
