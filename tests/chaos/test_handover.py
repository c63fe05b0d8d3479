"""A worker that is slow in the middle of a sub-task: the rows that it has not begun go to the idle ones, exactly once."""

from __future__ import annotations

import json
import time
from collections import Counter
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

import partitioner as pt
from partitioner.coordinator import execute
from partitioner.engines.dask import DaskEngine


def slow_on_one(batch: pd.DataFrame, name: str, folder: str) -> pd.DataFrame:
    context = pt.task_context()
    time.sleep(0.5 if context.worker_id == name else 0.01)
    if context.task_key != "trial":
        Path(folder, f"{batch['x'].iloc[0]}-{time.monotonic_ns()}").touch()
    return pd.DataFrame({"y": batch["x"] * 2})


def test_the_rest_of_a_straggler_goes_to_the_idle_workers_exactly_once(
    tmp_path: Path, dask_engine: DaskEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(execute, "HAND_OVER_SECONDS", 0.5)
    (tmp_path / "marks").mkdir()
    finished = pt.run(
        pa.table({"x": range(80)}), slow_on_one, engine=dask_engine, batch_size=2, cost="rows", max_tasks=2,
        min_tasks_per_slot=1, arguments={"name": "1", "folder": str(tmp_path / "marks")}, progress=False, report=False,
        checkpoint=str(tmp_path / "runs"), output=str(tmp_path / "out"),
    )  # fmt: skip
    assert finished.result.to_pandas()["y"].tolist() == [2 * x for x in range(80)]
    assert sorted(pd.read_parquet(tmp_path / "out")["y"]) == [2 * x for x in range(80)]
    assert rungs(finished)["handed over"] == 1
    calls = Counter(int(mark.name.split("-")[0]) for mark in (tmp_path / "marks").iterdir())
    assert set(calls.values()) == {1}
    spans = [r.part for r in finished.records if r.part is not None]
    assert (spans[0][0], spans[-1][1], [a[1] for a in spans[:-1]]) == (0, 40, [b[0] for b in spans[1:]])


def rungs(finished: pt.Run) -> Counter[str]:
    folder = Path(finished.url, "ledger")
    lines = [json.loads(line) for p in sorted(folder.iterdir()) for line in p.read_text().splitlines()]
    return Counter(line["rung"] for line in lines if line["what"] == "rung")
