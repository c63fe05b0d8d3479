from typing import Any

import numpy as np
import pandas as pd
import pytest

from connectors.memory import MemorySource
from partitioner.costs.measuring.measurements import Timing
from partitioner.engines.serial import SerialEngine
from partitioner.engines.speeds import time_pieces, with_measured_speeds
from partitioner.model import Workers
from partitioner.run_directory import RunDirectory


class Answering:
    """An engine whose workers answer with the CPU seconds of four pieces each."""

    def __init__(self, seconds: dict[str, Any]) -> None:
        self.seconds = seconds

    def workers(self) -> Workers:
        return Workers.identical(4)

    def call(self, function: Any, *args: Any) -> dict[str, Any]:
        return {
            name: s if isinstance(s, Exception) else [Timing(seconds=9.0, cpu_seconds=s) for _ in range(4)]
            for name, s in self.seconds.items()
        }


def speeds_of(seconds: dict[str, Any], tmp_path: Any) -> list[float]:
    pieces = MemorySource(pd.DataFrame({"x": np.arange(100)})).describe().fragments
    workers, _ = with_measured_speeds(Answering(seconds), RunDirectory(str(tmp_path)), pieces)  # type: ignore[arg-type]
    return workers.speed.tolist()


def test_a_worker_that_takes_twice_as_long_has_half_the_speed(tmp_path):
    assert speeds_of({"worker-0": 2.0, "worker-1": 1.0, "worker-2": 1.0, "worker-3": 1.0}, tmp_path) == [0.5, 1, 1, 1]


def test_workers_within_the_noise_of_machines_count_as_equal(tmp_path):
    assert speeds_of({"worker-0": 1.1, "worker-1": 1.0, "worker-2": 0.95, "worker-3": 1.0}, tmp_path) == [1, 1, 1, 1]


def test_a_worker_that_could_not_be_timed_keeps_its_declared_speed(tmp_path):
    answers = {"worker-0": RuntimeError("no such module"), "worker-1": 1.0, "worker-2": 1.0, "worker-3": 4.0}
    assert speeds_of(answers, tmp_path) == [1, 1, 1, 0.25]


def test_one_answer_is_not_compared_with_anything(tmp_path):
    assert speeds_of({"worker-0": 5.0}, tmp_path) == [1, 1, 1, 1]


def double(rows: pd.DataFrame) -> pd.DataFrame:
    return rows * 2


def test_pieces_are_timed_with_the_program_of_the_run_directory(tmp_path):
    from partitioner import stages
    from partitioner.config import make
    from partitioner.resolved import resolve

    config = make({"dataset": pd.DataFrame({"x": np.arange(64)}), "program": double, "checkpoint": str(tmp_path)})
    run = RunDirectory(str(tmp_path / "run"))
    described = stages.describe(resolve(config), run)
    stages.write_job(run, described.job)
    answers = SerialEngine().call(time_pieces, run.url, run.key, described.dataset.fragments.take([0, 5, 9]))
    assert [t.process != "" and t.seconds > 0 for t in answers["serial"]] == [True] * 3


@pytest.mark.parametrize("measure", [True, False])
def test_plans_say_that_speeds_were_measured_only_where_they_were(tmp_path, measure):
    import partitioner as pt

    run = pt.run(
        pd.DataFrame({"x": np.arange(512)}),
        double,
        cost="calibrate",
        engine={"engine": "dask", "workers": 2},
        measure_speeds=measure,
        checkpoint=str(tmp_path),
        report=False,
        progress=False,
    )
    assert run.result.to_pandas()["x"].tolist() == list(range(0, 1024, 2))
    assert ("worker speeds" in run.plan.reasons) <= measure
