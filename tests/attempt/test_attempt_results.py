"""What an attempt leaves: accumulators, rows in their order, and wholes that were given up for parts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from partitioner.attempt import run as module
from partitioner.attempt.run import run_attempt
from partitioner.model import Care, EventKind
from partitioner.reducers import partials
from partitioner.store.run_directory import RunDirectory
from tests.attempt.by_hand import ByHand
from tests.attempt.poison import fails_on

pytestmark = pytest.mark.usefixtures("no_jobs")


def test_a_schema_that_grows_begins_the_attempt_again_with_its_counts(tmp_path: Path) -> None:
    calls: list[int] = []

    def program(batch: pa.RecordBatch) -> pa.RecordBatch:
        calls.append(batch.num_rows)
        kind = pa.int64() if len(calls) == 1 else pa.float64()
        return pa.RecordBatch.from_pydict({"y": pa.array(batch.column("x").to_pylist(), kind)})

    made = ByHand(tmp_path, program, batching={"batch_size": 10})
    record = made.record()
    assert (record.rows_in, record.rows_out, record.rows_written) == (20, 20, 20)
    assert calls == [10, 10, 10, 10]


def test_an_accumulator_is_one_row_and_poison_does_not_enter_it(tmp_path: Path) -> None:
    made = ByHand(tmp_path, fails_on(3), reducer="count", batching={"batch_size": 7})
    record = made.record(care=Care(isolate=True, suspects=None))
    assert (record.rows_in, record.rows_out, record.rows_written, record.quarantined) == (20, 19, 1, 1)
    assert record.segments == ()


def test_accumulators_of_files_are_kept_apart(tmp_path: Path) -> None:
    made = ByHand(tmp_path, fails_on(2, 7, 8), reducer="count", by_file=True, by_section=True, of=[[0, 1]])
    record = made.record(care=Care(isolate=True, suspects=None))
    assert (record.rows_written, record.segments) == (2, ((0, 1), (1, 1)))
    assert record.inputs == ((0, 5, 1), (1, 5, 2))
    assert len(record.contents) == 2


def test_a_sub_task_without_input_has_an_accumulator_of_nothing(tmp_path: Path) -> None:
    record = ByHand(tmp_path, reducer="count", by_file=True, of=[[]]).record()
    assert (record.rows_in, record.rows_written, record.inputs) == (0, 1, ())


def test_a_stream_of_inputs_is_added_one_by_one(tmp_path: Path) -> None:
    made = ByHand(tmp_path, lambda batch: iter([[1.0], [2.0], [6.0]]), reducer="mean")
    record = made.record()
    values, _ = made.job.sink.partials(record.path, [0])
    reducer = made.job.reducer
    assert reducer.extract_output(partials.loads(reducer, values[0], "t000000")) == pytest.approx(3.0)


def test_the_verdict_comes_before_a_partial_is_written(tmp_path: Path) -> None:
    event = ByHand(tmp_path, fails_on(3), reducer="count").run(care=Care(isolate=True, suspects=()))
    assert event.error is not None
    assert event.error.type == "RowsFailed"


def test_sorted_rows_come_back_in_order_and_positions_are_the_input_s(tmp_path: Path) -> None:
    options = {"batching": {"weight": "x", "sort_by_weight": True, "batch_size": 4}}
    made = ByHand(tmp_path, fails_on(3, 12), of=[[2, 0]], **options)
    record = made.record(care=Care(isolate=True, suspects=None))
    assert made.y(record.path) == [2 * x for x in [10, 11, 13, 14, 0, 1, 2, 4]]
    assert record.left_out == ((2, 3), (8, 9))


def test_without_order_sorted_rows_stay_as_they_were_called(tmp_path: Path) -> None:
    options = {"batching": {"weight": "x", "sort_by_weight": True, "batch_size": 4}, "preserve_order": False}
    made = ByHand(tmp_path, of=[[0]], **options)
    assert made.y(made.record().path) == [8, 6, 4, 2, 0]


def test_a_whole_that_was_given_up_is_what_its_parts_leave(tmp_path: Path) -> None:
    made = ByHand(tmp_path)
    care = Care(whole=0, rows=(5, 9), split_from=("t000000",))
    record = made.record(care=care, task=7, key="t000000.05-09")
    assert (record.task_key, record.part, record.rows_in, record.segments) == ("t000000.05-09", (5, 9), 4, ((0, 4),))
    assert made.y(record.path) == [10, 12, 14, 16]
    whole = made.directory.committed("t000000")
    assert whole is not None
    assert (whole.split, whole.part, whole.rows_in, whole.attempt_id) == (True, None, 0, "t000000-a0")


def test_all_wholes_are_given_up_and_a_committed_one_is_the_answer(tmp_path: Path) -> None:
    made = ByHand(tmp_path)
    first = made.record(0)
    care = Care(whole=0, rows=(5, 9), split_from=("t000000.00-10", "t000000"))
    event = made.run(care=care, task=7, key="t000000.05-09")
    assert (event.kind, event.attempt_id, event.record) == (EventKind.FINISHED, "t000000.05-09-a0", first)
    assert made.files == ["part-t000000.00-10.parquet", first.path]


def test_a_footer_of_the_whole_without_its_record_is_the_answer_too(tmp_path: Path) -> None:
    made = ByHand(tmp_path)
    first = made.record(0)
    made.directory.files.delete("commits/t000000.json")
    record = made.record(care=Care(whole=0, rows=(5, 9), split_from=("t000000",)), task=7, key="t000000.05-09")
    assert (record.task_key, record.rows_in, record.split) == ("t000000", first.rows_in, False)
    assert made.directory.committed("t000000") == record


def test_counting_calls_no_program_and_gives_the_rows(tmp_path: Path) -> None:
    made = ByHand(tmp_path, lambda batch: 1 // 0, of=[[2, 0, 1]])
    event = made.run(6, care=Care(count=True))
    assert (event.kind, event.attempt_id, event.worker_id) == (EventKind.FINISHED, "t000000-a6", "w")
    record = event.record
    assert record is not None
    assert (record.split, record.part, record.cut, record.rows_in) == (True, (0, 15), 0, 0)
    assert pq.read_table(made.out / record.path).num_rows == 0


def test_a_whole_of_a_reducer_is_given_up_without_columns(tmp_path: Path) -> None:
    made = ByHand(tmp_path, reducer="count")
    assert made.record(care=Care(count=True)).part == (0, 20)
    assert made.directory.files.names("schema") == []


def test_an_empty_whole_has_the_columns_of_the_others(tmp_path: Path) -> None:
    made = ByHand(tmp_path, of=[[0], [1]])
    made.record(task=0)
    record = made.record(care=Care(count=True), task=1)
    assert pq.read_schema(made.out / record.path).names == ["y"]


def test_the_job_is_loaded_with_the_key_of_the_attempt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, bytes]] = []
    made = ByHand(tmp_path)
    monkeypatch.setattr(module, "load", lambda url, key: asked.append((url, key)) or made.loaded)
    run_attempt(replace(made.attempt(), key=b"k"))
    assert asked == [(made.directory.url, b"k")]


def test_a_trial_that_runs_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, order = ByHand(tmp_path), list[str]()
    monkeypatch.setattr(module, "wait_for_trial", lambda: order.append("waited"))
    monkeypatch.setattr(module, "load", lambda url, key: order.append("loaded") or made.loaded)
    made.record()
    assert order == ["waited", "loaded"]


def test_what_is_read_is_read_by_its_columns(tmp_path: Path) -> None:
    made = ByHand(tmp_path, columns=("x",))
    assert made.record().rows_in == 20


def test_the_log_of_an_attempt_lies_in_its_run(tmp_path: Path) -> None:
    made = ByHand(tmp_path)
    module._keep(made.attempt(5), "said")
    assert RunDirectory(made.directory.url).files.get("attempts/t000000-a5.log") == b"said"
