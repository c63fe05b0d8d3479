"""What a night by key or watermark leaves to do, by hand: damaged files, files that may hold new rows, a first night."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from partitioner import config as configuration
from partitioner.config import RunConfig
from partitioner.errors import ResumeRefused
from partitioner.output.modes import Target
from partitioner.output.tracking import MARK, Known, Tracking
from partitioner.stages import changes
from partitioner.stages.picked import PieceSource
from partitioner.stages.scanning import scanned
from partitioner.storage import Directory
from tests.stages.test_picked_by_hand import BY, MARKS, Rows, table


def config(home: Path, **told: str) -> RunConfig:
    told = told or {"key": "id", "watermark": "at"}
    return configuration.make({"dataset": "d", "mode": "incremental", "output": str(home / "out"), "incremental": told})


class Held:
    """Rows of the version before: the number of the file that each is in."""

    def __init__(self, *files: int) -> None:
        self.files = np.array(files)

    def column(self, name: str) -> Any:
        assert name == "file"
        return self.files


def test_rows_of_files_that_are_gone_or_of_another_size_run_again(tmp_path: Path) -> None:
    output = Directory(tmp_path / "out")
    files = [{"stored": f"_versions/000001/{name}.parquet", "size": 3} for name in "abc"]
    output.put("_versions/000001/claim.json", json.dumps({"run_id": "r", "run": "u"}).encode())
    output.put("_versions/000001/manifest.json", json.dumps({"files": files, "counts": {}}).encode())
    output.put("_versions/000001/a.parquet", b"abc")
    output.put("_versions/000001/b.parquet", b"ab")
    known: Any = Held(0, 0, 1, 2, 0)
    held = np.array([4, 2, -1, 3, 0])
    found = changes._still_there(config(tmp_path), Target(2, 1), known, held)
    assert found.tolist() == [4, -1, -1, -1, 0]
    none = np.array([-1, -1])
    assert changes._still_there(config(tmp_path), Target(2, 1), known, none) is none


class Noting(Rows):
    """Keeps what it is asked for."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.conditions: list[str] = []

    def matching(self, fragments: Any, condition: Any) -> Any:
        self.conditions.append(str(condition))
        return np.arange(len(fragments))


@pytest.mark.parametrize(
    ("high", "left", "top", "asked"),
    [
        (None, list(range(12)), 3, []),
        (1, [6, 7, 8, 9, 10, 11], 3, ["((at > 1) or is_null(at, {nan_is_null=false}))"]),
        (3, [], 3, ["((at > 3) or is_null(at, {nan_is_null=false}))"]),
        (7, [], 7, ["((at > 7) or is_null(at, {nan_is_null=false}))"]),  # the rows with the highest are gone
    ],
)
def test_rows_above_the_highest_watermark_are_left_and_files_without_one_are_looked_at(
    high: int | None, left: Sequence[int], top: int, asked: list[str]
) -> None:
    source = Noting(table(at=[0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]))
    rest, found = changes._above(source.describe(), MARKS, None if high is None else pa.scalar(high))
    assert (rest.source.picked.tolist(), found.as_py()) == (list(left), top)  # type: ignore[attr-defined]
    assert source.conditions == asked


@dataclass(frozen=True, slots=True)
class Job:
    """Of a job what a night changes."""

    source: Any
    by_section: bool = True


def test_on_a_first_night_all_rows_run_and_none_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "fingerprints", lambda config, job: {"code": "c"})
    dataset = Rows(table()).describe()
    tracking: Tracking = BY
    job: Any = Job(dataset.source)
    rest = changes._by_keys(config(tmp_path), dataset, job, Target(1, -1), tracking, scanned(dataset, tracking))
    assert (rest.target, rest.aloud, rest.seconds) == (Target(1, -1, by="keys", base_known=False), "", None)
    assert rest.notes == {"incremental": "runs all 12 rows: the output is empty"}
    assert rest.rows is not None
    assert rest.rows[changes.HELD].to_pylist() == [-1] * 12
    assert rest.described.job == Job(rest.described.dataset.source, by_section=False)  # type: ignore[comparison-overlap]


def resumed(home: Path, target: Target, held: Sequence[int], **told: str) -> Any:
    """The source of a run that goes on, whose directory kept these places of rows in the version before."""
    directory: Any = SimpleNamespace(run_id="r1", read_table=lambda name: pa.table({changes.HELD: list(held)}))
    parts: Any = SimpleNamespace(config=config(home, **told))
    return changes.resumed(parts, directory, Rows(table()).describe(), target).source


def test_a_run_that_goes_on_has_the_rows_that_it_began_with(tmp_path: Path) -> None:
    source = resumed(tmp_path, Target(2, 1, by="keys"), [-1, 5, -1, *range(9)])
    assert source.picked.tolist() == [0, 2]
    assert isinstance(resumed(tmp_path, Target(2, 1), []), PieceSource)


@pytest.mark.parametrize("count", [11, 13])
def test_a_run_whose_input_has_other_rows_by_now_does_not_go_on(tmp_path: Path, count: int) -> None:
    with pytest.raises(ResumeRefused, match=rf"run r1 began with {count} rows of input, and there are 12 now"):
        resumed(tmp_path, Target(2, 1, by="keys"), [-1] * count)


@pytest.mark.parametrize(("known", "rows"), [(True, 0), (False, 12)])
def test_a_run_that_began_anew_goes_on_with_all_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, known: bool, rows: int
) -> None:
    before = Known(pa.table({MARK: [7]}), 3)
    monkeypatch.setattr(changes, "base_of", lambda output, number: SimpleNamespace(manifest={}))
    monkeypatch.setattr(changes, "known_rows", lambda output, manifest, tracking: before)
    source = resumed(tmp_path, Target(2, 1, by="watermark", base_known=known), [], watermark="at")
    assert len(source.picked) == rows


def test_that_everything_runs_anew_is_said_aloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "fingerprints", lambda config, job: {})
    monkeypatch.setattr(changes, "_known", lambda *_: (Known.nothing(), "code is another"))
    dataset = Rows(table()).describe()
    job: Any = Job(dataset.source)
    rest = changes._by_keys(config(tmp_path), dataset, job, Target(2, 1), BY, scanned(dataset, BY))
    assert rest.aloud == "mode incremental runs all 12 rows: code is another"
    assert not rest.target.base_known


@pytest.mark.parametrize(
    ("rows", "run", "told"), [(-1, 0, False), (0, 0, True), (3, 0, False), (4, 1, False), (5, 1, True)]
)
def test_rows_that_are_late_or_gone_are_told_where_the_input_says_how_many_it_has(
    rows: int, run: int, told: bool
) -> None:
    known: Any = SimpleNamespace(rows=3, seconds=1.5)
    notes = changes._said_of_watermark(Tracking((), "at"), run, rows, known, None)
    assert (
        notes["incremental"]
        == f"runs {run} rows, keeps 3; saves 1.5 s of sub-tasks, as measured when the kept rows ran"
    )
    assert (
        notes.get("late or gone", "").startswith(f"the input has {rows} rows and the output will be of {run + 3}")
        is told
    )
