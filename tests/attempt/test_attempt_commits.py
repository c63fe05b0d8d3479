"""What of an attempt is committed, once: rows set aside, lost records, rivals, what was staged and older epochs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from connectors.parquet_sink import ParquetSink
from partitioner.attempt import handover
from partitioner.attempt import run as module
from partitioner.attempt.isolate import ERROR_COLUMN
from partitioner.model import Care, CommitRecord, EventKind
from tests.attempt.by_hand import ByHand
from tests.attempt.poison import fails_on

pytestmark = pytest.mark.usefixtures("no_jobs")


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
