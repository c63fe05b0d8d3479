"""The plan that is shown is for the cluster that will run: what an engine says it would start is what starts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import partitioner as pt
from partitioner.cli import main
from partitioner.engines.dask import DaskEngine
from partitioner.engines.resolve import resolve
from partitioner.engines.serial import SerialEngine
from partitioner.errors import ConfigError
from partitioner.model import Workers

TABLE = pa.table({"x": range(40)})


def facts(workers: Workers) -> list[tuple[Any, ...]]:
    rows = (workers[j] for j in range(len(workers)))
    return [(w.worker_id, w.cpus, w.memory_bytes, w.gpus, w.speed, w.host, dict(w.resources)) for w in rows]


@pytest.mark.parametrize(
    "options",
    [
        {"workers": 3, "threads_per_worker": 4, "speeds": {"1": 0.5}},
        {"workers": 1, "memory_limit": "300MB"},
    ],
)
def test_a_dask_cluster_starts_as_planned(options: dict[str, Any]) -> None:
    spec = {"engine": "dask", **options}
    planned = pt.plan(TABLE, cost="rows", engine=spec).workers
    with resolve(spec).opened() as engine:
        started = engine.workers()
    assert facts(planned) == facts(started)
    assert planned.memory_bytes.max() < float("inf")


def test_a_cluster_that_runs_is_asked(dask_engine: DaskEngine) -> None:
    client = dask_engine._client
    assert facts(pt.plan(TABLE, cost="rows", engine=client).workers) == facts(dask_engine.workers())
    address = client.scheduler.address
    assert facts(pt.plan(TABLE, cost="rows", engine=address).workers) == facts(dask_engine.workers())


def test_serial_is_one_core_with_the_memory_of_the_machine() -> None:
    planned = pt.plan(TABLE, cost="rows", engine="serial").workers
    assert facts(planned) == facts(SerialEngine().workers())
    assert planned.cpus.tolist() == [1.0]


@pytest.mark.parametrize(
    ("master", "ids", "cores"),
    [
        ("local-cluster[5,1,1024]", ["0", "1", "2", "3", "4"], 1.0),
        ("local-cluster[2, 3, 512]", ["0", "1"], 3.0),
        ("local[3]", ["driver"], 3.0),
        ("local[2,4]", ["driver"], 2.0),
        ("local", ["driver"], 1.0),
    ],
)
def test_executors_from_a_master(monkeypatch: pytest.MonkeyPatch, master: str, ids: list[str], cores: float) -> None:
    from partitioner.engines import spark_expected

    monkeypatch.setattr(spark_expected, "will_start", lambda given: given is None)
    expected = resolve({"engine": "spark", "master": master}).expected_workers()
    assert (list(expected.worker_id), set(expected.cpus)) == (ids, {cores})
    assert expected.memory_bytes.max() < float("inf")


def test_memory_of_executors_is_what_spark_enforces(monkeypatch: pytest.MonkeyPatch) -> None:
    from partitioner.engines import spark_expected

    monkeypatch.setattr(spark_expected, "will_start", lambda given: given is None)
    conf = {"spark.executor.pyspark.memory": "300m"}
    expected = resolve({"engine": "spark", "master": "local-cluster[2,1,512]", "conf": conf}).expected_workers()
    assert expected.memory_bytes.tolist() == [300 * 2.0**20] * 2


@pytest.mark.parametrize(
    ("engine", "said"),
    [
        (
            {"engine": "spark"},
            "a Spark session started on this machine (local[*,4]), for no session is there and no master is named",
        ),
        (
            {"engine": "spark", "conf": {"spark.master": "local-cluster[2,3,512]"}},
            "2 workers of 3 cores: a Spark session started on this machine (local-cluster[2,3,512])",
        ),
        (
            {"engine": "dask", "workers": 3},
            "3 workers of 1 core: a Dask cluster started on this machine, for none is named",
        ),
        ("serial", None),
    ],
)
def test_a_plan_says_which_workers_it_assumes(monkeypatch: pytest.MonkeyPatch, engine: Any, said: str | None) -> None:
    from partitioner.engines import spark_expected

    monkeypatch.setattr(spark_expected, "will_start", lambda given: given is None)
    plan = pt.plan(TABLE, cost="rows", engine=engine)
    found = plan.reasons.get("workers assumed")
    assert found is said if said is None else found.endswith(said)
    assert "workers assumed" not in pt.plan(TABLE, cost="rows", engine=engine, workers=2).reasons


@pytest.mark.parametrize(
    "options", [{"session": object()}, {"master": "spark://there:7077"}, {"conf": {"spark.master": "yarn"}}]
)
def test_a_cluster_or_session_that_is_there_is_not_assumed(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]
) -> None:
    from partitioner.engines import spark_expected

    monkeypatch.setattr(spark_expected, "will_start", lambda given: given is None)
    assert spark_expected.assumed(options) == ""


@pytest.mark.spark
def test_a_live_session_is_asked(spark: Any) -> None:
    with resolve(spark).opened() as engine:
        there = engine.workers()
    assert facts(pt.plan(TABLE, cost="rows", engine=spark).workers) == facts(there)
    assert len(there) == 3


def test_the_command_line_plans_for_the_same_workers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    conf = tmp_path / "c.yaml"
    conf.write_text("dataset: sklearn://iris\ncost: rows\nengine: {engine: dask, workers: 3, threads_per_worker: 4}\n")
    with pytest.raises(SystemExit) as done:
        main(["plan", str(conf), "--json"])
    assert done.value.code == 0
    planned = pt.plan("sklearn://iris", cost="rows", engine={"engine": "dask", "workers": 3, "threads_per_worker": 4})
    assert f'"makespan": {planned.makespan}' in capsys.readouterr().out
    assert planned.workers.slots == 12


def test_an_engine_without_a_declaration_is_opened_to_ask() -> None:
    class Two(SerialEngine):
        closed = 0

        @classmethod
        def expected_workers(cls, options: Any) -> None:
            return None

        def workers(self) -> Workers:
            return Workers.identical(2, cpus=3.0)

        def close(self) -> None:
            Two.closed += 1

    assert pt.plan(TABLE, cost="rows", engine=Two).workers.cpus.tolist() == [3.0, 3.0]
    assert Two.closed == 1


def test_a_wrong_option_of_the_engine_is_refused_in_a_plan_too() -> None:
    with pytest.raises(ConfigError, match=r"engine 'dask' has no option 'worker'.*Did you mean 'workers'"):
        pt.plan(TABLE, cost="rows", engine={"engine": "dask", "worker": 3})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"workers": 0}, "workers is 0; a Dask cluster needs a whole number of at least 1"),
        ({"workers": "4"}, "workers is '4'; a Dask cluster needs a whole number"),
        ({"threads_per_worker": 0}, "threads_per_worker is 0; a Dask cluster needs"),
        ({"memory_limit": "lots"}, "memory_limit is 'lots', which Dask does not understand"),
    ],
)
def test_wrong_sizes_are_refused_before_a_cluster_starts(options: dict[str, Any], message: str) -> None:
    for ask in (lambda e: e.expected_workers(), lambda e: e.opened().__enter__()):
        with pytest.raises(ConfigError, match=message):
            ask(resolve({"engine": "dask", **options}))


def test_an_engine_on_paper_runs_nothing(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"engine 'simulated' runs no program.*partitioner.simulate\(plan\)"):
        pt.run(TABLE, lambda batch: batch, engine="simulated", checkpoint=str(tmp_path / "runs"))
    assert not (tmp_path / "runs").exists()
