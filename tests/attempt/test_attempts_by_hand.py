"""Attempts at a run that is made by hand: what each commits, records and says, field by field."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from connectors.parquet_sink import ParquetSink
from partitioner.attempt import handover
from partitioner.attempt import job as jobs
from partitioner.attempt import run as module
from partitioner.attempt.run import describe_error, run_attempt
from partitioner.attempt.surroundings import TimedOut
from partitioner.errors import ConfigError, StorageFailed
from partitioner.model import Care, CommitRecord, EventKind
from partitioner.reducers import partials
from partitioner.runs.quarantine import ERROR_COLUMN
from partitioner.store.run_directory import RunDirectory
from tests.attempt.by_hand import ByHand, doubled


@pytest.fixture(autouse=True)
def no_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "_jobs", type(jobs._jobs)())


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


def fails_on(*bad: int) -> Any:
    def program(batch: pa.RecordBatch) -> pa.RecordBatch:
        if set(bad) & set(batch.column("x").to_pylist()):
            raise ValueError("bad row")
        return doubled(batch)

    return program


def test_rows_that_are_set_aside_are_listed_with_their_digest(tmp_path: Path) -> None:
    made = ByHand(tmp_path, fails_on(3, 4, 17))
    record = made.record(2, care=Care(isolate=True, suspects=None))
    assert (record.rows_in, record.rows_out, record.rows_written, record.quarantined) == (20, 17, 17, 3)
    assert record.left_out == ((3, 5), (17, 18))
    assert record.quarantine == f"quarantine/t000000-a2-{record.quarantine_digest[:16]}.parquet"
    aside = pq.read_table(Path(made.directory.url, record.quarantine))
    assert aside.to_pydict() == {"x": [3, 4, 17], ERROR_COLUMN: ["ValueError: bad row"] * 3}
    assert made.job.sink.committed("t000000")["quarantine_digest"] == record.quarantine_digest  # type: ignore[index]


def test_a_sub_task_that_is_committed_is_not_run_again(tmp_path: Path) -> None:
    made = ByHand(tmp_path)
    first = made.record(0)
    made.loaded.call = None  # type: ignore[assignment]
    assert made.record(1) == first
    assert made.record(1, epoch=9) == first


def test_a_record_that_is_lost_is_made_again_from_the_footer(tmp_path: Path) -> None:
    made = ByHand(tmp_path, fails_on(3))
    first = made.record(0, care=Care(isolate=True, suspects=None))
    made.directory.files.delete("commits/t000000.json")
    made.loaded.call = None  # type: ignore[assignment]
    again = made.record(1)
    kept = ("rows_in", "rows_out", "quarantined", "segments", "digest", "path", "size", "tag", "quarantine", "left_out")
    assert [getattr(again, name) for name in kept] == [getattr(first, name) for name in kept]
    assert (again.attempt_id, again.seconds) == ("t000000-a1", 0.0)
    assert made.directory.committed("t000000") == again


def test_an_output_of_this_sub_task_that_is_gone_runs_again_in_spite_of_its_record(tmp_path: Path) -> None:
    made = ByHand(tmp_path)
    first = made.record(0)
    (made.out / first.path).unlink()
    assert made.record(1).attempt_id == "t000000-a1"
    assert made.files == [first.path]


def test_of_two_attempts_at_once_the_first_to_commit_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = ByHand(tmp_path, fails_on(3))
    original = ParquetSink.commit
    inner: list[CommitRecord] = []

    def commit(self: ParquetSink, staged: Any) -> Any:
        if not inner:
            inner.append(None)  # type: ignore[arg-type]
            inner[0] = made.record(1, care=Care(condemned="both"))
        return original(self, staged)

    monkeypatch.setattr(ParquetSink, "commit", commit)
    record = made.record(0, care=Care(isolate=True, suspects=None))
    assert (inner[0].quarantined, record.quarantined, record.rows_written) == (20, 20, 0)
    assert record.quarantine == inner[0].quarantine
    assert made.directory.committed("t000000") == inner[0]
    assert len(made.directory.files.names("quarantine")) == 2


@pytest.mark.parametrize("step", ["quarantine", "epoch", "commit"])
@pytest.mark.parametrize("error", [ValueError("end"), SystemExit(3)])
def test_what_was_staged_goes_with_whatever_ends_the_attempt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, error: BaseException
) -> None:
    made = ByHand(tmp_path, fails_on(3))
    aborted: list[str] = []

    def end(*_: object) -> Any:
        raise error

    monkeypatch.setattr(ParquetSink, "abort", lambda self, staged: aborted.append(staged.name))
    place = {
        "quarantine": (module, "store_quarantined"),
        "epoch": (module, "check_epoch"),
        "commit": (ParquetSink, "commit"),
    }
    monkeypatch.setattr(*place[step], end)
    event = made.run(care=Care(isolate=True, suspects=None))
    assert (event.kind, event.error.type) == (EventKind.FAILED, type(error).__name__)  # type: ignore[union-attr]
    assert aborted == ["part-t000000.parquet"]
    assert (made.files, made.directory.committed("t000000")) == ([], None)


@pytest.mark.parametrize(("cut", "aborted"), [(0, []), (10, ["part-t000000.00-05.parquet"])])
def test_an_output_that_another_overtook_is_aborted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cut: int, aborted: list[str]
) -> None:
    gone: list[str] = []
    monkeypatch.setattr(ParquetSink, "abort", lambda self, staged: gone.append(staged.name))
    monkeypatch.setattr(handover, "LOOK_SECONDS", 0.0)
    made = ByHand(tmp_path, batching={"batch_size": 5})
    made.directory.ask_for_rest("t000000-a0")
    if cut:
        overtaken = handover.overtaken
        cuts = lambda a, l, t: (handover.given_up(a.task_key, a, l, 20, cut), overtaken(a, l, t))[1]  # noqa: E731, E741
        monkeypatch.setattr(handover, "overtaken", cuts)
    record = made.record()
    assert (record.split, record.rows_in, gone) == (bool(cut), 0 if cut else 5, aborted)


@pytest.mark.parametrize("step", ["check_epoch", "overtaken"])
def test_what_was_staged_goes_where_handing_over_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def end(*_: object) -> Any:
        raise ValueError("end")

    gone: list[str] = []
    monkeypatch.setattr(ParquetSink, "abort", lambda self, staged: gone.append(staged.name))
    monkeypatch.setattr(handover, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(module if step == "check_epoch" else handover, step, end)
    made = ByHand(tmp_path, batching={"batch_size": 5})
    made.directory.ask_for_rest("t000000-a0")
    assert made.run().error.type == "ValueError"  # type: ignore[union-attr]
    assert gone == ["part-t000000.00-05.parquet"]


def test_an_older_epoch_sets_nothing_into_the_output(tmp_path: Path) -> None:
    made = ByHand(tmp_path)
    made.directory.files.put("lease/000004.json", b"{}")
    event = made.run(epoch=3)
    assert (event.error.type, event.error.fatal, made.files) == ("LeaseLost", True, [])  # type: ignore[union-attr]
    assert made.record(epoch=4).rows_in == 20


@pytest.mark.parametrize(("fsync", "synced"), [(True, 2), (False, 0)])
def test_poison_rows_are_on_the_medium_where_that_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fsync: bool, synced: int
) -> None:
    done: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda fd: done.append(os.readlink(f"/proc/self/fd/{fd}")))
    made = ByHand(tmp_path, fails_on(3), fsync=fsync)
    made.record(care=Care(isolate=True, suspects=None))
    assert len([name for name in done if "quarantine" in name]) == synced


def test_a_failure_says_what_was_raised_and_its_prints_are_kept(tmp_path: Path) -> None:
    def program(batch: Any) -> Any:
        print("before")
        raise KeyError("k")

    made = ByHand(tmp_path, program)
    event = made.run(3)
    assert (event.kind, event.attempt_id, event.worker_id, event.record) == (EventKind.FAILED, "t000000-a3", "w", None)
    assert (event.error.type, event.error.fatal, event.error.timeout) == ("KeyError", False, False)  # type: ignore[union-attr]
    assert event.error.peak_memory_bytes > 0  # type: ignore[union-attr]
    log = made.directory.files.get("attempts/t000000-a3.log").decode()
    assert log.startswith("before\nTraceback")
    assert "KeyError: 'k'" in log


def test_an_attempt_that_says_nothing_leaves_no_log(tmp_path: Path) -> None:
    made = ByHand(tmp_path)
    made.record()
    assert made.directory.files.names("attempts") == []


def test_prints_that_cannot_be_kept_are_said_and_the_event_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def program(batch: Any) -> Any:
        print("before")
        return doubled(batch)

    def full(*_: object) -> None:
        raise StorageFailed("the disk is full.")

    made = ByHand(tmp_path, program)
    monkeypatch.setattr(module, "_keep", full)
    assert made.run().kind is EventKind.FINISHED
    assert "the disk is full. The prints of t000000-a0 are lost." in capfd.readouterr().err


def test_an_interrupt_of_a_person_is_not_the_programs(tmp_path: Path) -> None:
    def program(batch: Any) -> Any:
        raise KeyboardInterrupt

    made = ByHand(tmp_path, program)
    with pytest.raises(KeyboardInterrupt):
        made.run()


def test_what_takes_too_long_is_told_as_that(tmp_path: Path) -> None:
    def program(batch: Any) -> Any:
        time.sleep(20)

    event = ByHand(tmp_path, program).run(timeout_seconds=0.02)
    assert event.error is not None
    assert (event.error.type, event.error.timeout, event.error.message) == (
        "TimedOut",
        True,
        "it took longer than 0.02 s",
    )


def test_failures_carry_suspects_and_what_no_retry_mends(tmp_path: Path) -> None:
    event = ByHand(tmp_path, fails_on(3, 4)).run(care=Care(isolate=True, suspects=()))
    assert event.error is not None
    assert (event.error.type, event.error.suspects, event.error.timeout) == ("RowsFailed", ((3, 5),), False)
    assert (describe_error(ConfigError("x")).fatal, describe_error(ValueError("x")).fatal) == (True, False)
    assert (describe_error(TimedOut("x")).timeout, describe_error(ValueError("x")).timeout) == (True, False)


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
