"""What says which columns sub-tasks return is torn: told with the remedy, and made again by a resume."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import partitioner as pt
from partitioner.attempt.agreement import Agreement
from partitioner.errors import DamagedRun, RunFailed
from partitioner.model import EventKind
from partitioner.storage import Directory
from tests.attempt.by_hand import ByHand

SETTINGS: dict[str, Any] = {"engine": "serial", "cost": "rows", "max_tasks": 3, "progress": False, "report": False}


def halves_behind_the_first(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Whole numbers of the first rows, halves of the others."""
    x = batch.column("x").to_pylist()
    if 8 in x and "FAILS" in os.environ:
        raise ValueError("not today")
    return pa.RecordBatch.from_pydict({"y": x if 0 in x else [value / 2 for value in x]})


def run(home: Path, **more: Any) -> pt.Run:
    places = {"checkpoint": str(home / "runs"), "output": str(home / "out")}
    return pt.run({"x": list(range(9))}, halves_behind_the_first, batch_format="arrow", **SETTINGS, **places, **more)


TORN = [b"", b'{"schema": "', b"[]", b'{"schema": "AAAA", "origin": {}, "lacking": {}}']


@pytest.mark.parametrize("data", TORN)
def test_a_torn_version_is_told_with_the_remedy(tmp_path: Path, data: bytes) -> None:
    files = Directory(tmp_path)
    Agreement(files).admit(pa.schema([("y", pa.int64())]), "t0")
    files.put("schema/000000.json", data)
    with pytest.raises(DamagedRun, match=r"schema/000000\.json in .* is torn .*Resume the run, which makes it again"):
        Agreement(files).newest()


def test_an_attempt_that_meets_a_torn_version_is_not_tried_again(tmp_path: Path) -> None:
    made = ByHand(tmp_path)
    made.directory.files.put("schema/000000.json", b"{")
    event = made.run()
    assert event.kind is EventKind.FAILED
    assert event.error is not None
    assert (event.error.type, event.error.fatal) == ("DamagedRun", True)
    assert made.files == []


@pytest.mark.parametrize(("torn", "data"), [(0, b""), (1, TORN[1]), (0, TORN[3])])
def test_a_resume_takes_the_columns_from_what_is_committed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], torn: int, data: bytes
) -> None:
    before = run(tmp_path)
    whole = before.result.to_pandas()["y"].tolist()
    (Path(before.url) / "schema" / f"{torn:06d}.json").write_bytes(data)
    (tmp_path / "out" / "part-t000001.parquet").unlink()
    again = run(tmp_path, resume=before.run_id)
    assert (
        "the columns that sub-tasks return were torn; they are taken from what is committed" in capsys.readouterr().err
    )
    assert again.attempted == 1
    assert again.result.to_pandas()["y"].tolist() == whole == [0, 1, 2, 1.5, 2, 2.5, 3, 3.5, 4]
    assert {str(pq.read_schema(p).field("y").type) for p in (tmp_path / "out").glob("part-*.parquet")} == {"double"}


def test_rows_that_are_kept_tell_the_columns_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(tmp_path, mode="append")
    monkeypatch.setenv("FAILS", "1")
    with pytest.raises(RunFailed):
        run(tmp_path, mode="append", max_retries=0)
    monkeypatch.delenv("FAILS")
    last = max((tmp_path / "runs").iterdir())
    (last / "schema" / "000000.json").write_bytes(b"")
    again = run(tmp_path, mode="append", max_retries=0)
    agreed = Agreement(Directory(last)).at(0)
    assert again.url == str(last)
    assert agreed is not None
    assert agreed.origin == {"y": "version 1 of the output"}
    assert again.result.to_pandas()["y"].tolist() == 2 * [0, 1, 2, 1.5, 2, 2.5, 3, 3.5, 4]
