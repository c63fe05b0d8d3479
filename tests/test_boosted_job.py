"""Partitions of a plan for xgboost's own training: each row once, on the worker of the plan; what is kept is found again."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import partitioner as pt
from jobs import train_boosted
from partitioner.errors import ConfigError, MissingDependency
from partitioner.training import Design, partitions

CONF = "conf/train_boosted.yaml"


def test_without_xgboost_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "xgboost", None)
    with pytest.raises(MissingDependency, match=r"batch-partitioner\[boosting\]"):
        train_boosted.main([CONF])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["engine={engine: spark}"], r"xgboost\.spark"),
        (["engine=spark"], r"xgboost\.spark"),
        (["engine={engine: dask, threads: 2}"], "no option 'threads' here"),
    ],
)
def test_another_engine_is_refused_with_what_to_use(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, settings: list[str], message: str
) -> None:
    monkeypatch.setitem(sys.modules, "xgboost", type(sys)("xgboost"))
    given = [part for setting in [*settings, f"output={tmp_path}/out"] for part in ("--set", setting)]
    with pytest.raises(ConfigError, match=message):
        train_boosted.main([CONF, *given])


def test_a_run_to_resume_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "xgboost", type(sys)("xgboost"))
    with pytest.raises(ConfigError, match="no run to go on with"):
        train_boosted.main([CONF, "--resume", "20260101-000000-abcdef"])


def test_models_of_another_training_are_not_gone_on_from(tmp_path: Path) -> None:
    train_boosted.check_same(tmp_path, "data", {"params": {"max_depth": 4}, "rounds": 10})
    (tmp_path / "round-000010.ubj").touch()
    train_boosted.check_same(tmp_path, "data", {"params": {"max_depth": 4}, "rounds": 20})
    with pytest.raises(ConfigError, match=r'holds models of another training, .*"max_depth": 4.*; this one is .*: 5'):
        train_boosted.check_same(tmp_path, "data", {"params": {"max_depth": 5}, "rounds": 20})


def test_every_row_is_there_once_on_the_worker_of_the_plan(tmp_path: Path, dask_engine: Any) -> None:
    table = pa.table({"a": np.arange(90.0), "b": np.arange(90.0) * 2, "y": np.arange(90) % 3})
    pq.write_table(table, tmp_path / "in.parquet", row_group_size=10)
    client, data = dask_engine._client, str(tmp_path / "in.parquet")
    plan = pt.plan(data, engine=client, cost="rows", max_tasks=4, min_tasks_per_slot=2)
    x, y = train_boosted.placed(client, partitions(plan, data), Design.of(None, "y"))
    found = x.compute(scheduler=client)
    assert sorted(found.tolist()) == [[float(i), 2.0 * i] for i in range(90)]
    assert y.compute(scheduler=client).tolist() == (found[:, 0] % 3).tolist()
    assert (x.dtype, x.numblocks[0]) == (np.float32, len(plan.tasks))


def test_the_model_of_the_last_round_is_gone_on_from(tmp_path: Path) -> None:
    assert train_boosted.newest(tmp_path) == (0, None)
    for name in ("round-000010.ubj", "round-000020.ubj", "unfinished.ubj"):
        (tmp_path / name).touch()
    assert train_boosted.newest(tmp_path) == (20, str(tmp_path / "round-000020.ubj"))
