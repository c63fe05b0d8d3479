"""A run follows the DataFrame given to the engine it lives on, and says so; an engine named wins."""

from __future__ import annotations

from typing import Any

import dask.dataframe as dd
import pandas as pd
import pytest
from distributed import Client, LocalCluster

import partitioner as pt
from partitioner.config import make
from partitioner.stages.resolved import resolve

FRAME = pd.DataFrame({"x": range(8)})


def same(rows: pd.DataFrame) -> pd.DataFrame:
    return rows


def test_a_dask_frame_is_run_on_the_active_client(checkpoint: str, capfd: pytest.CaptureFixture[str]) -> None:
    with (
        LocalCluster(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=":0") as cluster,
        Client(cluster) as client,
    ):
        choice = resolve(make({"dataset": dd.from_pandas(FRAME, 2), "program": same})).engine
        assert choice.wanted is not None
        assert choice.wanted.options == {"client": client}
        named = resolve(make({"dataset": dd.from_pandas(FRAME, 2), "program": same, "engine": "serial"})).engine
        assert named.wanted is not None
        assert named.wanted.name == "serial"
    assert "the run follows the DataFrame given to its Client; engine= names another" in capfd.readouterr().err


@pytest.mark.spark
def test_a_spark_frame_is_run_on_its_session(checkpoint: str, spark: Any, capfd: pytest.CaptureFixture[str]) -> None:
    frame = spark.range(8).withColumnRenamed("id", "x")
    finished = pt.run(frame, same, checkpoint=checkpoint, progress=False, report=False, cost="rows", max_tasks=3)
    assert sorted(finished.result.to_pandas()["x"]) == list(range(8))
    assert "the run follows the DataFrame given to its SparkSession" in capfd.readouterr().err
    assert spark.range(1).count() == 1
