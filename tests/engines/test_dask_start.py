"""Worker processes that die while a local Dask cluster starts."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psutil
import pytest

from partitioner.engines import dask_start
from partitioner.engines.dask import DaskEngine
from partitioner.errors import EngineLost
from tests.chaos.scene import wait_until


def spawned() -> set[psutil.Process]:
    """Worker processes below this one."""
    found = set()
    for process in psutil.Process().children(recursive=True):
        try:
            if any("spawn_main" in part for part in process.cmdline()):
                found.add(process)
        except psutil.Error:
            continue
    return found


@contextmanager
def killing(enough: Callable[[int], bool]) -> Iterator[list[int]]:
    """While this is open, new worker processes are killed as soon as they are seen, until that is enough."""
    before, killed, over = spawned(), [], threading.Event()

    def kill() -> None:
        while not over.is_set() and not enough(len(killed)):
            for process in spawned() - before:
                process.kill()
                killed.append(process.pid)
                before.add(process)
                break
            over.wait(0.02)

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        yield killed
    finally:
        over.set()
        thread.join()


def test_a_worker_that_is_killed_while_the_cluster_starts_is_started_again() -> None:
    with killing(lambda count: count == 1) as killed:
        engine = DaskEngine(workers=1)
        wait_until(lambda: len(engine.workers()) == 1)
        engine.close()
    assert len(killed) == 1


def test_workers_that_die_each_time_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dask_start, "STARTS", 2)
    with (
        killing(lambda count: False),
        pytest.raises(EngineLost, match="no cluster of 1 Dask workers could be started here in 2 tries"),
    ):
        DaskEngine(workers=1)


def test_a_machine_on_which_processes_do_not_come_up_in_time_is_told_in_one_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[int] = []

    def late(**options: int) -> None:
        asked.append(options["n_workers"])
        raise TimeoutError

    monkeypatch.setattr(dask_start, "LocalCluster", late)
    with pytest.raises(
        EngineLost, match=r"no cluster of 2 Dask workers .* in 3 tries: their processes did not come up"
    ):
        dask_start.started(n_workers=2)
    assert asked == [2, 2, 2]


def test_a_cluster_that_does_not_close_in_time_fails_no_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    engine = DaskEngine(workers=1)
    assert engine._cluster is not None
    close = engine._cluster.close

    def late() -> None:
        close()
        raise TimeoutError

    monkeypatch.setattr(engine._cluster, "close", late)
    engine.close()
    assert "did not close in time" in capsys.readouterr().err
