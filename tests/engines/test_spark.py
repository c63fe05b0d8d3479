"""Spark as an engine: placement, bundles, calls, cancelling, and what its failures become."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from functools import partial

import pytest

import partitioner as pt
from partitioner.engines.spark import SparkEngine
from partitioner.errors import ConfigError, PreflightFailed, RunFailed
from partitioner.model import Event, EventKind
from partitioner.storage import Directory
from tests.engines import spark_programs as programs
from tests.engines.many_drivers import EngineOfManyDrivers

pytestmark = pytest.mark.spark


@pytest.fixture
def engine(spark) -> Iterator[SparkEngine]:
    engine = SparkEngine(session=spark, timeout=240)
    yield engine
    engine.close()


def test_another_master_than_that_of_the_active_session_is_refused(spark) -> None:
    with pytest.raises(ConfigError, match=r"master is 'local\[1\]', and this process has a Spark session on 'local-cl"):
        SparkEngine(master="local[1]")


class TestContract(EngineOfManyDrivers):
    """The published suite; with placement as a hint, exactness is not its law (see the test with a long wait below)."""

    test_attempts_run_where_the_plan_says_if_placement_is_exact = None


def until(engine: SparkEngine, enough, seconds: float = 120.0) -> list[Event]:
    """Events polled until ``enough(events)``; fails after a generous time."""
    events: list[Event] = []
    end = time.monotonic() + seconds
    while not enough(events):
        assert time.monotonic() < end, f"not seen in {seconds} s; there were {[(e.kind, e.attempt_id) for e in events]}"
        events += engine.poll(0.2)
    return events


def ended(events: list[Event], kind: EventKind) -> list[str]:
    return sorted(e.attempt_id for e in events if e.kind is kind)


def test_executors_are_workers(engine) -> None:
    workers = engine.workers()
    assert len(workers) == 3
    assert workers.cpus.tolist() == [1.0, 1.0, 1.0]
    assert set(workers.host) == {"127.0.0.1"}
    assert 0 < workers.memory_bytes[0] < float("inf")
    assert workers.speed.tolist() == [1.0, 1.0, 1.0]


def test_speeds_are_declared_by_executor_or_host(spark) -> None:
    engine = SparkEngine(session=spark, speeds={"127.0.0.1": 2.0}, timeout=240)
    assert engine.workers().speed.tolist() == [2.0, 2.0, 2.0]
    engine.close()


def test_measured_speeds_are_relative_to_the_middle_executor(spark) -> None:
    engine = SparkEngine(session=spark, speeds="measure", timeout=240)
    assert sorted(engine.workers().speed.tolist())[1] == 1.0
    engine.close()


def test_call_reaches_every_executor(engine) -> None:
    answers = engine.call(max, 3, 4)
    assert answers == dict.fromkeys(engine.workers().worker_id, 4)


def test_call_returns_what_was_raised(engine) -> None:
    answers = engine.call(programs.raises_import_error)
    assert {str(a) for a in answers.values()} == {"no such package here"}


def test_attempts_run_on_the_executors_that_the_plan_names(spark, checkpoint) -> None:
    engine = SparkEngine(session=spark, locality_wait=60.0, timeout=240)  # longer than any busy moment of this test
    attempts = programs.prepared(checkpoint, programs.double, engine, 6)
    engine.submit(attempts)
    events = until(engine, lambda events: len(ended(events, EventKind.FINISHED)) == 6)
    ran = {e.record.attempt_id: e.record.worker_id for e in events if e.record is not None}
    assert ran == {a.attempt_id: a.worker_id for a in attempts}
    engine.close()


def test_many_subtasks_are_few_jobs(spark, checkpoint) -> None:
    before = len(spark.sparkContext.statusTracker().getJobIdsForGroup(None))
    run = pt.run(
        programs.ROWS, programs.double, engine=spark, checkpoint=checkpoint, max_tasks=60, min_tasks_per_slot=20
    )
    jobs = len(spark.sparkContext.statusTracker().getJobIdsForGroup(None)) - before
    assert (len(run.records), run.attempted) == (60, 60)
    assert (
        jobs <= 5
    )  # a look at the executors, the question to every slot (and to one not reached), the trial, one bundle


def test_running_attempts_are_reported_while_they_run(engine, checkpoint) -> None:
    attempts = programs.prepared(checkpoint, programs.sleeps, engine, 3, seconds=300.0)
    engine.submit(attempts)
    events = until(engine, lambda events: len(ended(events, EventKind.STARTED)) == 3)
    assert ended(events, EventKind.FINISHED) == []
    engine.cancel([a.attempt_id for a in attempts])
    events = until(engine, lambda events: len(ended(events, EventKind.CANCELLED)) == 3)


def test_one_attempt_is_cancelled_and_the_others_go_on(engine, checkpoint) -> None:
    attempts = programs.prepared(checkpoint, programs.sleeps, engine, 3, seconds=5.0)
    engine.submit(attempts)
    until(engine, lambda events: len(ended(events, EventKind.STARTED)) == 3)
    engine.cancel([attempts[1].attempt_id])
    events = until(engine, lambda events: len(ended(events, EventKind.FINISHED)) == 2)
    assert ended(events, EventKind.CANCELLED) == [attempts[1].attempt_id]
    assert ended(events, EventKind.FINISHED) == [attempts[0].attempt_id, attempts[2].attempt_id]


def test_output_is_byte_identical_to_serial_and_dask(spark, dask_engine, checkpoint) -> None:
    def output(engine) -> dict[str, bytes]:
        run = pt.run(programs.ROWS, programs.double, engine=engine, checkpoint=checkpoint, progress=False)
        files = Directory(run.result.url)
        return {name: files.get(name) for name in files.names()}

    expected = output("serial")
    assert len(expected) == 8 + 2  # parts, as few as 60 rows are worth, manifest and _SUCCESS
    assert output(spark) == expected
    assert output(dask_engine) == expected


def test_a_dead_python_worker_is_lost_once_and_tried_again(spark, checkpoint, tmp_path) -> None:
    run = pt.run(
        programs.ROWS,
        programs.kills_its_python_worker,
        arguments={"folder": str(tmp_path)},
        engine=spark,
        checkpoint=checkpoint,
        max_tasks=6,
    )
    assert run.result.to_pandas()["y"].tolist() == [2 * x for x in range(60)]
    assert run.attempted == 7


def test_a_killed_executor_is_replaced_and_nothing_committed_runs_again(spark, checkpoint, tmp_path) -> None:
    run = pt.run(
        programs.ROWS,
        programs.kills_its_executor,
        arguments={"folder": str(tmp_path)},
        engine=spark,
        checkpoint=checkpoint,
        max_tasks=12,
    )
    assert run.result.to_pandas()["y"].tolist() == [2 * x for x in range(60)]
    marks = [path.name[:7] for path in tmp_path.glob("t0*")]
    assert sorted(marks) == run.plan.tasks.task_id.to_pylist()
    assert (tmp_path / "executor").exists()


def test_a_bad_node_costs_no_row_though_spark_brings_work_to_it(engine, checkpoint) -> None:
    run = pt.run(
        programs.ROWS,
        programs.bad_node,
        arguments={"name": engine.workers().worker_id[1]},
        engine=engine,
        checkpoint=checkpoint,
        on_error="quarantine",
        max_tasks=30,
        min_tasks_per_slot=30,
    )
    assert run.result.to_pandas()["y"].tolist() == [2 * x for x in range(60)]
    assert (run.quarantined, run.exit_code) == (0, 0)
    assert run.attempted <= 2 * 30 + 10  # each may fail there once, and is brought there seldom after that


def test_a_failing_program_ends_the_run_with_its_message(spark, checkpoint) -> None:
    with pytest.raises(RunFailed, match="no such package here"):
        pt.run(programs.ROWS, programs.raises_import_error, engine=spark, checkpoint=checkpoint, max_tasks=3)


def test_preflight_names_the_executors_that_cannot_see_the_run_directory(spark, checkpoint, monkeypatch) -> None:
    from partitioner.engines import preflight

    monkeypatch.setattr(preflight.RunDirectory, "url", property(lambda self: "/nowhere/run"))
    with pytest.raises(PreflightFailed, match="does not see the run directory"):
        pt.run(programs.ROWS, programs.double, engine=spark, checkpoint=checkpoint, max_tasks=3)


def test_a_wrong_locality_wait_is_refused_before_spark_hears_of_it(spark) -> None:
    with pytest.raises(ConfigError, match="locality_wait is -1"):
        SparkEngine(session=spark, locality_wait=-1)


def test_the_locality_wait_of_a_given_session_is_set_back(spark) -> None:
    settings = spark.sparkContext._jsc.sc().conf()
    before = settings.get("spark.locality.wait")
    engine = SparkEngine(session=spark, locality_wait=7.25, timeout=240)
    assert settings.get("spark.locality.wait") == "7250ms"
    engine.close()
    assert settings.get("spark.locality.wait") == before


def test_the_wait_is_set_back_by_the_last_engine_of_a_session(spark) -> None:
    settings = spark.sparkContext._jsc.sc().conf()
    before = settings.get("spark.locality.wait")
    first, second = (SparkEngine(session=spark, locality_wait=wait, timeout=240) for wait in (7.25, 2.0))
    first.close()
    assert settings.get("spark.locality.wait") == "2000ms"
    second.close()
    assert settings.get("spark.locality.wait") == before


def test_a_run_waits_for_no_executor_whose_cores_another_job_has(spark, checkpoint, tmp_path) -> None:
    context, folder = spark.sparkContext, str(tmp_path)
    other = threading.Thread(
        target=lambda: context.parallelize([0], 1).foreach(partial(programs.holds_its_core, folder))
    )
    other.start()
    try:
        programs.wait_for(tmp_path / "held")
        run = pt.run(programs.ROWS, programs.double, engine=spark, checkpoint=checkpoint, max_tasks=6, cost="rows")
    finally:
        (tmp_path / "over").touch()
        other.join()
    assert run.result.to_pandas()["y"].tolist() == [2 * x for x in range(60)]
    held = (tmp_path / "held").read_text()
    assert run.plan.reasons["workers not there yet"] == f"1 ({held}); they join when they answer"


def test_something_else_as_session_is_refused(spark) -> None:
    with pytest.raises(ConfigError, match="session is a int; give a SparkSession"):
        SparkEngine(session=3)
