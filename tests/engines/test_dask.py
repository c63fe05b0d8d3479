import asyncio
import os
import signal
import threading
from pathlib import Path
from typing import Any

import dask
import pyarrow as pa
import pytest
from distributed import Client, LocalCluster, Security

import partitioner as pt
from partitioner.engines.dask import DaskEngine
from partitioner.errors import ConfigError, EngineLost
from partitioner.model import Attempt, EventKind
from partitioner.testing.engines import until_ended
from tests import programs
from tests.chaos.scene import wait_until

TABLE = pa.table({"x": range(80)})


def test_a_client_is_used_and_left_open(dask_engine: DaskEngine, checkpoint: str) -> None:
    client = dask_engine._client
    run = pt.run(TABLE, programs.double, cost="rows", engine=client, checkpoint=checkpoint, progress=False)
    assert run.result.to_pandas()["y"].tolist() == [2 * x for x in range(80)]
    assert client.status == "running"


def test_a_cluster_is_used_and_left_running_and_one_that_is_closed_is_refused(checkpoint: str) -> None:
    options: dict[str, Any] = {"cost": "rows", "checkpoint": checkpoint, "progress": False, "report": False}
    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None, processes=False) as cluster:
        run = pt.run(TABLE, programs.double, engine=cluster, **options)
        assert (run.counts["rows_in"], cluster.status.name) == (80, "running")
        client = Client(cluster)
        client.close()
        with pytest.raises(ConfigError, match="the Dask client given is closed; make another"):
            pt.run(TABLE, programs.double, engine=client, **options)
    with pytest.raises(ConfigError, match="the Dask cluster given is closed; start another"):
        pt.run(TABLE, programs.double, engine=cluster, **options)


def test_a_client_that_lives_in_an_event_loop_is_refused_with_the_way_to_run() -> None:
    async def given() -> None:
        async with Client(n_workers=0, asynchronous=True, dashboard_address=None, processes=False) as client:
            with pytest.raises(ConfigError, match=r"asynchronous.* await asyncio\.to_thread\(pt\.run"):
                DaskEngine(client=client)

    asyncio.run(given())


def test_what_is_no_client_of_dask_is_refused_by_its_type() -> None:
    with pytest.raises(
        ConfigError, match=r"engine is distributed\.security\.Security; of Dask give a Client, a cluster"
    ):
        pt.run(TABLE, programs.double, engine=Security())


def test_workers_carry_what_the_cluster_says_of_them(dask_engine: DaskEngine) -> None:
    workers = dask_engine.workers()
    assert workers.worker_id == ("0", "1")
    assert workers.cpus.tolist() == [1.0, 1.0]
    assert (workers.memory_bytes > 2**27).all()


def test_workers_are_seen_while_the_client_itself_asks_for_none_of_them(dask_engine: DaskEngine) -> None:
    """As it does every two seconds, here a thousand times as often: what it was told then is nobody else's answer."""
    with dask.config.set({"distributed.client.scheduler-info-interval": "2ms"}):
        client = Client(dask_engine._client.scheduler.address)
    try:
        engine = DaskEngine(client=client)
        seen = [len(engine.workers()) for _ in range(300)]
        assert seen == [len(dask_engine.workers())] * 300
    finally:
        client.close()


def test_two_engines_on_one_scheduler_do_not_hear_each_other(dask_engine: DaskEngine, checkpoint: str) -> None:
    other = DaskEngine(client=dask_engine._client)
    run = pt.run(TABLE, programs.double, cost="rows", engine=other, checkpoint=checkpoint, progress=False)
    assert len(run.records) > 1
    assert [e for e in dask_engine.poll(0.3) if e.attempt_id] == []
    other.close()


def test_what_waits_on_a_worker_begins_in_the_order_of_submission(dask_engine: DaskEngine, checkpoint: str) -> None:
    """Dask takes what it is given within a tenth of a second for equal; the plan does not."""
    options: dict[str, Any] = {"cost": "rows", "max_tasks": 40, "min_tasks_per_slot": 20, "report": False}
    done = pt.run(TABLE, programs.double, engine=dask_engine._client, checkpoint=checkpoint, progress=False, **options)
    every = [Attempt(r.task_key, i, 9, "0", done.url) for i, r in enumerate(done.records)]
    asked = every[1::2] + every[::2][::-1]
    dask_engine.submit(asked)
    begun = [e.attempt_id for e in until_ended(dask_engine, asked) if e.kind is EventKind.STARTED]
    assert len(asked) == 40
    assert begun == [a.attempt_id for a in asked]


def test_an_attempt_for_a_worker_that_left_is_lost_not_pinned_for_ever(dask_engine: DaskEngine) -> None:
    attempt = Attempt("t000000", 0, 0, "gone", "/nowhere")
    dask_engine.submit([attempt])
    told = [(e.kind, e.worker_id) for e in until_ended(dask_engine, [attempt])]
    assert told == [(EventKind.WORKER_LOST, "gone"), (EventKind.LOST, "gone")]


@pytest.mark.parametrize("workers", [0, -1])
def test_a_cluster_needs_a_worker(workers: int) -> None:
    with pytest.raises(ConfigError, match=f"workers is {workers}; a Dask cluster needs a whole number of at least 1"):
        DaskEngine(workers=workers)


def test_a_worker_that_comes_back_late_is_still_a_worker() -> None:
    """The cluster would give up on it after a moment, as it does after 15 s where nobody says otherwise."""
    with dask.config.set({"distributed.deploy.lost-worker-timeout": "1ms"}):
        engine = DaskEngine(workers=1)
        try:
            ((name, pid),) = engine.call(os.getpid).items()
            assert isinstance(pid, int)
            assert engine.coming() == 0
            os.kill(pid, signal.SIGKILL)
            wait_until(lambda: engine.coming() == 1)
            wait_until(lambda: isinstance(now := engine.call(os.getpid).get(name), int) and now != pid)
            wait_until(lambda: engine.coming() == 0)
        finally:
            engine.close()


@pytest.mark.filterwarnings("default")
def test_a_scheduler_that_goes_away_stops_the_run_resumably(tmp_path: Path, checkpoint: str) -> None:
    cluster = LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=":0", silence_logs=50)
    (tmp_path / "marks").mkdir()
    engine = {"engine": "dask", "address": cluster.scheduler_address, "timeout": 2}
    failures: list[BaseException] = []
    settings: dict[str, Any] = {
        "arguments": {"folder": str(tmp_path / "marks"), "gate": str(tmp_path / "gate")},
        "cost": "rows",
        "max_tasks": 16,
        "min_tasks_per_slot": 16,
        "checkpoint": checkpoint,
        "progress": False,
    }

    def run() -> None:
        try:
            pt.run(TABLE, programs.marking, engine=engine, **settings)
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    wait_until(lambda: len(list((tmp_path / "marks").iterdir())) >= 5)
    cluster.close()
    (tmp_path / "gate").touch()
    thread.join(timeout=120)
    assert [type(f) for f in failures] == [EngineLost]
    (run_id,) = (p.name for p in Path(checkpoint).iterdir())
    assert "\n" not in str(failures[0])
    assert str(failures[0]).endswith(f"resume the run. To go on: partitioner resume {checkpoint}/{run_id}")
    finished = pt.run(TABLE, programs.marking, engine="serial", resume=run_id, **settings)
    assert finished.result.to_pandas()["y"].tolist() == [2 * x for x in range(80)]
    assert finished.attempted < 16


def test_what_an_earlier_run_left_on_an_engine_is_not_taken_for_the_next_ones(dask_engine: DaskEngine) -> None:
    earlier, later = (Attempt("t000000", 0, 0, worker, f"/nowhere/{worker}") for worker in ("0", "1"))
    dask_engine.submit([earlier])
    wait_until(lambda: dask_engine._events.qsize() >= 2)  # its start and its end are told; nobody polls
    dask_engine.submit([later])
    events = until_ended(dask_engine, [later])
    assert {event.worker_id for event in events if event.attempt_id} == {"1"}
