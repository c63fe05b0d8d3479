"""The pilot in all slots at once: what it measures, what it tells of workers, and what goes wrong there."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import partitioner as pt
from connectors.memory import MemorySource
from partitioner.attempt.pilot import Share
from partitioner.config import make
from partitioner.costs.measuring.measurements import Timing
from partitioner.engines.base import Engine
from partitioner.engines.dask import DaskEngine
from partitioner.engines.pilot import OnSlots
from partitioner.engines.serial import SerialEngine
from partitioner.errors import CostError, EngineLost, InfeasiblePlan, PreflightFailed
from partitioner.model import Dataset, Workers
from partitioner.stages import steps as stages
from partitioner.stages.resolved import resolve
from partitioner.store.run_directory import RunDirectory

TABLE = MemorySource(pd.DataFrame({"x": np.arange(100)})).describe()
QUIET: dict[str, Any] = {"report": False, "progress": False}


class Answering:
    """Slots that take the given CPU seconds for every piece, or answer with an error."""

    def __init__(self, seconds: dict[str, float | Exception]) -> None:
        self.seconds = seconds

    def call_slots(self, function: Any, slots: Mapping[str, int], *args: Any) -> dict[str, list[Any]]:
        asked, count = args[2], len(slots)
        answers: dict[str, list[Any]] = {}
        for k, worker in enumerate(slots):
            took = self.seconds[worker]
            timing = Timing(9.0, cpu_seconds=took) if isinstance(took, float) else None
            timings = (timing,) * len(asked.order[k::count])
            answers[worker] = [Share(k, count, worker, timings) if timing is not None else took]
        return answers


def ran(seconds: dict[str, float | Exception]) -> OnSlots:
    """A pilot of four pieces, each in every slot."""
    runner = OnSlots(Answering(seconds), RunDirectory("memory://none"), dict.fromkeys(seconds, 1))
    runner(TABLE, TABLE.fragments.take(np.repeat(np.arange(4), len(seconds))), 60.0)
    return runner


def speeds_of(seconds: dict[str, float | Exception]) -> dict[str, float]:
    workers = Workers.identical(len(seconds))
    return dict(ran(seconds).speeds(workers))


def test_a_worker_that_takes_twice_as_long_has_half_the_speed() -> None:
    found = speeds_of({"worker-0": 2.0, "worker-1": 1.0, "worker-2": 1.0, "worker-3": 1.0})
    assert list(found.values()) == [0.5, 1, 1, 1]


def test_workers_within_the_noise_of_machines_count_as_equal() -> None:
    found = speeds_of({"worker-0": 1.1, "worker-1": 1.0, "worker-2": 0.95, "worker-3": 1.0})
    assert list(found.values()) == [1, 1, 1, 1]


def test_a_worker_that_was_lost_has_no_measured_speed() -> None:
    found = speeds_of({"worker-0": EngineLost("gone"), "worker-1": 1.0, "worker-2": 1.0, "worker-3": 4.0})
    assert found == {"worker-1": 1.0, "worker-2": 1.0, "worker-3": 0.25}


def test_one_worker_is_not_compared_with_anything() -> None:
    assert speeds_of({"worker-0": 5.0}) == {}


def test_slots_share_out_the_pieces() -> None:
    runner = OnSlots(
        Answering({"worker-0": 1.0, "worker-1": 3.0}), RunDirectory("memory://n"), {"worker-0": 1, "worker-1": 1}
    )
    pieces = TABLE.fragments.take(range(5))
    assert [t and t.cpu_seconds for t in runner(TABLE, pieces, 60.0)] == [1.0, 3.0, 1.0, 3.0, 1.0]


def test_no_worker_that_lives_through_the_pilot_is_said() -> None:
    with pytest.raises(
        PreflightFailed, match=r"no worker lived through the pilot \(worker worker-0: EngineLost: gone\)"
    ):
        ran({"worker-0": EngineLost("gone")})


def double(rows: pd.DataFrame) -> pd.DataFrame:
    return rows * 2


def prepared(program: Any, folder: Path, rows: int = 64) -> tuple[RunDirectory, Dataset]:
    parts = resolve(
        make({"dataset": pd.DataFrame({"x": np.arange(rows)}), "program": program, "checkpoint": str(folder)})
    )
    run = RunDirectory(str(folder / "run"))
    described = stages.describe(parts, run)
    assert described.job is not None
    stages.write_job(run, described.job)
    return run, described.dataset


@pytest.fixture(params=["serial", "dask"])
def engine(request: pytest.FixtureRequest) -> Engine:
    return SerialEngine() if request.param == "serial" else request.getfixturevalue("dask_engine")


def test_pieces_are_timed_with_the_program_of_the_run_directory(engine: Engine, tmp_path: Path) -> None:
    run, dataset = prepared(double, tmp_path)
    runner = OnSlots(engine, run, dict.fromkeys(engine.workers().worker_id, 1))
    timings = runner(dataset, dataset.fragments.take([0, 0, 0, 0]), 60.0)
    assert [t is not None and t.seconds > 0 for t in timings] == [True] * 4
    assert len({t.process for t in timings if t}) == len(engine.workers())


def fails(rows: pd.DataFrame) -> pd.DataFrame:
    raise KeyError("no such thing")


def test_a_program_that_fails_on_every_piece_stops_with_its_error_and_the_row(
    dask_engine: DaskEngine, tmp_path: Path
) -> None:
    with pytest.raises(CostError, match=r"failed on .*\(row \d+\): KeyError: 'no such thing'"):
        pt.run(
            pd.DataFrame({"x": range(300)}),
            fails,
            cost="calibrate",
            engine=dask_engine,
            checkpoint=str(tmp_path),
            **QUIET,
        )
    assert not (tmp_path / "run").exists()


class DiesOnce:
    """Kills its worker the first time that any worker calls it."""

    def __init__(self, flag: str) -> None:
        self.flag = flag

    def __call__(self, rows: pd.DataFrame) -> pd.DataFrame:
        try:
            os.close(os.open(self.flag, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return rows
        os.kill(os.getpid(), signal.SIGKILL)
        return rows


def test_a_worker_lost_in_the_pilot_leaves_the_others_going_on(tmp_path: Path) -> None:
    run = pt.run(
        pd.DataFrame({"x": range(300)}),
        DiesOnce,
        arguments={"flag": str(tmp_path / "flag")},
        cost="calibrate",
        engine={"engine": "dask", "workers": 2},
        checkpoint=str(tmp_path),
        **QUIET,
    )
    assert (tmp_path / "flag").exists()
    assert run.plan.reasons["cost unit"] == "seconds"
    assert run.result.to_pandas()["x"].tolist() == list(range(300))


@pytest.mark.parametrize(("demand", "said"), [({"task_cpus": 3}, "cpus = 3"), ({"task_gpus": 1}, "gpus = 1")])
def test_that_no_worker_can_hold_one_piece_is_said_with_the_resource(
    dask_engine: DaskEngine, tmp_path: Path, demand: dict[str, Any], said: str
) -> None:
    with pytest.raises(InfeasiblePlan, match=f"No worker can hold one piece of the pilot: it needs {said}"):
        pt.run(
            pa.table({"x": [1]}),
            double,
            cost="calibrate",
            engine=dask_engine,
            checkpoint=str(tmp_path),
            **demand,
            **QUIET,
        )


@pytest.mark.parametrize("measure", [True, False])
def test_plans_say_that_speeds_were_measured_only_where_they_were(
    dask_engine: DaskEngine, tmp_path: Path, measure: bool
) -> None:
    run = pt.run(
        pd.DataFrame({"x": np.arange(512)}),
        double,
        cost="calibrate",
        engine=dask_engine,
        measure_speeds=measure,
        checkpoint=str(tmp_path),
        **QUIET,
    )
    assert run.result.to_pandas()["x"].tolist() == list(range(0, 1024, 2))
    assert ("worker speeds" in run.plan.reasons) <= measure
