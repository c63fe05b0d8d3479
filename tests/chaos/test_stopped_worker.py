"""A worker process that is stopped (SIGSTOP) in the middle of a sub-task, and comes back or never does."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import partitioner as pt
from partitioner.coordinator import execute
from partitioner.engines import dask
from partitioner.engines.dask import DaskEngine
from partitioner.errors import LeaseLost
from partitioner.storage import Directory
from tests.chaos.scene import wait_until


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
        print("back again")
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
    home = Path(finished.url)
    before = {path: path.read_bytes() for place in (tmp_path / "out", home / "commits") for path in place.rglob("*.*")}
    assert pq.read_table(tmp_path / "out")["y"].to_pylist() == [2 * x for x in range(60)]
    (mark,) = tmp_path.glob("stopped-*")
    os.kill(int(mark.name.partition("-")[2]), signal.SIGCONT)
    wait_until(
        lambda: any("back again" in log.read_text() for log in home.glob("attempts/*.log"))
    )  # it tried to commit
    assert {p: p.read_bytes() for place in (tmp_path / "out", home / "commits") for p in place.rglob("*.*")} == before


def waits(batch: pd.DataFrame, folder: str) -> pd.DataFrame:
    """Leaves a mark and waits for the gate."""
    if pt.task_context().task_key != "trial":
        Path(folder, f"began-{pt.task_context().task_key}").touch()
        while not Path(folder, "gate").exists():
            time.sleep(0.01)
    return pd.DataFrame({"y": batch["x"] * 2})


@pytest.mark.parametrize("name", ["dask_engine", "spark"])
def test_what_runs_on_workers_for_a_driver_that_was_replaced_is_refused_there(
    name: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    engine, runs, marks = request.getfixturevalue(name), tmp_path / "runs", tmp_path / "marks"
    marks.mkdir()

    def take_over() -> None:
        wait_until(lambda: any(marks.glob("began-*")))
        (run,) = runs.iterdir()
        assert Directory(str(run)).put_new("lease/000002.json", b"{}")
        (marks / "gate").touch()

    other = threading.Thread(target=take_over)
    other.start()
    with pytest.raises(LeaseLost, match="epoch 1"):
        pt.run(
            pa.table({"x": range(60)}), waits, engine=engine, cost="rows", max_tasks=6, min_tasks_per_slot=2,
            arguments={"folder": str(marks)}, progress=False, report=False, checkpoint=str(runs),
            output=str(tmp_path / "out"),
        )  # fmt: skip
    other.join()
    (run,) = runs.iterdir()
    wait_until(lambda: any("LeaseLost" in log.read_text() for log in run.glob("attempts/*.log")))
    assert [*run.glob("commits/*"), *tmp_path.glob("out/part-*")] == []
