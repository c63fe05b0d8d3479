"""A worker that answers late holds nobody up: it joins when it answers, is left out when it fails, or never comes."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import partitioner as pt
from partitioner.engines.asked import Answers, Asked
from partitioner.engines.dask import DaskEngine
from partitioner.engines.late import Late
from partitioner.engines.preflight import Ready, ready
from partitioner.engines.serial import SerialEngine
from partitioner.errors import PreflightFailed
from partitioner.model import Attempt, Event, EventKind, Worker, Workers
from partitioner.stages import start as starting

QUIET: dict[str, Any] = {"cost": "rows", "report": False, "progress": False, "batch_format": "arrow"}


class Scripted(Asked):
    """Gives the answers of a worker whenever it is asked for the ``when``-th time."""

    def __init__(self, answers: Mapping[str, list[Any]], when: Mapping[str, int]) -> None:
        super().__init__(answers)
        self.when, self.times = when, 0

    def collect(self, timeout: float) -> Answers:
        self.times += 1
        due = [w for w in self._there if self.when.get(w, 1) <= self.times]
        return {w: self._there.pop(w) for w in due}


def late(answers: Mapping[str, list[Any]], when: Mapping[str, int], wrong: str = "") -> Late:
    workers = {name: Worker(name) for name in answers}
    return Late(Scripted(answers, when), workers, lambda worker, found: [f"worker {worker} {wrong}"] if wrong else [])


def test_each_joins_when_it_answers() -> None:
    waited = late({"a": [1], "b": [2]}, {"b": 3})
    said = [[(e.kind, e.worker_id) for e in waited.events()] for _ in range(4)]
    assert said == [[(EventKind.WORKER_JOINED, "a")], [], [(EventKind.WORKER_JOINED, "b")], []]


def test_one_that_fails_is_left_out_with_a_word(capsys: pytest.CaptureFixture[str]) -> None:
    (event,) = late({"a": [1]}, {}, "has numpy 1, the driver 2; install the same version.").events()
    assert (event.kind, event.worker_id) == (EventKind.WORKER_LOST, "a")
    said = "worker a has numpy 1, the driver 2; install the same version. It is left out; the run goes on with the others.\n"
    assert capsys.readouterr().err == said


class Three(SerialEngine):
    """Three workers, of which ``when`` says how late they answer, and ``wrong`` what they do not see."""

    def __init__(self, when: Mapping[str, int], wrong: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        self.when, self.wrong = when, wrong or {}

    def workers(self) -> Workers:
        return Workers.identical(3)

    def call(self, function: Any, *args: Any) -> dict[str, Any]:
        return dict.fromkeys(self.workers().worker_id, function(*args))

    def ask_slots(self, function: Any, slots: Mapping[str, int], *args: Any) -> Asked:
        assert function is ready
        there = function(0, 1, *args)
        answers = {w: [Ready({**there.facts, **self.wrong.get(w, {})}, there.loaded)] for w in slots}
        return Scripted(answers, self.when)


class Restarting(Three):
    """Nobody is there at the first looks, but three are being started."""

    def __init__(self, looks: int, coming: int) -> None:
        super().__init__({})
        self.looks, self.starting = looks, coming

    def workers(self) -> Workers:
        self.looks -= 1
        return Workers.identical(3) if self.looks < 0 else Workers.of([])

    def coming(self) -> int:
        return self.starting


def test_workers_that_are_being_started_after_the_run_before_ended_them_are_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(starting, "COMING_LOOK_SECONDS", 0.001)
    assert ran(Restarting(3, 3), str(tmp_path)).counts["rows_out"] == 12
    with pytest.raises(PreflightFailed, match="no worker answered"):
        ran(Restarting(3, 0), str(tmp_path))


def ran(engine: Three, checkpoint: str) -> pt.Run:
    return pt.run(pa.table({"x": range(12)}), same, engine=engine, checkpoint=checkpoint, max_tasks=6, **QUIET)


def same(batch: pa.RecordBatch) -> pa.RecordBatch:
    return batch


NEVER = {"worker-2": 10**9}


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starting, "PATIENCE", starting.Patience(0.0, 1.0))
    monkeypatch.setattr(starting, "COMPLETE", 0.0)


@pytest.mark.usefixtures("impatient")
def test_one_that_never_answers_holds_nobody_and_gets_nothing(checkpoint: str) -> None:
    finished = ran(Three(NEVER), checkpoint)
    assert finished.result.to_table().column("x").to_pylist() == list(range(12))
    assert {r.worker_id for r in finished.records} == {"worker-0", "worker-1"}
    assert finished.plan.reasons["workers not there yet"] == "1 (worker-2); they join when they answer"


@pytest.mark.usefixtures("impatient")
def test_one_that_fails_in_time_is_refused_with_its_sentence(checkpoint: str) -> None:
    with pytest.raises(PreflightFailed) as caught:
        ran(Three(NEVER, {"worker-1": {"token": None}}), checkpoint)
    assert str(caught.value).count("\n- ") == 1
    assert "- worker worker-1 does not see the run directory" in str(caught.value)
    assert not list(Path(checkpoint).rglob("*.*"))


def test_a_failure_waits_for_the_others_so_that_all_are_named(checkpoint: str) -> None:
    nothing = {"token": None}
    with pytest.raises(PreflightFailed) as caught:
        ran(Three({"worker-2": 50}, {"worker-0": nothing, "worker-2": nothing}), checkpoint)
    assert str(caught.value).count("\n- ") == 2


class Ticking(Three):
    """Its time passes while nothing is to run."""

    now = 0.0

    def clock(self) -> float:
        return self.now

    def poll(self, timeout: float) -> list[Event]:
        if not self._waiting:
            self.now += timeout
        return super().poll(0.0)

    def submit(self, attempts: Sequence[Attempt]) -> None:
        assert "worker-2" not in {a.worker_id for a in attempts}
        super().submit(attempts)


def counted(batch: pa.RecordBatch, state: dict[str, int]) -> dict[str, int]:
    return {"rows": batch.num_rows + state["rows"]}


@pytest.mark.usefixtures("impatient")
def test_one_that_never_answers_is_waited_for_in_the_first_round_alone(checkpoint: str) -> None:
    engine = Ticking(NEVER)
    found = pt.iterate(
        pa.table({"x": range(12)}),
        counted,
        {"rows": 0},
        rounds=3,
        engine=engine,
        checkpoint=checkpoint,
        max_tasks=3,
        **QUIET,
    )
    assert found.state == {"rows": 12 + 3 * (12 + 3 * 12)}
    assert engine.now == pytest.approx(1.0, abs=1e-3)
    assert engine.late is None


class Dies(Three):
    """The process of one slot dies over the program; asked for the facts alone it answers."""

    def ask_slots(self, function: Any, slots: Mapping[str, int], *args: Any) -> Asked:
        there = function(0, 1, *args)
        return Asked({w: [there if w != "worker-0" else RuntimeError("its process died")] for w in slots})


def test_what_the_program_does_to_a_process_is_left_to_the_run(checkpoint: str) -> None:
    assert len(ran(Dies({}), checkpoint).result) == 12


def block(folder: str, dask_worker: Any = None) -> None:
    """Runs on a worker: its event loop hears nothing until a file says so."""

    def wait() -> None:
        Path(folder, "blocked").write_text(str(os.getpid()))
        while not Path(folder, "go on").exists():
            time.sleep(0.02)

    dask_worker.loop.call_later(0.1, wait)


@pytest.fixture
def deaf(tmp_path: Path, dask_engine: DaskEngine) -> Iterator[str]:
    """The worker 0 does not hear anything until the file "go on" is there."""
    address = dask_engine._known["0"]
    dask_engine._client.run(block, str(tmp_path), workers=[address])
    until = time.monotonic() + 20
    while not (tmp_path / "blocked").exists():
        assert time.monotonic() < until, "the loop is not blocked"
        time.sleep(0.02)
    yield "0"
    (tmp_path / "go on").touch()
    dask_engine._client.submit(abs, -1, workers=[address], pure=False).result(timeout=60)


def test_a_deaf_dask_worker_holds_nobody(deaf: str, dask_engine: DaskEngine, checkpoint: str) -> None:
    finished = pt.run(pa.table({"x": range(12)}), same, engine=dask_engine, checkpoint=checkpoint, max_tasks=6, **QUIET)
    assert finished.result.to_table().column("x").to_pylist() == list(range(12))
    assert {r.worker_id for r in finished.records} == {"1"}
    assert dask_engine.late is None


def noted(batch: pa.RecordBatch, state: int, folder: str) -> int:
    """Which processes ran a round is in the folder."""
    Path(folder, f"pid-{os.getpid()}").touch()
    time.sleep(0.01)
    return batch.num_rows


def test_rounds_begin_without_a_deaf_dask_worker_which_joins_when_it_hears(
    deaf: str, dask_engine: DaskEngine, checkpoint: str, tmp_path: Path
) -> None:
    alone = []

    def update(state: int, merged: int) -> int:
        alone.append(len(list(tmp_path.glob("pid-*"))))
        if state == 1:
            (tmp_path / "go on").touch()
        return state + 1

    found = pt.iterate(
        pa.table({"x": range(12)}), noted, 0, update=update, rounds=1000, until=lambda *_: alone[-1] == 2,
        arguments={"folder": str(tmp_path)}, engine=dask_engine, checkpoint=checkpoint, max_tasks=4, **QUIET,
    )  # fmt: skip
    assert (found.converged, found.merged, alone[:2]) == (True, 12, [1, 1])


def hear_again(batch: pa.RecordBatch, folder: str) -> pa.RecordBatch:
    Path(folder, "go on").touch()
    time.sleep(0.2)
    return batch


def test_a_dask_worker_that_hears_again_joins(
    deaf: str, dask_engine: DaskEngine, checkpoint: str, tmp_path: Path
) -> None:
    table, arguments = pa.table({"x": range(40)}), {"folder": str(tmp_path)}
    finished = pt.run(
        table, hear_again, engine=dask_engine, arguments=arguments, checkpoint=checkpoint, max_tasks=40, **QUIET
    )
    assert finished.result.to_table().column("x").to_pylist() == list(range(40))
    assert {r.worker_id for r in finished.records} == {"0", "1"}
