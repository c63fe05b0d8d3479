"""A worker process that is stopped (SIGSTOP) in the middle of a sub-task, and comes back or never does."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

import partitioner as pt
from partitioner.coordinator import execute
from partitioner.engines import dask
from partitioner.engines.dask import DaskEngine


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DaskEngine]:
    """Two processes, one of which a program may stop; only that it is not heard of can bring its work back."""
    monkeypatch.setattr(dask, "LIVENESS_SECONDS", 2.0)
    monkeypatch.setattr(execute, "BACKUP_FACTOR", 1e9)
    made = DaskEngine(workers=2)
    yield made
    for mark in tmp_path.glob("stopped-*"):
        os.kill(int(mark.name.partition("-")[2]), signal.SIGCONT)
    made.close()


def stopping(batch: pd.DataFrame, folder: str) -> pd.DataFrame:
    context = pt.task_context()
    if context.worker_id == "1" and context.task_key != "trial" and not list(Path(folder).glob("stopped-*")):
        Path(folder, f"stopped-{os.getpid()}").touch()
        os.kill(os.getpid(), signal.SIGSTOP)
    time.sleep(0.05)
    return pd.DataFrame({"y": batch["x"] * 2})


def test_a_worker_that_is_stopped_for_longer_than_liveness_costs_no_row_and_is_charged_to_nobody(
    tmp_path: Path, engine: DaskEngine
) -> None:
    finished = pt.run(
        pa.table({"x": range(60)}), stopping, engine=engine, cost="rows", max_tasks=6, min_tasks_per_slot=3, max_retries=0,
        arguments={"folder": str(tmp_path)}, progress=False, report=False, checkpoint=str(tmp_path / "runs"),
        output=str(tmp_path / "out"),
    )  # fmt: skip
    assert finished.result.to_pandas()["y"].tolist() == [2 * x for x in range(60)]
    assert len(list(tmp_path.glob("stopped-*"))) == 1
    told = [
        json.loads(line) for p in sorted(Path(finished.url, "ledger").iterdir()) for line in p.read_text().splitlines()
    ]
    assert [line["worker"] for line in told if line["what"] == "worker_lost"] == ["1"]
    assert [line["error"]["charged"] for line in told if line["what"] == "lost"] == [False] * sum(
        line["what"] == "lost" for line in told
    )
    assert [line["rung"] for line in told if line["what"] == "rung" and line["rung"] == "retried"] == []
