"""Spark Connect as an engine, against a server in a process of its own: the published suite, deaths, resume, cancelling."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

import partitioner as pt
from partitioner.coordinator import ledger
from partitioner.engines.resolve import resolve
from partitioner.engines.spark_connect import SparkConnectEngine
from partitioner.errors import EngineLost, RunFailed
from partitioner.model import Event, EventKind
from partitioner.testing.engines import until_ended
from tests.engines import spark_programs as programs
from tests.engines.many_drivers import EngineOfManyDrivers

pytestmark = pytest.mark.spark


@pytest.fixture(scope="module")
def engine(connect_server: str) -> Iterator[SparkConnectEngine]:
    engine = SparkConnectEngine(remote=connect_server)
    yield engine
    engine.close()


class TestContract(EngineOfManyDrivers):
    """The published suite; placement is ignored, so exactness is not its law."""

    test_attempts_run_where_the_plan_says_if_placement_is_exact = None


def test_executors_and_their_cores_are_found_without_a_context(engine: SparkConnectEngine) -> None:
    workers = engine.workers()
    assert workers.cpus.tolist() == [1.0, 1.0]
    assert 0 < workers.memory_bytes[0] < float("inf")
    assert engine.capabilities.placement == "ignored"


def test_a_session_handed_over_runs_and_stays_open(engine: SparkConnectEngine, checkpoint: str) -> None:
    run = pt.run(programs.ROWS, programs.double, engine=engine._spark, checkpoint=checkpoint, progress=False)
    assert run.result.to_pandas()["y"].tolist() == [2 * x for x in range(60)]
    assert engine._spark.range(3).count() == 3


def test_a_frame_of_connect_is_read_and_its_session_followed(engine: SparkConnectEngine, checkpoint: str) -> None:
    frame = engine._spark.range(0, 40, 1, 3).selectExpr("id AS x")
    run = pt.run(frame, programs.double, checkpoint=checkpoint, progress=False, report=False)
    assert run.result.to_pandas()["y"].tolist() == [2 * x for x in range(40)]
    assert {record.worker_id for record in run.records} <= set(engine.workers().worker_id)


def kinds(events: list[Event], kind: EventKind) -> list[str]:
    return [e.attempt_id for e in events if e.kind is kind]


def test_what_waits_goes_out_longest_first(engine: SparkConnectEngine, checkpoint: str) -> None:
    prepared = programs.prepared(checkpoint, programs.double, engine, 6)
    seconds = [1.0, 5.0, 3.0, 6.0, 2.0, 4.0]
    attempts = [replace(a, seconds=s) for a, s in zip(prepared, seconds, strict=True)]
    engine.submit(attempts)
    events = until_ended(engine, attempts)
    first = sorted(attempts, key=lambda a: -a.seconds)
    assert kinds(events, EventKind.STARTED) == [a.attempt_id for a in first]


def test_running_and_waiting_attempts_are_cancelled(engine: SparkConnectEngine, checkpoint: str) -> None:
    attempts = programs.prepared(checkpoint, programs.sleeps, engine, 3, seconds=300.0)
    engine.submit(attempts)
    begin = time.monotonic()
    engine.cancel([a.attempt_id for a in attempts])
    events = until_ended(engine, attempts)
    assert sorted(kinds(events, EventKind.CANCELLED)) == [a.attempt_id for a in attempts]
    assert time.monotonic() - begin < 250


@pytest.mark.parametrize("death", [programs.kills_its_python_worker, programs.kills_its_executor])
def test_a_death_is_told_once_and_the_sub_task_runs_again(
    engine: SparkConnectEngine, checkpoint: str, tmp_path: Path, death: object
) -> None:
    run = pt.run(
        programs.ROWS, death, arguments={"folder": str(tmp_path)}, engine=engine, checkpoint=checkpoint, progress=False
    )
    assert (tmp_path / "killed").exists()
    assert run.result.to_pandas()["y"].tolist() == [2 * x for x in range(60)]
    # More attempts than that may be handed back: Spark may bring the next try to the worker that it is to avoid.
    assert [line["what"] for line in ledger.read(run.directory)].count("lost") == 1


def fails_in_the_middle(batch: pd.DataFrame, folder: str) -> pd.DataFrame:
    if 30 in set(batch["x"]) and not Path(folder, "mended").exists():
        raise ValueError("not yet")
    Path(folder, f"{pt.task_context().task_key}-{os.getpid()}").touch()
    return programs.double(batch)


@pytest.mark.parametrize(("first", "then"), [("serial", "connect"), ("connect", "serial")])
def test_a_run_goes_on_with_another_engine(
    engine: SparkConnectEngine, checkpoint: str, tmp_path: Path, first: str, then: str
) -> None:
    engines = {"serial": "serial", "connect": engine}
    settings = {"arguments": {"folder": str(tmp_path)}, "checkpoint": checkpoint, "progress": False, "cost": "rows"}
    settings |= {"max_tasks": 6, "max_retries": 0, "name": "both"}
    with pytest.raises(RunFailed, match="not yet"):
        pt.run(programs.ROWS, fails_in_the_middle, engine=engines[first], **settings)
    done = {p.name.partition("-")[0] for p in tmp_path.glob("t0*-*")}
    assert done
    (tmp_path / "mended").touch()
    run = pt.run(programs.ROWS, fails_in_the_middle, engine=engines[then], resume="auto", **settings)
    assert run.result.to_pandas()["y"].tolist() == [2 * x for x in range(60)]
    assert run.attempted < len(run.records)


def test_a_server_that_is_gone_ends_the_run_in_a_line_and_another_engine_goes_on(
    engine: SparkConnectEngine, checkpoint: str, tmp_path: Path
) -> None:
    """The last test with this server: it does not come back."""
    settings = {"arguments": {"folder": str(tmp_path)}, "checkpoint": checkpoint, "progress": False, "cost": "rows"}
    settings |= {"max_tasks": 6, "name": "lost"}
    with pytest.raises(EngineLost, match=r"^the engine went away: Spark Connect no longer answers: [^\n]*$") as lost:
        pt.run(programs.ROWS, programs.kills_the_server, engine=engine, **settings)
    (run,) = Path(checkpoint).iterdir()
    assert str(lost.value).endswith(f"What is committed stays; resume the run. To go on: partitioner resume {run}")
    finished = pt.run(programs.ROWS, programs.kills_the_server, engine="serial", resume=run.name, **settings)
    assert finished.result.to_pandas()["y"].tolist() == [2 * x for x in range(60)]
    assert finished.attempted < len(finished.records)


LOCAL = """
import partitioner as pt

def double(batch):
    return batch * 2

if __name__ == "__main__":
    settings = {"engine": {"engine": "spark_connect", "remote": "local[2]", "conf": CONF}, "cost": "rows"}
    run = pt.run({"x": list(range(30))}, double, checkpoint="runs", progress=False, report=False, max_tasks=5, **settings)
    print(run.result.to_pandas()["x"].tolist() == [2 * x for x in range(30)], run.plan.workers.cpus.tolist())
"""


def test_a_server_is_started_here_and_ends_with_the_run(tmp_path: Path) -> None:
    (tmp_path / "job.py").write_text(LOCAL.replace("CONF", "{'spark.ui.enabled': False}"))
    environment = {k: v for k, v in os.environ.items() if not k.startswith("SPARK_")}
    paths = os.pathsep.join(p for p in sys.path if p)
    done = subprocess.run(
        [sys.executable, "job.py"],
        cwd=tmp_path,
        env={**environment, "PYTHONPATH": paths, "SPARK_TESTING": "1"},  # a port of its own, so that tests do not meet
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert (done.returncode, done.stdout.strip()) == (0, "True [2.0]"), done.stderr[-3000:]


def test_no_server_is_said_with_the_address() -> None:
    with pytest.raises(EngineLost, match=r"no Spark Connect server answers at 'sc://127\.0\.0\.1:1'"):
        resolve("sc://127.0.0.1:1").opened().__enter__()
