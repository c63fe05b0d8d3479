"""The contract suite of engines: runs truly run, where and how the engine's capabilities say.

Subclass ``RealEngineContract`` (``EngineContract`` where no user code runs) and give ``engine`` a value::

    class TestMine(RealEngineContract):
        @pytest.fixture(scope="module")
        def engine(self): ...

What differs between engines is read from ``engine.capabilities``, never from its name.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

import partitioner as pt
from partitioner.engines.base import Engine
from partitioner.errors import RunFailed
from partitioner.model import Attempt, Event, EventKind

ROWS = pa.table({"x": range(60)})
ENDS = (EventKind.FINISHED, EventKind.FAILED, EventKind.LOST, EventKind.CANCELLED)


def run(engine: Engine, checkpoint: Path, program: Callable[[pd.DataFrame], Any], **options: Any) -> pt.Run:
    """Sixty rows in six sub-tasks."""
    settings = {"cost": "rows", "max_tasks": 6, "min_tasks_per_slot": 6, "progress": False, "report": False, **options}
    return pt.run(ROWS, program, engine=engine, checkpoint=str(checkpoint), **settings)


def until_ended(engine: Engine, attempts: list[Attempt], polls: int = 600) -> list[Event]:
    """All events until every attempt has ended; AssertionError where that never comes."""
    wanted, events = {a.attempt_id for a in attempts}, list[Event]()
    for _ in range(polls):
        events += engine.poll(0.2)
        wanted -= {e.attempt_id for e in events if e.kind in ENDS}
        if not wanted:
            return events
    raise AssertionError(f"no end of {sorted(wanted)}")


class EngineContract:
    """Laws that every engine keeps."""

    def test_it_has_a_name_and_workers(self, engine: Engine) -> None:
        """There is somebody to plan for, each with cores and an id of its own."""
        workers = engine.workers()
        assert engine.name
        assert len(workers) >= 1
        assert len(set(workers.worker_id)) == len(workers)
        assert (workers.cpus >= 1).all()

    def test_polling_an_idle_engine_returns(self, engine: Engine) -> None:
        """No event and no hang."""
        assert [e for e in engine.poll(0.01) if e.kind in ENDS] == []

    def test_cancelling_what_is_not_there_does_nothing(self, engine: Engine) -> None:
        """An attempt may have ended meanwhile."""
        engine.cancel(["t999999-a0"])


class RealEngineContract(EngineContract):
    """Further laws of an engine that truly runs the program (``capabilities.real``)."""

    def test_rows_come_back_in_input_order(self, engine: Engine, tmp_path: Path) -> None:
        """The result equals applying the program to the whole, however it was cut and placed."""
        finished = run(engine, tmp_path, lambda batch: pd.DataFrame({"y": batch["x"] * 2}))
        assert finished.result.to_pandas()["y"].tolist() == [2 * x for x in range(60)]
        assert len(finished.records) == 6

    def test_attempts_run_where_the_plan_says_if_placement_is_exact(self, engine: Engine, tmp_path: Path) -> None:
        """With exact placement one worker is one process (or the driver's own)."""
        if engine.capabilities.placement != "exact":
            pytest.skip(f"{engine.name} takes placement as {engine.capabilities.placement}")
        finished = run(engine, tmp_path, _where)
        rows = finished.result.to_pandas()
        assert (rows.groupby("worker")["pid"].nunique() == 1).all()
        assert set(rows["worker"]) <= set(engine.workers().worker_id)

    def test_a_program_that_raises_ends_the_run_with_its_error(self, engine: Engine, tmp_path: Path) -> None:
        """After the tries allowed, with type and message."""
        with pytest.raises(RunFailed, match=r"failed 2 times .*ZeroDivisionError"):
            run(engine, tmp_path, lambda batch: 1 // 0, max_retries=1)

    def test_the_engine_works_after_a_failed_run(self, engine: Engine, tmp_path: Path) -> None:
        """Nothing of a run that failed is left in the engine."""
        with pytest.raises(RunFailed):
            run(engine, tmp_path, lambda batch: 1 // 0, max_retries=0)
        assert run(engine, tmp_path, lambda batch: batch["x"].to_frame(), reducer="count").result == 60

    def test_poison_rows_are_set_aside(self, engine: Engine, tmp_path: Path) -> None:
        """The rest is complete and the counts add up."""
        finished = run(engine, tmp_path, _fails_on_seven, on_error="quarantine")
        assert (finished.counts["rows_out"], finished.quarantined, finished.exit_code) == (59, 1, 5)

    def test_every_attempt_ends_with_exactly_one_event(self, engine: Engine, tmp_path: Path) -> None:
        """Also one that is asked for twice under another number: it finds the work done."""
        first = run(engine, tmp_path, lambda batch: batch["x"].to_frame())
        workers = engine.workers().worker_id
        again = [Attempt(r.task_key, i, 9, workers[i % len(workers)], first.url) for i, r in enumerate(first.records)]
        engine.submit(again)
        events = until_ended(engine, again)
        ends = [e for e in events if e.kind in ENDS]
        assert sorted(e.attempt_id for e in ends) == sorted(a.attempt_id for a in again)
        assert [e.kind for e in ends] == [EventKind.FINISHED] * 6
        by_key = {e.record.task_key: e.record for e in ends if e.record is not None}
        assert [by_key[r.task_key] for r in first.records] == list(first.records)

    def test_call_reaches_every_worker(self, engine: Engine) -> None:
        """Preflight asks all of them; an exception is an answer."""
        assert set(engine.call(os.getpid)) == set(engine.workers().worker_id)
        assert {type(v) for v in engine.call(_raise).values()} == {RuntimeError}


def _where(batch: pd.DataFrame) -> pd.DataFrame:
    n = len(batch)
    return pd.DataFrame({"worker": [pt.task_context().worker_id] * n, "pid": [os.getpid()] * n})


def _fails_on_seven(batch: pd.DataFrame) -> pd.DataFrame:
    if (batch["x"] == 7).any():
        raise ValueError("seven")
    return batch


def _raise() -> Iterator[None]:
    raise RuntimeError("no")
