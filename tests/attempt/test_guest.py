"""An attempt is a good guest of the process it runs in."""

import os
import random
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import partitioner as pt
from partitioner.attempt.surroundings import guest, kept_prints, seed_of
from partitioner.errors import ConfigError
from partitioner.model import Attempt
from tests import programs

TABLE = pa.table({"x": range(40)})


def run(program: Any, checkpoint: str, **options: Any) -> pt.Run:
    settings = {"cost": "rows", "max_tasks": 4, "engine": "serial", "progress": False, "report": False, **options}
    return pt.run(TABLE, program, checkpoint=checkpoint, **settings)


def test_a_class_is_built_once_per_worker_process(checkpoint: str, dask_engine: Any) -> None:
    finished = run(programs.BuiltOnce, checkpoint, arguments={"offset": 5}, engine=dask_engine, max_tasks=8)
    rows = finished.result.to_pandas()
    assert rows["y"].tolist() == list(range(5, 45))
    assert set(rows["built"]) == {1}
    assert os.getpid() not in set(rows["pid"])


def test_numeric_threads_are_limited_to_the_cores_of_the_subtask(checkpoint: str, dask_engine: Any) -> None:
    finished = run(programs.thread_limits, checkpoint, engine=dask_engine)
    assert set(finished.result.to_pandas()["threads"]) == {1}


def test_seeds_depend_on_run_and_subtask_only(checkpoint: str, dask_engine: Any) -> None:
    drawn = [
        run(programs.random_numbers, checkpoint, engine=engine, placement=placement, seed=3, min_tasks_per_slot=count)
        .result.to_table()
        .to_pydict()
        for engine, placement, count in (("serial", "lpt", 4), (dask_engine, "lpt", 2), (dask_engine, "round_robin", 2))
    ]
    tasks = len(set(drawn[0]["seed"]))
    assert tasks == 4
    assert drawn[0] == drawn[1] == drawn[2]


def test_another_run_seed_gives_other_numbers(checkpoint: str) -> None:
    one, two = (run(programs.random_numbers, checkpoint, seed=s).result.to_pandas() for s in (1, 2))
    assert not (one["draw"] == two["draw"]).any()


def test_prints_are_kept_by_attempt(checkpoint: str, capfd: pytest.CaptureFixture[str]) -> None:
    finished = run(programs.talkative, checkpoint, min_tasks_per_slot=4)
    first = finished.directory.files.get("attempts/t000000-a0.log").decode()
    assert first == "rows 0 to 9\n"
    assert len(finished.directory.files.names("attempts")) == 4
    assert "rows" not in capfd.readouterr().out


def test_standard_output_is_given_back(checkpoint: str) -> None:
    before = sys.stdout, sys.stderr
    with kept_prints() as outer, kept_prints():
        print("inside", file=sys.stdout)
    assert (sys.stdout, sys.stderr) == before
    assert outer.getvalue() == ""


def test_the_context_is_known_inside_and_only_there() -> None:
    attempt = Attempt("t000007", 7, 2, "w1", "memory://run", cpus=2.0)
    with guest(attempt, run_seed=9):
        context = pt.task_context()
        drawn = random.random(), np.random.random()
    assert (context.task_key, context.number, context.worker_id, context.cpus) == ("t000007", 2, "w1", 2.0)
    assert context.seed == seed_of(9, "t000007") == 1060098756
    with guest(Attempt("t000007", 7, 3, "w2", "memory://run"), run_seed=9):
        assert drawn == (random.random(), np.random.random())
    with pytest.raises(ConfigError, match="only inside a program"):
        pt.task_context()


def test_two_attempts_share_a_process_in_threads(checkpoint: str) -> None:
    engine = {"engine": "dask", "workers": 1, "threads_per_worker": 2}
    options: dict[str, Any] = {"arguments": {"offset": 1}, "max_tasks": 6, "min_tasks_per_slot": 3}
    finished = run(programs.BuiltOnce, checkpoint, engine=engine, **options)
    rows = finished.result.to_pandas()
    assert rows["y"].tolist() == list(range(1, 41))
    assert (set(rows["built"]), len(set(rows["pid"]))) == ({1}, 1)
    assert len(finished.records) == 6


def test_prints_of_threads_do_not_mix(checkpoint: str) -> None:
    engine = {"engine": "dask", "workers": 1, "threads_per_worker": 2}
    finished = run(programs.talkative, checkpoint, engine=engine, max_tasks=8, min_tasks_per_slot=4)
    logs = [finished.directory.files.get(n).decode() for n in finished.directory.files.names("attempts")]
    assert sorted(logs) == sorted(f"rows {5 * i} to {5 * i + 4}\n" for i in range(8))


def test_no_file_of_the_attempt_is_left_but_the_documented_ones(checkpoint: str) -> None:
    finished = run(programs.double, checkpoint)
    top = {name.split("/")[0] for name in finished.directory.files.names()}
    assert top <= {
        *("run.json", "job.pkl", "fragments.parquet", "tasks.parquet", "task_fragments.parquet", "input", "commits"),
        *("output", "schema", "ledger", "plan.json", "plan.parquet", "report.json", "preflight.token", "trial.claim"),
        *("lease", "finished.json"),
    }
    assert Path(checkpoint, finished.run_id, "output", "_SUCCESS").exists()
