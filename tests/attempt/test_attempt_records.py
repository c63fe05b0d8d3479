"""The record of an attempt, field by field: what was read, written and measured, and the content of files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from partitioner.attempt import run as module
from partitioner.model import Care
from tests.attempt.by_hand import ByHand, doubled
from tests.attempt.poison import fails_on

pytestmark = pytest.mark.usefixtures("no_jobs")


def test_a_record_says_what_was_read_written_and_measured(tmp_path: Path) -> None:
    made = ByHand(tmp_path)
    made.loaded.load_seconds = 3.5
    record = made.record(4)
    assert (record.task_key, record.attempt_id, record.worker_id) == ("t000000", "t000000-a4", "w")
    assert (record.path, record.rows_in, record.rows_out, record.rows_written) == ("part-t000000.parquet", 20, 20, 20)
    assert (record.quarantined, record.segments, 160 <= record.bytes_read < 170) == (0, ((0, 20),), True)
    assert (record.load_seconds, record.part, record.split, record.inputs) == (3.5, None, False, ())
    assert (record.left_out, record.contents, record.quarantine, record.quarantine_digest) == ((), (), "", "")
    assert 0 < record.seconds < 60
    assert 0 < record.read_seconds < 60
    assert record.started <= record.finished
    assert record.size == (made.out / record.path).stat().st_size
    assert record.tag
    assert made.directory.committed("t000000") == record
    assert made.y(record.path) == [2 * x for x in range(20)]
    assert made.loaded.load_seconds == 0.0


def test_only_the_first_attempt_is_charged_the_load(tmp_path: Path) -> None:
    made = ByHand(tmp_path, of=[[0, 1], [2, 3]])
    made.loaded.load_seconds = 3.5
    assert [made.record(task=task).load_seconds for task in (0, 1)] == [3.5, 0.0]


def test_runs_of_fragments_are_segments_in_the_order_in_which_they_lie(tmp_path: Path) -> None:
    made = ByHand(tmp_path, of=[[2, 3, 0]])
    record = made.record()
    assert record.segments == ((2, 10), (0, 5))
    assert made.y(record.path) == [2 * x for x in [*range(10, 20), *range(5)]]


def test_without_order_the_fragments_are_one_segment(tmp_path: Path) -> None:
    record = ByHand(tmp_path, of=[[2, 3, 0]], preserve_order=False).record()
    assert record.segments == ((2, 15),)


def test_files_that_are_kept_apart_have_their_own_counts(tmp_path: Path) -> None:
    made = ByHand(tmp_path, fails_on(2, 7, 8), of=[[0, 1, 3]], by_file=True, by_section=True)
    record = made.record(care=Care(isolate=True, suspects=None))
    assert record.segments == ((0, 4), (1, 3), (3, 5))
    assert record.inputs == ((0, 5, 1), (1, 5, 2), (3, 5, 0))
    assert len(set(record.contents)) == 3
    assert all(record.contents)


def test_without_sections_their_content_is_not_told(tmp_path: Path) -> None:
    record = ByHand(tmp_path, of=[[0, 1, 3]], by_file=True).record()
    assert (record.inputs, record.contents) == (((0, 10, 0), (3, 5, 0)), ())


def test_a_file_that_changes_while_it_is_read_tells_no_content(tmp_path: Path) -> None:
    def touching(batch: Any) -> Any:
        pq.write_table(pa.table({"x": range(30)}), tmp_path / "other.parquet")
        (tmp_path / "other.parquet").rename(tmp_path / "input.parquet")
        return doubled(batch)

    made = ByHand(tmp_path, touching, by_file=True, by_section=True, of=[[0]])
    assert made.record().contents == ("",)


def test_of_a_section_that_is_cut_only_its_beginning_tells(tmp_path: Path) -> None:
    made = ByHand(tmp_path, group=20)
    first = made.tasks.fragments[0]  # type: ignore[index]
    source = made.job.source
    loaded = replace(made.loaded, job=replace(made.job, by_section=True))
    assert module._content(loaded, [first])() == [source.section_content(first)] != [""]
    assert module._content(loaded, [replace(first, start=5)])() == [""]
    assert module._content(loaded, [])() == [""]
    assert module._content(made.loaded, [first])() == []
