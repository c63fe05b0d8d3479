"""What a session hands on: workers that are late or on their way, parts of an earlier session, requests, and limits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from partitioner.config import make
from partitioner.coordinator import driver, execute
from partitioner.coordinator.policy import Policy
from partitioner.coordinator.state import State, initial
from partitioner.engines.base import Capabilities
from partitioner.engines.serial import SerialEngine
from partitioner.errors import EngineLost
from partitioner.model import Event, EventKind, Worker
from partitioner.store.commit_log import encoded
from partitioner.store.commits import Commits
from partitioner.store.run_directory import RunDirectory
from tests.coordinator.outcomes import rowed
from tests.coordinator.paper import by_hand, state_of
from tests.coordinator.test_sessions import Held, Paper, config
from tests.store.records import record


class Watching:
    """Keeps the kinds of events of each step, and who was awaited then."""

    def __init__(self) -> None:
        self.seen: list[tuple[list[str], list[str]]] = []

    def observe(self, state: State, events: Sequence[Event], actions: Sequence[Any]) -> None:
        self.seen.append(([str(event.kind) for event in events], sorted(state.awaited)))


def test_who_has_not_answered_when_a_session_begins_is_awaited_until_he_joins(tmp_path: Path) -> None:
    joined = [Event(EventKind.WORKER_JOINED, worker_id="worker-1", worker=Worker("worker-1"))]
    engine, watching = Paper(), Watching()
    engine.late = SimpleNamespace(  # type: ignore[assignment]
        waiting=frozenset({"worker-1"}), events=lambda: [joined.pop()] if joined else []
    )
    run = RunDirectory(str(tmp_path), key=b"k" * 32)
    plan = by_hand([1.0] * 3, 2, [0, 0, 0])
    execute.execute(config(), engine, plan, run, {}, True, Held(), [watching])  # type: ignore[arg-type]
    assert watching.seen[0] == ([], ["worker-1"])
    assert watching.seen[1][0][-1] == str(EventKind.WORKER_JOINED)
    assert watching.seen[1][1] == []


def test_parts_of_an_earlier_session_that_lie_in_segments_are_gone_on_with(tmp_path: Path) -> None:
    run, engine = RunDirectory(str(tmp_path), key=b"k" * 32), Paper()
    held = [
        record("t000000", split=True, part=(4, 8)),
        record("t000000.0-4", part=(0, 4)),
        record("t000001"),
    ]
    run.files.put("records/1.parquet", encoded(held))
    committed = Commits(run.files, run.files.names("records"), {})
    found, attempted = execute.execute(config(), engine, rowed([8, 1], 1), run, committed, True, Held())  # type: ignore[arg-type]
    assert [a.care.rows for a in engine.seen] == [(4, 8)]
    assert [r.task_key for r in found] == ["t000000", "t000000.0-4", "t000000.4-8", "t000001"]
    assert attempted == 1


def test_a_session_brings_requests_to_its_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    class Requests:
        def __init__(self, run: RunDirectory) -> None:
            self.url = run.url

        def observe(self, *_: Any) -> None:
            asked.append(self.url)

    monkeypatch.setattr(execute, "Requests", Requests)
    run = RunDirectory(str(tmp_path), key=b"k" * 32)
    execute.execute(config(), Paper(), rowed([8], 1), run, {}, True, Held())  # type: ignore[arg-type]
    assert set(asked) == {run.url}


def test_where_a_sub_task_was_cut_for_others_it_goes_on_from_there(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Any] = []
    monkeypatch.setattr(execute.splitting, "go_on", lambda state, *given: told.append(given))
    committed = {
        "t000000": record("t000000", split=True, part=(3, 8)),
        "t000000.0-3": record("t000000.0-3", part=(0, 3)),
        "t000001": record("t000001", split=True),
    }
    state = initial(rowed([8, 6]), "memory://run", Policy(divisible=True))
    execute.resume_parts(state, {"t000000": 0, "t000001": 1}, committed)
    assert told == [(0, 8, [(0, 3)], ["t000000"], [3]), (1, 6, [], ["t000001"], [])]


def test_a_part_that_was_divided_again_is_no_part_of_the_whole() -> None:
    records = [
        record("t0", split=True),
        record("t0.0-5", part=(0, 5), split=True),
        record("t0.0-2", part=(0, 2)),
        record("t0.2-5", part=(2, 5)),
    ]
    found = execute.in_order(["t0"], {r.task_key: r for r in records})
    assert [r.task_key for r in found] == ["t0", "t0.0-2", "t0.2-5"]


def test_parts_stand_in_the_order_of_their_rows_whatever_they_are_called() -> None:
    records = [record("t0.10-12", part=(10, 12)), record("t0.9-10", part=(9, 10)), record("t0.0-9", part=(0, 9))]
    found = execute.in_order(["t0"], {r.task_key: r for r in records})
    assert [r.task_key for r in found] == ["t0.0-9", "t0.9-10", "t0.10-12"]


ASKED = make({"dataset": "x.parquet", "program": "m:f", "output": "o"})


@pytest.mark.parametrize(("real", "tasks", "ahead"), [(True, True, True), (False, True, False), (True, False, False)])
def test_what_comes_next_is_read_ahead_by_real_engines_of_sub_tasks(real: bool, tasks: bool, ahead: bool) -> None:
    class Declared(SerialEngine):
        capabilities = replace(Capabilities(), real=real)

    given = rowed([6, 4]).tasks if tasks else None
    assert execute.policy_for(ASKED, Declared(), given).read_ahead is ahead


@pytest.mark.parametrize(("start", "seconds"), [(0.0, 60.0), (6.0, 60.0), (30.0, 300.0)])
def test_workers_that_died_are_waited_for_ten_times_as_long_as_the_engine_took_to_start(
    start: float, seconds: float
) -> None:
    assert execute.policy_for(ASKED, SerialEngine(), None, start).no_worker_seconds == seconds


@pytest.mark.parametrize(
    ("divisible", "rows", "keeps_groups", "apart"),
    [
        (True, False, True, True),
        (False, True, False, True),
        (False, True, True, False),
        (False, False, False, False),
    ],
)
def test_rows_go_apart_where_neither_groups_nor_models_need_them_together(
    monkeypatch: pytest.MonkeyPatch, divisible: bool, rows: bool, keeps_groups: bool, apart: bool
) -> None:
    chosen = {
        "reducers": SimpleNamespace(divisible=divisible, rows=rows),
        "splits": SimpleNamespace(keeps_groups=keeps_groups),
    }
    monkeypatch.setattr(execute.choices, "choose", lambda kind, name: chosen[kind])
    assert execute._divisible(ASKED) is apart


class Alone(Paper):
    """Its only worker goes at once, and two are being started."""

    def __init__(self) -> None:
        super().__init__()
        self.now, self.polls, self.order = 0.0, 0, list[str]()

    def submit(self, attempts: Any) -> None:
        self.order.append("submitted")
        super().submit(attempts)

    def poll(self, timeout: float) -> list[Event]:
        self.polls += 1
        self.now += 20.0
        return [Event(EventKind.WORKER_LOST, worker_id="worker-0")] if self.polls == 1 else []

    def coming(self) -> int:
        return 2


def test_while_nobody_is_there_the_loop_hears_of_those_that_are_being_started() -> None:
    engine, watching = Alone(), Watching()
    state = state_of(by_hand([1.0], 1, [0]), no_worker_seconds=50.0)
    with pytest.raises(
        EngineLost, match=r"none of the 0 workers left can hold them for 500 s\. 2 that are being started"
    ):
        driver.drive(engine, state, [watching], lambda: engine.now)
    told = [step for step, (kinds, _) in enumerate(watching.seen) if str(EventKind.WORKERS_COMING) in kinds]
    assert told == [2]  # once, behind the step that found nobody


def test_who_is_coming_is_asked_only_while_nothing_can_run() -> None:
    state, engine = state_of(by_hand([1.0], 1, [0])), Alone()
    assert driver._coming(engine, state) == []
    state.stuck_since = 0.0
    assert [event.coming for event in driver._coming(engine, state)] == [2]
    state.coming = 2
    assert driver._coming(engine, state) == []


def test_what_is_to_be_done_is_done_before_anybody_is_told() -> None:
    engine = Alone()

    class Stopping:
        def observe(self, *_: Any) -> None:
            engine.order.append("told")
            raise KeyError("enough")

    with pytest.raises(KeyError):
        driver.drive(engine, state_of(by_hand([1.0], 1, [0])), [Stopping()], lambda: 0.0)
    assert engine.order == ["submitted", "told"]
