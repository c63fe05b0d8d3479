"""One merge on a worker: what it commits, and what it finds there."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from partitioner.attempt import job as jobs
from partitioner.attempt.merging import check_epoch, facts_of
from partitioner.errors import LeaseLost, ProgramError
from partitioner.measure import Measurement
from partitioner.model import Attempt, CommitRecord, EventKind, Merge, Piece
from partitioner.reducers import partials
from partitioner.store.run_directory import RunDirectory
from tests.attempt.by_hand import ByHand


class Merging:
    """Four sums of five numbers each, committed, and the merge of the first three."""

    def __init__(self, home: Path) -> None:
        self.made = ByHand(
            home, lambda b: [float(sum(b.column("x").to_pylist()))], of=[[0], [1], [2], [3]], reducer="mean"
        )
        records = [self.made.record(task=task) for task in range(4)]
        self.pieces = tuple(Piece(r.task_key, str(self.made.out), r.path, 0, r.size, r.digest) for r in records[:3])
        self.home = f"{self.made.directory.url}/merge"
        self.merge = Merge("merge-02-000000", self.home, "sub-tasks t000000 to t000002", self.pieces, "these")
        self.sink = self.made.job.sink.beside(self.merge.place)

    def run(self, number: int = 0, **changes: Any) -> Any:
        merge = replace(self.merge, **{k: v for k, v in changes.items() if k in ("of", "span", "pieces")})
        facts = {k: v for k, v in changes.items() if k not in ("of", "span", "pieces")}
        return self.made.run(number, key=self.merge.key, merge=merge, **facts)

    @property
    def value(self) -> float:
        facts = self.sink.committed(self.merge.key)
        assert facts is not None
        values, _ = self.sink.partials(facts["path"], [0])
        reducer = self.made.job.reducer
        return float(reducer.extract_output(partials.loads(reducer, values[0], "merge")))


@pytest.fixture
def merging(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Merging:
    monkeypatch.setattr(jobs, "_jobs", OrderedDict())
    return Merging(tmp_path)


def test_a_merge_is_committed_with_what_it_was_made_of(merging: Merging) -> None:
    event = merging.run(3)
    assert (event.kind, event.attempt_id, event.worker_id) == (EventKind.FINISHED, "merge-02-000000-a3", "w")
    assert merging.value == sum(range(15)) / 3
    facts = merging.sink.committed(merging.merge.key)
    assert facts is not None
    assert (facts["of"], facts["pieces"], facts["rows_written"], facts["rows_in"]) == ("these", 3, 1, 0)
    assert RunDirectory(merging.home).commits() == {merging.merge.key: event.record}
    assert event.record.seconds > 0
    assert 0 < event.record.started <= event.record.finished


def test_a_merge_that_is_committed_is_not_made_again(merging: Merging) -> None:
    first: CommitRecord = merging.run(0).record
    merging.made.job.sink.discard("t000000")
    again: CommitRecord = merging.run(1).record
    assert (again.digest, again.attempt_id, again.seconds) == (
        first.digest,
        "merge-02-000000-a1",
        Measurement().wall_seconds,
    )
    assert RunDirectory(merging.home).commits() == {merging.merge.key: first}


def test_a_merge_of_other_results_is_named(merging: Merging) -> None:
    merging.run(0)
    error = merging.run(1, of="others").error
    assert error.type == "DamagedOutput"
    assert "was made of other partial results; remove it, and resume" in error.message


def test_an_older_epoch_merges_nothing(merging: Merging) -> None:
    merging.made.directory.files.put("lease/000003.json", b"{}")
    assert merging.run(0, epoch=2).error.type == "LeaseLost"
    assert merging.sink.committed(merging.merge.key) is None
    assert merging.run(1, epoch=3).kind is EventKind.FINISHED


def test_a_result_that_cannot_be_merged_is_named_by_its_sub_tasks(
    merging: Merging, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise ProgramError("NaN")

    monkeypatch.setattr(partials, "merged", refuse)
    error = merging.run(0).error
    assert error.message == "merging the partial results of sub-tasks t000000 to t000002: NaN"


def test_facts_of_a_merge_are_those_of_one_row(merging: Merging) -> None:
    assert facts_of(merging.merge) == {
        "rows_in": 0, "rows_out": 0, "rows_written": 1, "quarantined": 0, "quarantine_digest": "", "bytes_read": 0,
        "segments": [], "of": "these", "pieces": 3,
    }  # fmt: skip


def test_an_epoch_is_checked_against_the_next(tmp_path: Path) -> None:
    run = RunDirectory(str(tmp_path)).files
    attempt = Attempt("t", 0, 1, "w", "u", epoch=4)
    check_epoch(run, attempt)
    run.put("lease/000005.json", b"{}")
    with pytest.raises(LeaseLost, match=r"t-a1 was submitted by a driver \(epoch 4\) that another one has replaced"):
        check_epoch(run, attempt)
