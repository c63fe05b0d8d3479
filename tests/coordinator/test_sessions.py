"""One session from its first step to its records, and merges driven in the same way: real run directories, no work done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from math import inf
from pathlib import Path
from typing import Any

import pytest

from partitioner.config import RunConfig, make
from partitioner.coordinator import execute, ledger, merges
from partitioner.coordinator.policy import Policy
from partitioner.engines.serial import SerialEngine
from partitioner.engines.simulated_world import record_of
from partitioner.errors import RunFailed
from partitioner.model import Attempt, Event, EventKind, Failure, Merge
from partitioner.store.commits import Commits
from partitioner.store.run_directory import RunDirectory
from tests.coordinator.outcomes import done, rowed
from tests.coordinator.paper import by_hand


class Paper(SerialEngine):
    """Every attempt ends at once, as ``outcome`` says; what was submitted is kept."""

    def __init__(self, fails: bool = False) -> None:
        super().__init__()
        self.seen: list[Attempt] = []
        self.asked: list[tuple[str, Any]] = []
        self._fails = fails

    def submit(self, attempts: Sequence[Attempt]) -> None:
        self.seen += attempts
        super().submit(attempts)

    def poll(self, timeout: float) -> list[Event]:
        if not self._waiting:
            return []
        attempt = self._waiting.popleft()
        if self._fails:
            return [Event(EventKind.FAILED, attempt.attempt_id, error=Failure("no", "E", fatal=True))]
        return [Event(EventKind.STARTED, attempt.attempt_id), done(attempt, part=attempt.care.rows)]

    def cancel(self, attempt_ids: Sequence[str]) -> None:
        self.asked.append(("cancel", list(attempt_ids)))

    def kill(self, attempt_ids: Sequence[str]) -> None:
        self.asked.append(("kill", list(attempt_ids)))

    def clock(self) -> float:
        return 5.0

    def call(self, function: Any, *args: Any) -> dict[str, Any]:
        return {"w": function(*args)}


class Held:
    """A lease that stays; how often it was asked is counted."""

    epoch = 3

    def __init__(self) -> None:
        self.checks = 0

    def check(self) -> None:
        self.checks += 1


def config(**asked: Any) -> RunConfig:
    return make({"dataset": "x.parquet", "program": "m:f", "output": "o", **asked})


def test_a_session_runs_what_is_not_committed_and_gives_all_records_in_order(tmp_path: Path) -> None:
    run, engine, lease = RunDirectory(str(tmp_path), key=b"k" * 32), Paper(), Held()
    base = record_of(Attempt("t000001", 1, 0, "w", "memory://"), 0.0, 1.0)
    committed = {
        "t000000": replace(base, task_key="t000000", split=True, part=(4, 8)),
        "t000000.0-4": replace(base, task_key="t000000.0-4", part=(0, 4)),
        "t000001": base,
    }
    book = ledger.Ledger(run)
    for name in ("t000002-a1", "t000000.4-8-a6"):
        book.note("submitted", attempt=name, worker="w")
    book.flush()
    plan = rowed([8, 1, 1], 1)
    found, attempted = execute.execute(config(on_error="quarantine"), engine, plan, run, committed, True, lease)  # type: ignore[arg-type]
    assert [r.task_key for r in found] == ["t000000", "t000000.0-4", "t000000.4-8", "t000001", "t000002"]
    assert (attempted, sorted(a.attempt_id for a in engine.seen)) == (2, ["t000000.4-8-a7", "t000002-a2"])
    assert {(a.epoch, a.key, a.run_url) for a in engine.seen} == {(3, b"k" * 32, run.url)}
    assert lease.checks >= 2
    assert run.files.exists("plan.json")
    told = [line["what"] for line in ledger.read(run)]
    assert (told[2], told[-1], told.count("submitted"), told.count("finished")) == ("session", "end", 4, 2)
    session = next(line for line in ledger.read(run) if line["what"] == "session")
    assert (session["workers"], session["committed"], session["engine"]) == (["worker-0"], 3, "serial")


@pytest.mark.parametrize("columns", [False, True])
def test_a_session_does_not_begin_where_too_many_rows_were_set_aside_before(tmp_path: Path, columns: bool) -> None:
    run, engine = RunDirectory(str(tmp_path), key=b"k" * 32), Paper()
    base = replace(record_of(Attempt("t000000", 0, 0, "w", "memory://"), 0.0, 1.0), quarantined=3)
    asked, committed = config(on_error="quarantine", max_quarantined=2), {"t000000": base}
    if columns:
        run.gather([base])
        committed = Commits(run.files, run.files.names("records"), {})  # type: ignore[assignment]
    with pytest.raises(RunFailed, match="3 rows are set aside, max_quarantined allows 2"):
        execute.execute(asked, engine, rowed([8, 1], 1), run, committed, True, Held())  # type: ignore[arg-type]
    assert engine.seen == []
    assert [line["what"] for line in ledger.read(run)] == ["session", "stopped"]


def test_a_session_with_nothing_to_do_leaves_the_plan_that_was_followed(tmp_path: Path) -> None:
    run, engine = RunDirectory(str(tmp_path), key=b"k" * 32), Paper()
    base = record_of(Attempt("t000000", 0, 0, "w", "memory://"), 0.0, 1.0)
    plan = rowed([8], 1)
    execute.execute(config(), engine, plan, run, {"t000000": base}, True, Held())  # type: ignore[arg-type]
    before = run.files.get("plan.json")
    later = replace(plan, makespan=77.0)
    found, attempted = execute.execute(config(), engine, later, run, {"t000000": base}, True, Held())  # type: ignore[arg-type]
    assert (run.files.get("plan.json"), attempted, list(found), engine.seen) == (before, 0, [base], [])


def test_a_session_that_stops_says_why_in_its_ledger(tmp_path: Path) -> None:
    run = RunDirectory(str(tmp_path), key=b"k" * 32)
    with pytest.raises(RunFailed, match="t000000 failed 1 time"):
        execute.execute(config(), Paper(fails=True), rowed([8], 1), run, {}, True, Held())  # type: ignore[arg-type]
    *_, last = ledger.read(run)
    assert (last["what"], last["error"]["type"]) == ("stopped", "RunFailed")
    assert last["error"]["message"].startswith("sub-task t000000 failed 1 time")


def test_a_second_session_counts_attempts_on(tmp_path: Path) -> None:
    run, engine = RunDirectory(str(tmp_path), key=b"k" * 32), Paper(fails=True)
    for _ in range(2):
        with pytest.raises(RunFailed):
            execute.execute(config(), engine, rowed([8], 1), run, {}, True, Held())  # type: ignore[arg-type]
    assert [a.attempt_id for a in engine.seen] == ["t000000-a0", "t000000-a1"]


PIECES = {key: Merge(key, "home", "all", (), "of") for key in ("t000000", "t000001")}


def test_an_engine_of_merges_passes_everything_on_and_adds_what_is_merged() -> None:
    inner = Paper()
    engine = merges.MergingEngine(inner, PIECES)
    attempt = Attempt("t000001", 1, 0, "worker-0", "memory://run")
    engine.submit([attempt])
    assert [(a.attempt_id, a.merge) for a in inner.seen] == [("t000001-a0", PIECES["t000001"])]
    assert [e.kind for e in engine.poll(0.0)] == [EventKind.STARTED, EventKind.FINISHED]
    engine.cancel(["a"])
    engine.kill(["b"])
    assert inner.asked == [("cancel", ["a"]), ("kill", ["b"])]
    assert (engine.clock(), engine.call(len, "abc"), engine.name) == (5.0, {"w": 3}, "serial")
    assert engine.capabilities is inner.capabilities
    assert engine.workers().worker_id == inner.workers().worker_id


def test_merges_run_to_their_commits_and_are_numbered_on(tmp_path: Path) -> None:
    run, home, lease = RunDirectory(str(tmp_path / "r"), key=b"k" * 32), RunDirectory(str(tmp_path / "m")), Held()
    book = ledger.Ledger(home)
    book.note("submitted", attempt="t000001-a3")
    book.flush()
    engine = Paper()
    plan = by_hand([0.01, 0.01], 1, [0, 0])
    found = merges.execute_merges(config(timeout=1.0), engine, plan, run, home, PIECES, lease)  # type: ignore[arg-type]
    assert sorted(found) == ["t000000", "t000001"]
    assert [a.attempt_id for a in engine.seen] == ["t000000-a0", "t000001-a4"]
    assert {(a.epoch, a.key, a.run_url, a.timeout_seconds) for a in engine.seen} == {(3, b"k" * 32, run.url, inf)}
    assert [line["what"] for line in ledger.read(home)][1] == "session"
    assert (list(ledger.read(home))[-1]["what"], list(ledger.read(run)), lease.checks > 0) == ("end", [], True)
    assert home.files.exists("plan.json")


def test_merges_wait_for_the_first_before_any_is_sent_ahead_and_set_no_row_aside(tmp_path: Path) -> None:
    run, home = RunDirectory(str(tmp_path / "r"), key=b"k" * 32), RunDirectory(str(tmp_path / "m"))
    seen: list[tuple[int, bool, bool]] = []

    class Watching:
        def observe(self, state: Any, events: Any, actions: Any) -> None:
            seen.append((len(state.attempts), state.scale_known, state.policy.quarantine))

    asked = config(on_error="quarantine")
    plan = by_hand([0.01, 0.01], 1, [0, 0])
    merges.execute_merges(asked, Paper(), plan, run, home, PIECES, Held(), [Watching()])  # type: ignore[arg-type]
    assert seen[0] == (1, False, False)


def test_a_merge_that_fails_ends_the_run_after_its_ledger_is_written(tmp_path: Path) -> None:
    run, home = RunDirectory(str(tmp_path / "r"), key=b"k" * 32), RunDirectory(str(tmp_path / "m"))
    plan = by_hand([0.01], 1, [0])
    with pytest.raises(RunFailed):
        merges.execute_merges(config(), Paper(fails=True), plan, run, home, PIECES, Held())  # type: ignore[arg-type]
    assert [line["what"] for line in ledger.read(home)] == ["session", "submitted", "failed"]


def test_the_limits_are_those_that_are_documented() -> None:
    assert asdict(Policy()) == {
        "max_retries": 2,
        "max_deaths": 3,
        "memory_growth": 2.0,
        "ahead_seconds": 0.25,
        "ahead_tasks": 32,
        "next_seconds": 2.0,
        "keep_queued": 2,
        "no_worker_seconds": 60.0,
        "coming_factor": 10.0,
        "bundle": 1,
        "recall": True,
        "rerouted": False,
        "quarantine": False,
        "max_quarantined": inf,
        "divisible": False,
        "max_losses": 50,
        "suspend_after": 3,
        "exclude_after": 2,
        "exclude_seconds": 30.0,
        "timeout_seconds": inf,
        "timeout_factor": inf,
        "timeout_least": 10.0,
        "backup_factor": 1.0,
        "backup_seconds": 5.0,
        "grace_seconds": 20.0,
        "silent_seconds": 120.0,
        "hand_over_seconds": inf,
        "read_ahead": False,
        "one_process": False,
        "trusted_seconds": 30.0,
        "go_on": "",
    }
