"""Processes that die in mid-pipeline: what is committed stays, and the results are those of an undisturbed run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import partitioner as pt
from partitioner.graphs import PipelineRun
from tests.chaos.scene import ROOT, SIGKILL, kill_group, wait_until
from tests.graphs.steps_of_tests import KillsItsProcess, Waits, replaced

FRAME = pd.DataFrame({"x": np.arange(1.0, 101.0)})
DASK = {"engine": "dask", "workers": 2}


def settings(folder: Path) -> dict[str, Any]:
    return {"parts": 4, "checkpoint": str(folder / "runs"), "progress": False, "report": False}


def check(found: PipelineRun) -> None:
    assert (found["all_of_it"], found["top"], found["spread"]) == (10100.0, 200.0, {"sum": 10100.0, "max": 200.0})
    np.testing.assert_allclose(found["shares"]["x"].to_numpy(), FRAME["x"] / 5050, rtol=1e-15)


def test_a_worker_that_is_killed_in_mid_pipeline_changes_no_result(tmp_path: Path) -> None:
    found = pt.pipeline(replaced(KillsItsProcess, str(tmp_path)), FRAME, engine=DASK, **settings(tmp_path))
    assert (tmp_path / "killed").exists()
    check(found)


@pytest.mark.parametrize(("before", "after"), [("serial", "dask"), (DASK, "serial")])
def test_a_driver_that_is_killed_in_mid_pipeline_is_resumed_on_another_engine(
    tmp_path: Path, before: Any, after: str, dask_engine: Any
) -> None:
    FRAME.to_parquet(tmp_path / "input.parquet", row_group_size=10)
    command = [sys.executable, "-m", "tests.graphs.driver_of_tests", str(tmp_path), json.dumps(before)]
    driver = subprocess.Popen(command, cwd=ROOT, start_new_session=True)
    wait_until((tmp_path / "reached").exists)
    kill_group(driver, SIGKILL)
    driver.wait()
    (home,) = (tmp_path / "runs").iterdir()
    committed = {path.name for path in (home / "partials").glob("part-*.parquet")}
    assert {f"part-double-000{i}.parquet" for i in range(4)} <= committed
    (tmp_path / "open").touch()
    engine = dask_engine if after == "dask" else after
    found = pt.pipeline(
        replaced(Waits, str(tmp_path)),
        str(tmp_path / "input.parquet"),
        engine=engine,
        resume=home.name,
        **settings(tmp_path),
    )
    check(found)
    assert found.run.attempted == 15 - len(committed)
