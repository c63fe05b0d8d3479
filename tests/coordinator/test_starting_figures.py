"""What a session starts from: limits of the configuration, what is committed, and the plan as it is written."""

from __future__ import annotations

import json
from dataclasses import replace
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from partitioner.config import make
from partitioner.coordinator import execute
from partitioner.coordinator.policy import Policy
from partitioner.coordinator.state import Cancel, HandOver, Submit, initial
from partitioner.coordinator.transitions import SPLIT
from partitioner.engines.base import Capabilities
from partitioner.engines.serial import SerialEngine
from partitioner.engines.simulated_world import record_of
from partitioner.errors import ConfigError, LeaseLost
from partitioner.model import Attempt, CommitRecord, Event, EventKind, SubTasks
from partitioner.store.run_directory import RunDirectory
from tests.coordinator.outcomes import rowed
from tests.coordinator.paper import by_hand, state_of


def record(key: str, **facts: Any) -> CommitRecord:
    return replace(record_of(Attempt(key, 0, 0, "w", "memory://run"), 0.0, 1.0), **facts)


def test_the_first_record_of_a_sub_task_counts_and_submissions_are_counted() -> None:
    collector = execute.Collector({"t0": record("t0", seconds=9.0)})
    state = state_of(by_hand([1.0], 1, [0]))
    attempt = Attempt("t1", 1, 0, "w", "memory://run")
    events = [
        Event(EventKind.FINISHED, "t0-a1", record=record("t0", seconds=1.0)),
        Event(EventKind.FINISHED, "t1-a0", record=record("t1", seconds=2.0)),
        Event(EventKind.FINISHED, "t1-a1", record=record("t1", seconds=3.0)),
        Event(EventKind.FINISHED, "t2-a1"),
        Event(EventKind.FAILED, "t3-a1", record=record("t3")),
    ]
    collector.observe(state, events, [Submit(attempt), Cancel("x"), Submit(attempt)])
    assert {key: r.seconds for key, r in collector.records.items()} == {"t0": 9.0, "t1": 2.0}
    assert collector.attempted == 2
    collector.observe(state, [], [Submit(attempt)])
    assert collector.attempted == 3


def test_records_are_gathered_by_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    class Gathering:
        def __init__(self) -> None:
            self.kept: list[list[str]] = []

        def gather(self, records: list[CommitRecord]) -> None:
            self.kept.append([r.task_key for r in records])

    monkeypatch.setattr(execute, "SEGMENT", 2)
    run, state = Gathering(), state_of(by_hand([1.0], 1, [0]))
    collector = execute.Collector({}, run)  # type: ignore[arg-type]
    for key in ("t0", "t1", "t2", "t3", "t4"):
        collector.observe(state, [Event(EventKind.FINISHED, f"{key}-a0", record=record(key))], [])
    assert run.kept == [["t0", "t1"], ["t2", "t3"]]


def test_requests_reach_the_run_directory(tmp_path: Path) -> None:
    run = RunDirectory(str(tmp_path))
    execute.Requests(run).observe(state_of(by_hand([1.0], 1, [0])), [], [Cancel("t0-a0"), HandOver("t1-a0")])
    assert (run.rest_is_asked_for("t0-a0"), run.rest_is_asked_for("t1-a0")) == (False, True)


def test_a_driver_that_lost_its_lease_stops_at_the_next_step() -> None:
    class Lost:
        def check(self) -> None:
            raise LeaseLost("another driver has it")

    with pytest.raises(LeaseLost):
        execute.Fence(Lost()).observe(state_of(by_hand([1.0], 1, [0])), [], [])  # type: ignore[arg-type]


def policy(engine: dict[str, Any] | None = None, tasks: SubTasks | None = None, **asked: Any) -> Policy:
    class Declared(SerialEngine):
        capabilities = Capabilities(**(engine or {}))

    config = make({"dataset": "x.parquet", "program": "m:f", "output": "o", **asked})
    return execute.policy_for(config, Declared(), tasks)


ROWS = rowed([6, 4]).tasks


def test_limits_follow_the_configuration() -> None:
    made = policy(tasks=ROWS, max_retries=7, on_error="quarantine", timeout=30.0, max_quarantined=3)
    assert (made.max_retries, made.quarantine, made.max_quarantined) == (7, True, 3)
    assert (made.timeout_seconds, made.timeout_factor) == (30.0, inf)
    made = policy(tasks=ROWS, timeout="4x")
    assert (made.timeout_seconds, made.timeout_factor) == (inf, 4.0)
    assert (made.divisible, made.backup_factor, made.hand_over_seconds) == (True, 1.0, 5.0)
    assert policy(tasks=ROWS).quarantine is False
    assert policy(tasks=ROWS).max_quarantined == inf
    assert policy(tasks=ROWS, hand_over=False).hand_over_seconds == inf
    assert policy(tasks=ROWS, max_quarantined=0.25).max_quarantined == 2.5


def test_rounds_have_no_back_ups_and_no_rows_apart() -> None:
    made = policy(max_quarantined=3)
    assert (made.divisible, made.backup_factor, made.max_quarantined) == (False, inf, inf)


@pytest.mark.parametrize(
    ("engine", "recall", "rerouted"),
    [
        ({"cancel": True}, True, False),
        ({"cancel": False}, False, False),
        ({"cancel": True, "bundle": 8}, False, False),
        ({"cancel": True, "placement": "hint"}, True, True),
        ({"cancel": True, "placement": "ignored"}, True, True),
    ],
)
def test_dispatch_follows_what_the_engine_declares(engine: dict[str, Any], recall: bool, rerouted: bool) -> None:
    made = policy(engine, ROWS)
    assert (made.recall, made.rerouted, made.bundle) == (recall, rerouted, engine.get("bundle", 1))


def test_a_share_of_rows_needs_an_input_that_says_how_many_it_has() -> None:
    config = make({"dataset": "x.parquet", "program": "m:f", "output": "o", "max_quarantined": 0.5})
    assert execute.most_quarantined(config, ROWS) == 5.0
    with pytest.raises(
        ConfigError, match=r"max_quarantined is 0.5, a share, but this input does not say how many rows"
    ):
        execute.most_quarantined(config, rowed([6, -1]).tasks)
    with pytest.raises(ConfigError, match="give a number of rows"):
        execute.most_quarantined(config, SubTasks.build([1.0]))


def test_what_is_committed_as_a_whole_is_done_and_what_was_split_is_not() -> None:
    ids = pa.array(["t0", "t1", "t2"])
    committed = {"t2": record("t2"), "t0": record("t0", split=True), "t9": record("t9")}
    assert list(execute._done(ids, committed)) == [2]


def test_numbers_are_by_index_and_those_of_parts_are_passed_over() -> None:
    assert execute._by_index(pa.array(["t0", "t1", "t2"]), {"t2": 5, "t1.0-4": 7, "t0": 1}) == {2: 5, 0: 1}
    assert execute._by_index(pa.array(["t0"]), {}) == {}


def test_a_resume_goes_on_with_each_split_sub_task_by_itself() -> None:
    plan = rowed([10, 8, 6])
    state = initial(plan, "memory://run", Policy(divisible=True), committed=[2])
    committed = {
        "t000000": record("t000000", split=True, part=(4, 10)),
        "t000000.00-04": record("t000000.00-04", part=(0, 4)),
        "t000001.0-2": record("t000001.0-2", part=(0, 2)),
        "t000002": record("t000002"),
    }
    execute.resume_parts(state, {f"t00000{i}": i for i in range(3)}, committed)
    assert [(p.whole, p.start, p.stop) for p in state.parts.values()] == [
        (0, 4, 8),
        (0, 8, 10),
        (1, 2, 4),
        (1, 4, 6),
        (1, 6, 8),
    ]
    assert (state.status[0], state.status[1], state.searches[0].split) == (SPLIT, SPLIT, {"t000000": (0, 10)})


def test_a_resume_goes_by_the_rows_that_were_counted() -> None:
    state = initial(rowed([-1]), "memory://run", Policy(divisible=True))
    execute.resume_parts(state, {"t000000": 0}, {"t000000": record("t000000", split=True, part=(0, 6))})
    assert (state.searches[0].rows, [(p.start, p.stop) for p in state.parts.values()]) == (6, [(0, 6)])


def test_parts_stand_in_the_order_of_their_rows_and_halves_without_rows_first() -> None:
    records = [
        record("t0.5-9", part=(5, 9)),
        record("t0.0-5", part=(0, 5)),
        record("t0.0-0"),
        record("t1.0-5", part=(0, 5)),
    ]
    found = execute.in_order(["t0"], {r.task_key: r for r in records})
    assert [r.task_key for r in found] == ["t0.0-0", "t0.0-5", "t0.5-9"]


def test_the_plan_is_written_with_its_figures_and_the_reasons_of_an_earlier_one(tmp_path: Path) -> None:
    run = RunDirectory(str(tmp_path))
    run.files.put(
        "plan.json", json.dumps({"reasons": {"cost source": "measured", "cost unit": "rows", "x": 1}}).encode()
    )
    plan = by_hand([2.0, 3.0], 2, [1, 0], memory_bytes=[5.0, 6.0])
    execute.write_plan(run, plan)
    figures = json.loads(run.files.get("plan.json"))
    assert (figures["makespan"], figures["algorithm"], figures["objective"]) == (3.0, "hand", "makespan")
    assert (figures["reasons"]["cost source"], figures["reasons"]["cost unit"]) == ("measured", "rows")
    assert "x" not in figures["reasons"]
    assert [w["worker_id"] for w in figures["workers"]] == ["worker-0", "worker-1"]
    table = run.read_table("plan").to_pydict()
    assert table == {
        "task_id": ["t000000", "t000001"],
        "worker_id": ["worker-1", "worker-0"],
        "start": [0.0, 0.0],
        "finish": [2.0, 3.0],
        "seconds": [2.0, 3.0],
        "memory_bytes": [5.0, 6.0],
    }
    assert np.isfinite(figures["lower_bound"])
