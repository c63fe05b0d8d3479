"""The trial before the run: what no sub-task could do is said before the first, and nothing else is."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

import partitioner as pt
from partitioner.engines.dask import DaskEngine
from partitioner.engines.trial import extent
from partitioner.errors import PartitionerError, PreflightFailed, RunFailed

TABLE = pa.table({"x": range(40)})


def run(program: Any, checkpoint: str, **options: Any) -> pt.Run:
    settings = {"cost": "rows", "max_tasks": 4, "engine": "serial", "progress": False, "report": False, **options}
    return pt.run(TABLE, program, checkpoint=checkpoint, **settings)


def noted(rows: pd.DataFrame, folder: str) -> pd.DataFrame:
    Path(folder, f"{pt.task_context().task_key}-{len(list(Path(folder).iterdir()))}").touch()
    return rows


def test_one_worker_of_all_tries_the_first_rows(tmp_path: Path, checkpoint: str, dask_engine: DaskEngine) -> None:
    folder = tmp_path / "marks"
    folder.mkdir()
    run(noted, checkpoint, engine=dask_engine, arguments={"folder": str(folder)})
    assert len(list(folder.glob("trial-*"))) == 1


def nothing(rows: pd.DataFrame) -> None:
    return None


def test_a_wrong_return_is_said_before_the_run_and_leaves_nothing(
    tmp_path: Path, checkpoint: str, dask_engine: DaskEngine
) -> None:
    with pytest.raises(
        PreflightFailed, match=r"the trial on the first rows.*returned None \(is a return statement missing"
    ):
        run(nothing, checkpoint, engine=dask_engine, output=str(tmp_path / "out"))
    assert not list(tmp_path.rglob("*.*"))


def two_arguments(rows: pd.DataFrame, threshold: float) -> pd.DataFrame:
    return rows


class NoCall:
    pass


class NeedsModel:
    def __init__(self, model: str) -> None: ...

    def __call__(self, rows: pd.DataFrame) -> pd.DataFrame:
        return rows


@pytest.mark.parametrize(
    ("program", "arguments", "message"),
    [
        (two_arguments, {}, "two_arguments cannot be called with one batch.*missing a required argument: 'threshold'"),
        (two_arguments, {"treshold": 1}, "two_arguments cannot be called with one batch and the arguments treshold"),
        (NeedsModel, {}, "NeedsModel cannot be built.*missing a required argument: 'model'"),
        (NoCall, {}, "NoCall has no __call__"),
    ],
)
def test_arguments_that_do_not_fit_are_refused_at_once(
    checkpoint: str, program: Any, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(PartitionerError, match=message):
        run(program, checkpoint, arguments=arguments)
    assert not list(Path(checkpoint).rglob("*"))


def fails_on_the_first_row(rows: pd.DataFrame) -> pd.DataFrame:
    if (rows["x"] == 0).any():
        raise ValueError("row 0")
    return rows


def test_an_error_that_a_row_may_be_to_blame_for_is_left_to_the_run(checkpoint: str) -> None:
    finished = run(fails_on_the_first_row, checkpoint, on_error="quarantine")
    assert (len(finished.result), finished.quarantined) == (39, 1)
    with pytest.raises(RunFailed, match=r"sub-task t000000 failed 3 times.*ValueError: row 0"):
        run(fails_on_the_first_row, checkpoint)


class Built:
    built = 0

    def __init__(self) -> None:
        type(self).built += 1

    def __call__(self, rows: pd.DataFrame) -> pd.DataFrame:
        return pd.DataFrame({"built": [type(self).built] * len(rows)})


def test_what_the_trial_built_is_kept_for_the_run(checkpoint: str) -> None:
    assert set(run(Built, checkpoint).result.to_pandas()["built"]) == {1}


def slow(rows: pd.DataFrame, folder: str) -> pd.DataFrame:
    mark = Path(folder, "inside")
    assert not mark.exists(), "two calls at once"
    mark.touch()
    time.sleep(0.3)
    mark.unlink()
    return rows


def test_no_second_call_begins_beside_a_slow_trial(
    tmp_path: Path, checkpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("partitioner.engines.trial.UNKNOWN", 0.01)
    done = run(slow, checkpoint, arguments={"folder": str(tmp_path)}, max_retries=0)
    assert done.counts["rows_out"] == 40


def leaves(rows: pd.DataFrame) -> pd.DataFrame:
    sys.exit(0)


def test_a_trial_that_leaves_is_no_end_of_the_run(checkpoint: str) -> None:
    with pytest.raises(RunFailed, match="SystemExit"):
        run(leaves, checkpoint, max_retries=0)


@pytest.mark.parametrize(
    ("seconds", "rows", "expected"),
    [
        (0.001, 1000, (10, 0.5)),  # a second of work: ten rows take 0.01 s
        (0.1, 1000, (10, 1.0)),  # 100 s: 1 % of them
        (0.4, 1000, (10, 4.0)),
        (0.2, 100, (2, 0.5)),  # 20 s: two rows fit
        (3.0, 100, (0, 3.0)),  # a row of 3 s: the first sub-task tells as soon
        (None, 100, (10, 2.0)),  # nobody knows how long a row takes
    ],
)
def test_a_trial_costs_at_most_one_percent_of_what_is_predicted(
    seconds: float | None, rows: int, expected: tuple[int, float]
) -> None:
    cost: Any = "rows" if seconds is None else {"model": "rows", "seconds_per_row": seconds}
    plan = pt.plan(pa.table({"x": range(rows)}), cost=cost, workers=1)
    assert extent(plan) == pytest.approx(expected, rel=0.01)
