"""Rows are counted before a run is called done: what was read against what came out and against what the input describes."""

from dataclasses import replace

import numpy as np
import pytest

from partitioner.engines.simulated_world import record_of
from partitioner.errors import RunFailed
from partitioner.model import Attempt, CommitRecord, Fragment, Fragments, SubTasks
from partitioner.runs.results import check_rows


def record(key: str, rows: int, **facts: object) -> CommitRecord:
    return replace(record_of(Attempt(key, 0, 0, "w", "memory://"), 0.0, 1.0, range(rows)), **facts)


def tasks(rows: list[int]) -> SubTasks:
    fragments = Fragments.of([Fragment(i, "f", 0, 0, 1, n, 1) for i, n in enumerate(rows)])
    n = len(rows)
    return SubTasks.build([1.0] * n, fragments=fragments, offsets=np.arange(n + 1), fragment_index=np.arange(n))


def test_rows_that_add_up_are_counted() -> None:
    records = [record("t000000", 5, quarantined=1, rows_out=4, rows_written=4), record("t000001", 3)]
    assert check_rows(tasks([5, 3]), records) == {"rows_in": 8, "rows_out": 7, "rows_written": 7, "quarantined": 1}


def test_a_row_that_came_out_nowhere_is_named() -> None:
    with pytest.raises(RunFailed, match="t000001 read 3 rows, but 2 are in the output and 0 in quarantine"):
        check_rows(tasks([5, 3]), [record("t000000", 5), record("t000001", 3, rows_out=2)])


def test_rows_that_the_input_described_and_nobody_read_are_named() -> None:
    with pytest.raises(RunFailed, match="t000001 read 2 rows of 3 that the input described"):
        check_rows(tasks([5, 3]), [record("t000000", 5), record("t000001", 2)])


def test_parts_count_together_and_a_missing_one_is_noticed() -> None:
    parts = [
        record("t000000", 0, split=True),
        record("t000000.0-2", 2, part=(0, 2)),
        record("t000000.2-5", 3, part=(2, 5)),
    ]
    assert check_rows(tasks([5]), parts)["rows_in"] == 5
    with pytest.raises(RunFailed, match="t000000 read 2 rows of 5"):
        check_rows(tasks([5]), parts[:2])


def test_unknown_rows_are_not_held_against_a_subtask() -> None:
    assert check_rows(tasks([-1]), [record("t000000", 9)])["rows_in"] == 9


def test_counts_that_make_up_for_each_other_are_noticed() -> None:
    with pytest.raises(RunFailed, match="t000000 read 5 rows, but 4 are in the output and 0 in quarantine"):
        check_rows(tasks([5, 3]), [record("t000000", 5, rows_out=4), record("t000001", 3, rows_out=4)])


def test_a_row_that_is_in_the_output_and_in_quarantine_is_noticed() -> None:
    with pytest.raises(RunFailed, match="t000000 read 5 rows, but 5 are in the output and 1 in quarantine"):
        check_rows(tasks([5]), [record("t000000", 5, quarantined=1)])


@pytest.mark.parametrize("rows", [[5, 3], [5, -1], [5, 0]])
def test_a_subtask_without_a_record_is_named(rows: list[int]) -> None:
    with pytest.raises(RunFailed, match="sub-task t000001 has no commit record"):
        check_rows(tasks(rows), [record("t000000", 5)])


def test_rows_that_are_read_twice_are_noticed() -> None:
    parts = [record("t000000.0-3", 3, part=(0, 3)), record("t000000.2-5", 3, part=(2, 5))]
    with pytest.raises(RunFailed, match="t000000 read 6 rows of 5"):
        check_rows(tasks([5]), parts)
