"""The failure ladder on real worker processes: bad nodes, rows that kill or hang, memory, sys.exit, retired workers."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from math import log2
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa
import pytest

import partitioner as pt
from partitioner.engines.dask import DaskEngine
from partitioner.errors import RunFailed
from partitioner.runs import quarantine

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@pytest.fixture(scope="module")
def engine() -> Iterator[DaskEngine]:
    made = DaskEngine(workers=3)
    yield made
    made.close()


def run(rows: int, program: Any, home: Path, engine: Any, tasks: int = 6, **options: Any) -> pt.Run:
    settings = {"cost": "rows", "on_error": "quarantine", "max_tasks": tasks, "min_tasks_per_slot": tasks}
    settings |= {"progress": False, "report": False, "checkpoint": str(home / "runs"), "output": str(home / "out")}
    return pt.run(pa.table({"x": range(rows)}), program, engine=engine, **{**settings, **options})


def delivered(finished: pt.Run) -> list[int]:
    return [int(y) // 2 for y in finished.result.to_pandas()["y"]]


def set_aside(finished: pt.Run) -> list[int]:
    return [row["x"] for row in quarantine.rows_of(finished.directory).to_pylist()]


def rungs(finished: pt.Run) -> Counter[str]:
    folder = Path(finished.url, "ledger")
    lines = [json.loads(line) for p in sorted(folder.iterdir()) for line in p.read_text().splitlines()]
    return Counter(line["rung"] for line in lines if line["what"] == "rung")


def doubled(batch: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({"y": batch["x"] * 2})


def bad_node(batch: pd.DataFrame, name: str) -> pd.DataFrame:
    if pt.task_context().worker_id == name:
        raise OSError(28, "No space left on device")
    return doubled(batch)


def killing(batch: pd.DataFrame, row: int) -> pd.DataFrame:
    """A segmentation fault where the row is alone (or among an odd number of them), else an exit without a word."""
    if (batch["x"] == row).any():
        signal.raise_signal(signal.SIGSEGV) if len(batch) % 2 else os._exit(9)
    return doubled(batch)


def hanging(batch: pd.DataFrame, row: int) -> pd.DataFrame:
    if (batch["x"] == row).any():
        time.sleep(3600)
    return doubled(batch)


def leaving(batch: pd.DataFrame, row: int) -> pd.DataFrame:
    if (batch["x"] == row).any():
        sys.exit(0)
    return doubled(batch)


def greedy(batch: pd.DataFrame, most: int) -> pd.DataFrame:
    if len(batch) > most:
        raise MemoryError(f"{len(batch)} rows are too many")
    return doubled(batch)


def out_of_gpu_memory(batch: pd.DataFrame, most: int) -> pd.DataFrame:
    if len(batch) > most:
        raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
    return doubled(batch)


def test_a_bad_node_costs_no_row(tmp_path: Path, engine: DaskEngine) -> None:
    finished = run(600, bad_node, tmp_path, engine, tasks=30, arguments={"name": "1"})
    assert delivered(finished) == list(range(600))
    assert (finished.quarantined, finished.exit_code) == (0, 0)


def test_a_bad_node_ends_no_run_that_sets_nothing_aside(tmp_path: Path, engine: DaskEngine) -> None:
    finished = run(60, bad_node, tmp_path, engine, on_error="raise", max_retries=1, arguments={"name": "2"})
    assert delivered(finished) == list(range(60))


def test_a_row_that_kills_is_set_aside_and_all_others_delivered(tmp_path: Path, engine: DaskEngine) -> None:
    finished = run(384, killing, tmp_path, engine, tasks=3, arguments={"row": 77})
    assert delivered(finished) == [x for x in range(384) if x != 77]
    assert (set_aside(finished), finished.exit_code) == ([77], 5)
    assert finished.attempted - 3 <= 2 * log2(384)
    assert {"split", "confirmed", "condemned"} <= rungs(finished).keys()


def test_on_spark_a_row_that_kills_its_python_process_is_set_aside_too(tmp_path: Path, spark: SparkSession) -> None:
    finished = run(48, killing, tmp_path, spark, tasks=3, arguments={"row": 20})
    assert delivered(finished) == [x for x in range(48) if x != 20]
    assert (set_aside(finished), finished.exit_code) == ([20], 5)
    assert finished.attempted - 3 <= 2 * log2(48)


@pytest.mark.parametrize("where", ["serial", "dask"])
def test_a_row_that_hangs_is_set_aside_after_its_timeouts(tmp_path: Path, engine: DaskEngine, where: str) -> None:
    chosen = engine if where == "dask" else "serial"
    finished = run(6, hanging, tmp_path, chosen, tasks=3, timeout=1.0, arguments={"row": 5})
    assert (set_aside(finished), delivered(finished)) == ([5], [0, 1, 2, 3, 4])


@pytest.mark.parametrize("where", ["serial", "dask"])
def test_sys_exit_is_an_error_of_the_program(tmp_path: Path, engine: DaskEngine, where: str) -> None:
    chosen = engine if where == "dask" else "serial"
    finished = run(60, leaving, tmp_path, chosen, arguments={"row": 17})
    assert (set_aside(finished), finished.exit_code) == ([17], 5)
    with pytest.raises(RunFailed, match=r"the program raised SystemExit\(0\)"):
        run(60, leaving, tmp_path / "again", chosen, on_error="raise", max_retries=0, arguments={"row": 17})


@pytest.mark.parametrize("program", [greedy, out_of_gpu_memory])
@pytest.mark.parametrize("where", ["serial", "dask"])
def test_too_many_rows_for_the_memory_are_divided_and_all_delivered(
    tmp_path: Path, engine: DaskEngine, where: str, program: Any
) -> None:
    finished = run(200, program, tmp_path, engine if where == "dask" else "serial", tasks=2, arguments={"most": 30})
    assert delivered(finished) == list(range(200))
    assert finished.exit_code == 0
    assert sorted(pd.read_parquet(tmp_path / "out")["y"]) == [2 * x for x in range(200)]


def test_explain_tells_the_life_of_a_subtask_with_its_reasons(tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from partitioner.cli import app

    finished = run(100, greedy, tmp_path, "serial", tasks=2, arguments={"most": 30})
    told = CliRunner().invoke(app, ["explain", finished.url, "t000001"])
    assert told.exit_code == 0, told.output
    assert "t000001-a0 failed on serial: MemoryError 50 rows are too many" in told.output
    assert "t000001 split after serial: MemoryError 3 times; its 50 rows are divided" in told.output
    assert "t000001.25-50 committed by t000001.25-50-a0 on serial: 25 of 25 rows" in told.output
    assert "t000000" not in told.output
    wrong = CliRunner().invoke(app, ["explain", finished.url, "t000009"])
    assert "has no sub-task 't000009'; it has t000000 to t000001" in str(wrong.exception)


def test_partial_results_of_parts_are_merged(tmp_path: Path, engine: DaskEngine) -> None:
    finished = run(200, greedy, tmp_path, "serial", tasks=2, reducer="count", output=None, arguments={"most": 30})
    assert finished.result == 200


def test_a_resume_knows_the_parts(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    program = {"arguments": {"most": 30, "gate": str(gate)}}
    with pytest.raises(RunFailed, match="not yet"):
        run(100, gated, tmp_path, "serial", tasks=1, on_error="raise", max_retries=0, **program)
    before = {p.name for p in (tmp_path / "out").glob("part-*.parquet")}
    assert {"part-t000000.parquet", "part-t000000.000-025.parquet"} <= before
    gate.touch()
    (home,) = (tmp_path / "runs").iterdir()
    finished = run(100, gated, tmp_path, "serial", tasks=1, on_error="raise", resume=home.name, **program)
    assert delivered(finished) == list(range(100))
    assert finished.attempted < 6


def tenth(batch: pd.DataFrame) -> pd.DataFrame:
    if (batch["x"] % 10 == 0).any():
        raise ValueError("every tenth row\nis bad")
    return doubled(batch)


def test_rows_that_were_set_aside_before_a_resume_count_towards_the_most_that_may_be(tmp_path: Path) -> None:
    limits: dict[str, Any] = {"engine": "serial", "tasks": 4, "max_quarantined": 2}
    with pytest.raises(RunFailed, match="3 rows are set aside, max_quarantined allows 2"):
        run(40, tenth, tmp_path, **limits)
    (home,) = (tmp_path / "runs").iterdir()
    before = len(list((tmp_path / "out").glob("part-*")))
    with pytest.raises(RunFailed, match="3 rows are set aside, max_quarantined allows 2"):
        run(40, tenth, tmp_path, resume=home.name, **limits)
    assert len(list((tmp_path / "out").glob("part-*"))) == before == 3
    finished = run(40, tenth, tmp_path, resume=home.name, **{**limits, "max_quarantined": 4})
    assert (set_aside(finished), finished.exit_code) == ([0, 10, 20, 30], 5)
    with pytest.raises(RunFailed, match="ValueError: every tenth row is bad"):  # its two lines are one of ours
        run(40, tenth, tmp_path / "again", "serial", on_error="raise", max_retries=0)


def gated(batch: pd.DataFrame, most: int, gate: str) -> pd.DataFrame:
    if (batch["x"] >= 50).any() and len(batch) <= most and not Path(gate).exists():
        raise ValueError("not yet")
    return greedy(batch, most)


def slowly(batch: pd.DataFrame, folder: str) -> pd.DataFrame:
    Path(folder, f"{pt.task_context().worker_id}-{time.monotonic_ns()}").touch()
    time.sleep(0.5)
    return doubled(batch)


def test_a_retired_worker_is_charged_to_nobody(tmp_path: Path) -> None:
    import threading

    (tmp_path / "marks").mkdir()
    engine = DaskEngine(workers=3)

    def retire() -> None:
        while not list((tmp_path / "marks").glob("1-*")):
            time.sleep(0.02)
        engine._client.retire_workers(names=["1"])

    thread = threading.Thread(target=retire)
    thread.start()
    finished = run(90, slowly, tmp_path, engine, tasks=9, arguments={"folder": str(tmp_path / "marks")}, max_retries=0)
    thread.join()
    engine.close()
    assert delivered(finished) == list(range(90))
    assert "retried" not in rungs(finished)
