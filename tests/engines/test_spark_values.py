"""What the Spark engine decides without a cluster: refusals, sizes, descriptions, reconciliation of Spark's own retries."""

from __future__ import annotations

import pickle
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from partitioner.engines import spark_place, spark_session, spark_task
from partitioner.engines.resolve import resolve
from partitioner.engines.spark_bundle import Bundle, demand_of, describe, ends_of_failed
from partitioner.engines.spark_executors import Executor, python_memory, workers_of
from partitioner.engines.spark_failures import first_cause
from partitioner.engines.spark_session import Session
from partitioner.errors import ConfigError, EngineLost, MissingDependency
from partitioner.model import Attempt, Care, Event, EventKind


def attempt(i: int, number: int = 0, **demands: Any) -> Attempt:
    return Attempt(f"t{i:06d}", i, number, str(i % 2), "/runs/r1", **demands)


class FailedJob:
    """A future of a job that ended with this message."""

    def __init__(self, message: str) -> None:
        self.message = message

    def get(self) -> None:
        raise OSError(self.message)


def bundle(message: str) -> Bundle:
    return Bundle(FailedJob(message), [attempt(0), attempt(1), attempt(2)], {0, 2})


def kinds(events: list[Event]) -> list[tuple[str, str]]:
    return [(e.attempt_id, e.kind.value) for e in events]


@pytest.mark.parametrize("option", ["master", "session"])
def test_spark_refuses_what_is_of_connect_and_names_the_engine_that_takes_it(option: str) -> None:
    session = type("SparkSession", (), {"__module__": "pyspark.sql.connect.session"})()
    given = {"engine": "spark", option: "sc://cluster:15002" if option == "master" else session}
    with pytest.raises(ConfigError, match="give engine='spark_connect'"), resolve(given).opened():
        pass


def test_connect_addresses_and_sessions_mean_the_connect_engine() -> None:
    session = type("SparkSession", (), {"__module__": "pyspark.sql.connect.session"})()
    assert resolve("sc://cluster:15002").wanted.name == "spark_connect"
    assert resolve("sc://cluster:15002").wanted.options == {"remote": "sc://cluster:15002"}
    assert resolve(session).wanted.name == "spark_connect"
    classic = type("SparkSession", (), {"__module__": "pyspark.sql.session"})()
    assert resolve(classic).wanted.name == "spark"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"slots": 0}, "slots is 0; write a whole number of cores"),
        ({"remote": "spark://x:7077"}, r"remote is 'spark://x:7077'; write sc://host:port, or local"),
        ({"session": object()}, "session is a builtins.object; engine 'spark_connect' takes a SparkSession of Spark"),
    ],
)
def test_wrong_options_of_the_connect_engine_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message), resolve({"engine": "spark_connect", **options}).opened():
        pass


def test_the_thin_client_alone_starts_no_server_here(monkeypatch) -> None:
    def started(*_: object) -> None:
        raise ModuleNotFoundError("No module named 'py4j'")

    monkeypatch.setattr("partitioner.engines.spark_connect_session._started", started)
    with pytest.raises(MissingDependency, match=r"starts in this process, which has the client alone .*py4j"):
        resolve({"engine": "spark_connect", "remote": "local[2]"}).opened().__enter__()


def test_a_client_that_lacks_a_package_is_said_where_the_main_module_is_no_file(monkeypatch) -> None:
    from partitioner.engines.spark_connect_session import connect_module

    for name in [n for n in sys.modules if n.startswith(("pyspark.sql.connect", "pyspark.testing"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "__main__", ModuleType("__main__"))  # as with python -c
    monkeypatch.setitem(sys.modules, "grpc", None)
    with pytest.raises(MissingDependency, match=r"needs the client of Spark Connect .*missing or too old.*connect\]"):
        connect_module()


def test_workers_of_a_connect_server_that_would_start_here_are_known_before(monkeypatch) -> None:
    from partitioner.engines import spark_connect

    monkeypatch.setattr(spark_connect, "remote_of", lambda session, remote: remote)
    expected = resolve({"engine": "spark_connect", "remote": "local-cluster[3,2,512]"}).expected_workers()
    assert (list(expected.worker_id), expected.cpus.tolist()) == (["0", "1", "2"], [2.0, 2.0, 2.0])
    assert resolve({"engine": "spark_connect", "slots": 5}).expected_workers().cpus.tolist() == [5.0]


def test_a_remote_environment_is_refused_by_its_value(monkeypatch) -> None:
    monkeypatch.setenv("SPARK_REMOTE", "sc://cluster")
    with pytest.raises(ConfigError, match="SPARK_REMOTE is 'sc://cluster'"):
        Session(None, None, {}, 0.5, "test")


def test_an_address_where_no_master_is_is_said_at_once() -> None:
    with pytest.raises(EngineLost, match=r"no Spark master answers at 'spark://127.0.0.1:1' within 3 s \(.*refused"):
        Session(None, "spark://127.0.0.1:1", {}, 0.5, "test", 3.0)


def test_the_task_that_spark_names_failed_and_the_others_wait_again() -> None:
    events = ends_of_failed(bundle("Job aborted: Task 2 in stage 7.0 failed 4 times\nValueError: no"))
    assert kinds(events) == [("t000000-a0", "cancelled"), ("t000002-a0", "failed")]
    assert events[1].error is not None
    assert events[1].error.message == "ValueError: no"


def test_a_job_that_ended_by_a_dead_python_worker_lost_that_attempt() -> None:
    events = ends_of_failed(bundle("Task 0 in stage 7.0 failed 1 times: Python worker exited unexpectedly (crashed)"))
    assert kinds(events) == [("t000000-a0", "started"), ("t000000-a0", "lost"), ("t000002-a0", "cancelled")]


def test_a_job_that_someone_killed_fails_all_that_was_open() -> None:
    events = ends_of_failed(bundle("Job 3 cancelled because killed via the Web UI"))
    assert kinds(events) == [("t000000-a0", "failed"), ("t000002-a0", "failed")]


def test_the_python_error_is_the_cause_that_is_shown() -> None:
    text = "Traceback (most recent call last):\n  File x\nModuleNotFoundError: No module named 'a'\n"
    assert first_cause(text) == "ModuleNotFoundError: No module named 'a'"


@pytest.mark.parametrize(
    ("attempts", "text"),
    [
        ([attempt(3)], "run r1: sub-tasks t000003"),
        ([attempt(3), attempt(1), attempt(2)], "run r1: sub-tasks t000001 to t000003 (3)"),
        ([attempt(3, number=1), attempt(1)], "run r1: sub-tasks t000001 to t000003 (2), 1 of them again"),
    ],
)
def test_job_descriptions_say_run_and_subtasks(attempts, text) -> None:
    assert describe(attempts) == text


@pytest.mark.parametrize(
    ("demands", "expected"),
    [
        ({"cpus": 0.5}, (1, 0.0, ())),
        ({"cpus": 2.0, "gpus": 0.5}, (2, 0.5, ())),
        ({"resources": {"fpga": 1.0, "disk": 0.0}}, (1, 0.0, (("fpga", 1.0),))),
    ],
)
def test_demands_are_whole_cores_and_named_resources(demands, expected) -> None:
    assert demand_of(attempt(0, **demands)) == expected


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"spark.master": "spark://h:7077"}, 5e9),
        ({"spark.master": "yarn", "spark.executor.pyspark.memory": "2g"}, 2 * 2**30),
        ({"spark.master": "yarn", "spark.executor.memory": "10g"}, 2**30),
        ({"spark.master": "yarn"}, 384 * 2**20),
        ({"spark.master": "k8s://h", "spark.executor.memory": "10g"}, 4 * 2**30),
        ({"spark.master": "k8s://h", "spark.executor.memoryOverhead": "512"}, 512 * 2**20),
    ],
)
def test_memory_of_an_executor_is_what_python_gets_there(settings, expected) -> None:
    memory = python_memory(lambda name, default: settings.get(name, default), 5e9)
    assert memory == pytest.approx(expected)


def test_executors_become_workers_with_devices_and_speeds() -> None:
    executors = {"1": Executor("1", "a", 2, {"gpu": 2, "fpga": 1}), "0": Executor("0", "b", 1, {})}
    looks = {"1": {"memory": 8e9, "seconds": 0.5}, "0": RuntimeError("busy")}
    zero, one = workers_of(executors, looks, lambda name, default: default, {"b": 3.0})
    assert (zero.worker_id, zero.speed, zero.memory_bytes) == ("0", 3.0, 8e9)
    assert (one.worker_id, one.cpus, one.gpus, one.resources) == ("1", 2.0, 2.0, {"fpga": 1.0})
    assert (one.speed, one.memory_bytes) == (1.0, 8e9)


class SecondTry:
    """A task context of Spark's own retry, or of a speculative copy."""

    def attemptNumber(self) -> int:
        return 1

    def resources(self) -> dict[str, Any]:
        return {}


def gathering() -> tuple[list[Event], Any]:
    """Events, and what stands for the accumulator that tells them; each must be told with the label of its attempt."""
    events: list[Event] = []

    def add(told: list[tuple[str, Event]]) -> None:
        for label, event in told:
            assert label.endswith(f"/{event.attempt_id}")
            events.append(event)

    return events, type("Sink", (), {"add": staticmethod(add)})


def events_of_second_try(monkeypatch, speculation: bool) -> list[Event]:
    gathered, sink = gathering()
    monkeypatch.setattr(spark_task.TaskContext, "get", staticmethod(SecondTry))
    monkeypatch.setattr(spark_task, "run_attempt", lambda a: Event(EventKind.FINISHED, a.attempt_id))
    assert list(spark_task.run_partition(sink, speculation, [attempt(0)])) == []
    return gathered


def test_a_retry_by_spark_reports_the_death_and_runs_nothing(monkeypatch) -> None:
    assert kinds(events_of_second_try(monkeypatch, speculation=False)) == [("t000000-a0", "lost")]


def test_a_speculative_copy_runs_for_the_commit_decides(monkeypatch) -> None:
    assert kinds(events_of_second_try(monkeypatch, speculation=True)) == [("t000000-a0", "finished")]


@pytest.mark.parametrize(("number", "rows"), [(0, None), (1, None), (0, (4, 8))])
@pytest.mark.parametrize("began", [False, True])
def test_a_death_before_the_program_was_called_is_charged_to_nobody_but_for_a_first_attempt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, began: bool, number: int, rows: tuple[int, int] | None
) -> None:
    tried = replace(attempt(0, number, care=Care(rows=rows)), run_url=str(tmp_path))
    told, sink = gathering()
    monkeypatch.setattr(spark_task, "run_attempt", lambda a: Event(EventKind.FINISHED, a.attempt_id))
    for context in ([None] if began else []) + [SecondTry()]:
        monkeypatch.setattr(spark_task.TaskContext, "get", staticmethod(lambda context=context: context))
        list(spark_task.run_partition(sink, False, [tried]))
    assert told[-1].kind is EventKind.LOST
    assert told[-1].error is not None
    assert told[-1].error.charged is (began or (number, rows) == (0, None))


@pytest.mark.parametrize(("copies", "said"), [(False, "the process that ran it died"), (True, "5")])
def test_a_second_try_of_a_question_is_answered_where_it_may_be_a_copy(copies: bool, said: str) -> None:
    question = spark_task.Question(lambda index, count, x: index + count + x, 2, (3,), copies)
    assert str(pickle.loads(spark_task.called(question, 0, SecondTry()))) == said


def test_an_attempt_hands_itself_back_on_a_worker_that_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(spark_place.time, "sleep", slept.append)
    monkeypatch.setattr(spark_task, "executor_id", lambda: "1")
    told, sink = gathering()
    list(spark_task.run_partition(sink, False, [attempt(0, avoid=("1",)), attempt(0, number=9, avoid=("1",))]))
    assert [(e.kind, e.attempt_id, e.worker_id) for e in told] == [
        (EventKind.CANCELLED, "t000000-a0", "1"),
        (EventKind.CANCELLED, "t000000-a9", "1"),
    ]
    assert [e.error.charged for e in told if e.error is not None] == [False, False]
    assert slept == [0.5, 16.0]


@pytest.mark.parametrize(
    ("given", "daemon"),
    [
        ({}, "partitioner.engines.spark_daemon"),
        ({"spark.python.daemon.module": "mine"}, "mine"),
        ({"spark.executorEnv.PYTHONPATH": "/elsewhere"}, None),
    ],
)
def test_imports_are_shared_in_sessions_started_here_unless_their_paths_are_the_callers(
    monkeypatch, given, daemon
) -> None:
    monkeypatch.setenv("SPARK_LOCAL_IP", "as it was")
    monkeypatch.setenv("PYSPARK_PYTHON", sys.executable)
    conf = dict(given)
    monkeypatch.setattr(spark_session, "Parent", lambda: SimpleNamespace(path="/tmp/parent"))
    Session._prepare_local(object.__new__(Session), conf)
    assert conf.get("spark.python.daemon.module") == daemon
    shares = daemon == "partitioner.engines.spark_daemon"
    assert conf.get("spark.executorEnv.PARTITIONER_SPARK_PARENT") == ("/tmp/parent" if shares else None)


def test_another_interpreter_of_the_callers_shares_nothing_with_the_drivers(monkeypatch) -> None:
    monkeypatch.setenv("SPARK_LOCAL_IP", "as it was")
    monkeypatch.setenv("PYSPARK_PYTHON", "/bin/sh")
    conf: dict[str, Any] = {}
    Session._prepare_local(object.__new__(Session), conf)
    assert conf["spark.python.daemon.module"] == "partitioner.engines.spark_daemon"
    assert "spark.executorEnv.PARTITIONER_SPARK_PARENT" not in conf
