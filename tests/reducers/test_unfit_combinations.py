"""Combinations that cannot work are refused before anything runs, with what fits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import partitioner as pt
from partitioner.choices import choose
from partitioner.errors import ConfigError, PreflightFailed
from partitioner.reducers.tree_sum import TreeSum

DATA = pa.table({"key": [1, 2, 1, 2], "x": [1.0, 2.0, 3.0, 4.0]})


def by_key(inner: Any) -> dict[str, Any]:
    return {"reducer": "by_key", "key": "key", "inner": inner}


def several(**of: Any) -> dict[str, Any]:
    return {"reducer": "several", "of": of}


def never(batch: Any) -> Any:
    raise AssertionError("the program ran")


@pytest.mark.parametrize(
    "inner",
    [
        *(
            "soft_vote",
            "hard_vote",
            "average",
            "forest",
            "weighted_mean",
            "median",
            "trimmed_mean",
            "tree_sum",
            "concat",
        ),
        by_key("mean"),
        several(a="mean", b=by_key("mean")),
        several(a="weighted_mean", b="median"),
    ],
)
def test_by_key_refuses_what_reduces_no_rows_and_names_what_fits(inner: Any) -> None:
    with pytest.raises(ConfigError, match=r"by_key cannot hold .*; what fits: .*count, .*mean, .*variance"):
        choose("reducers", by_key(inner))


@pytest.mark.parametrize("models", ["soft_vote", "weighted_mean", "trimmed_mean", several(n="count", v="forest")])
def test_several_refuses_models_beside_numbers(models: Any) -> None:
    with pytest.raises(
        ConfigError, match=r"takes numbers, rows or tables, and 'b' .* takes fitted models or parameters"
    ):
        choose("reducers", several(a="mean", b=models))


def test_several_holds_what_takes_the_same() -> None:
    assert choose("reducers", several(a="soft_vote", b="weighted_mean", n="count")).takes == "models"
    assert choose("reducers", several(a="mean", b=by_key("max"), c="tree_sum")).takes == "data"


@pytest.mark.parametrize("of", ["mean", ["mean"], {}])
def test_several_needs_a_name_for_each(of: Any) -> None:
    with pytest.raises(ConfigError, match="several needs a name for each of its reducers"):
        choose("reducers", {"reducer": "several", "of": of})


@pytest.mark.parametrize("key", [3, "", ["a", "b"], None])
def test_a_key_is_the_name_of_one_column(key: Any) -> None:
    with pytest.raises(ConfigError, match="it is the name of one column"):
        choose("reducers", {"reducer": "by_key", "key": key})


@pytest.mark.parametrize(
    "settings",
    [
        {"reducer": by_key("soft_vote")},
        {"reducer": several(a="mean", b="soft_vote")},
        {"reducer": "mean", "output": "rows.csv"},
        {"reducer": "mean", "format": "jsonl"},
        {"reducer": "count", "output": "out", "partition_by": ["key"]},
        {"reducer": "tree_sum", "output": "out", "rows_per_file": 2},
        {"reducer": "soft_vote", "output": "out", "mode": "incremental"},
        {"reducer": "median", "output": "out", "mode": "append"},
        {"reducer": "mean", "mode": "overwrite"},
    ],
)
@pytest.mark.parametrize("what", [pt.plan, pt.run])
def test_it_is_refused_before_a_run_is_made(tmp_path: Path, settings: dict[str, Any], what: Any) -> None:
    if "output" in settings:
        settings = {**settings, "output": str(tmp_path / settings["output"])}
    with pytest.raises(ConfigError):
        what(DATA, never, engine="serial", cost="rows", checkpoint=str(tmp_path / "runs"), **settings)
    assert not list(tmp_path.rglob("run.json"))


class Open(TreeSum):
    """Its accumulator holds what only pickle could write."""

    def add_input(self, accumulator: Any, value: Any) -> Any:
        return {"at": open}


def test_an_accumulator_that_cannot_be_written_is_refused_before_the_first_sub_task(checkpoint: str) -> None:
    settings: dict[str, Any] = {"reducer": Open(), "engine": "serial", "cost": "rows", "checkpoint": checkpoint}
    with pytest.raises(PreflightFailed, match=r"the trial on the first rows.*value\['at'\] is a .* without pickle"):
        pt.run(DATA, _same, **settings)


def test_reducers_that_look_at_other_columns_are_right_by_key(checkpoint: str) -> None:
    inner = several(
        a={"reducer": "mean", "columns": ["x"]}, b={"reducer": "max", "columns": ["y"]}, c={"reducer": "sum"}
    )
    data = pa.table({"key": [1, 2, 1], "x": [1.0, 2.0, 3.0], "y": [7.0, 8.0, 9.0]})
    found = pt.run(data, _same, reducer=by_key(inner), engine="serial", cost="rows", checkpoint=checkpoint).result
    assert found.to_pydict() == {
        "key": [1, 2],
        "a_x": [2.0, 2.0],
        "b_y": [9.0, 8.0],
        "c_x": [4.0, 2.0],
        "c_y": [16.0, 8.0],
    }


def _same(batch: Any) -> Any:
    return batch
