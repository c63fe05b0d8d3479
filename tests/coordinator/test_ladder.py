"""What becomes of a sub-task, rung by rung, after errors, deaths, missing memory and time, and of its worker."""

from __future__ import annotations

from collections.abc import Callable
from math import exp, inf, log2
from typing import Any

import numpy as np
import pytest

from partitioner.coordinator.machine import step
from partitioner.coordinator.state import Action, Cancel, Rung, State, Stop, Submit
from partitioner.engines.simulated_world import record_of as _record
from partitioner.errors import EngineLost, RunFailed
from partitioner.model import (
    Attempt,
    CommitRecord,
    Event,
    EventKind,
    Failure,
    Fragment,
    Fragments,
    Plan,
    Worker,
    Workers,
)
from tests.coordinator.paper import failed, lost, plan_of, started, state_of

DEATH = Failure("the process died")


def submits(actions: list[Action]) -> list[Attempt]:
    return [a.attempt for a in actions if isinstance(a, Submit)]


def rungs(actions: list[Action]) -> list[str]:
    return [a.what for a in actions if isinstance(a, Rung)]


def stop_of(actions: list[Action]) -> str:
    return next(str(a.error) for a in actions if isinstance(a, Stop))


def done(attempt: Attempt, **facts: Any) -> Event:
    from dataclasses import replace

    record = replace(_record(attempt, 0.0, attempt.seconds), **facts)
    return Event(EventKind.FINISHED, attempt.attempt_id, attempt.worker_id, record=record)


def rowed(rows: list[int], workers: Workers | int = 2) -> Plan:
    """A plan of sub-tasks of so many rows, one fragment each (-1: not known)."""
    from partitioner.model import SubTasks
    from partitioner.placement.algorithms.lpt import Lpt

    table = Workers.identical(workers) if isinstance(workers, int) else workers
    fragments = Fragments.of([Fragment(i, "f", 0, 0, max(n, 0), n, 1) for i, n in enumerate(rows)])
    index = np.arange(len(rows))
    tasks = SubTasks.build(
        [1.0] * len(rows), fragments=fragments, offsets=np.arange(len(rows) + 1), fragment_index=index
    )
    return Lpt().place(tasks, table, "makespan", 0, None)


def play(state: State, outcome: Callable[[Attempt], Event], most: int = 10_000) -> list[Action]:
    """Every attempt starts and ends as ``outcome`` says, one after the other; all actions."""
    events: list[Event] = []
    history: list[Action] = []
    for now in range(most):
        state, actions = step(state, events, float(now))
        history += actions
        if state.finished or state.stopped:
            return history
        assert state.attempts, "nothing runs and nothing ended"
        live = next(iter(state.attempts.values()))
        events = [started(live.attempt.attempt_id), outcome(live.attempt)]
    raise AssertionError("no end")


def ends(kind: EventKind, attempt: Attempt, why: Failure | None = None) -> Event:
    return Event(kind, attempt.attempt_id, attempt.worker_id, error=why)


def killer(row: int) -> Callable[[Attempt], Event]:
    """A program that dies where it meets the row of the only sub-task."""

    def outcome(attempt: Attempt) -> Event:
        low, high = attempt.care.rows or (0, 10**9)
        if low <= row < high and not attempt.care.condemned:
            return ends(EventKind.LOST, attempt, DEATH)
        return done(attempt, quarantined=int(bool(attempt.care.condemned)), part=attempt.care.rows)

    return outcome


def test_an_error_is_tried_on_another_worker_first() -> None:
    state = state_of(plan_of([2.0], workers=3))
    (first,) = submits(step(state, [], 0.0)[1])
    (second,) = submits(step(state, [failed(first.attempt_id)], 1.0)[1])
    assert second.worker_id != first.worker_id
    (third,) = submits(step(state, [failed(second.attempt_id)], 2.0)[1])
    assert third.worker_id not in (first.worker_id, second.worker_id)


def test_rows_are_isolated_only_after_an_error_and_only_under_quarantine() -> None:
    for quarantine in (False, True):
        state = state_of(plan_of([2.0]), quarantine=quarantine)
        (first,) = submits(step(state, [], 0.0)[1])
        (second,) = submits(step(state, [failed(first.attempt_id)], 1.0)[1])
        assert (first.care.isolate, second.care.isolate) == (False, quarantine)


def test_rows_that_failed_alone_are_confirmed_by_another_worker() -> None:
    state = state_of(plan_of([2.0]), quarantine=True)
    (first,) = submits(step(state, [], 0.0)[1])
    (second,) = submits(step(state, [failed(first.attempt_id)], 1.0)[1])
    assert second.care.suspects == ()
    (third,) = submits(step(state, [failed(second.attempt_id, suspects=((3, 5),))], 2.0)[1])
    assert third.worker_id == first.worker_id
    assert third.care.suspects == ((3, 5),)


def test_the_only_worker_is_believed_at_once() -> None:
    state = state_of(plan_of([2.0], workers=1), quarantine=True)
    (first,) = submits(step(state, [], 0.0)[1])
    (second,) = submits(step(state, [failed(first.attempt_id)], 1.0)[1])
    assert second.care.suspects is None


def test_the_last_worker_left_is_not_believed_before_anything_went_well_there() -> None:
    state = state_of(plan_of([2.0]), quarantine=True)
    (first,) = submits(step(state, [], 0.0)[1])
    gone = Event(EventKind.WORKER_LOST, worker_id="worker-1")
    (second,) = submits(step(state, [gone, failed(first.attempt_id)], 1.0)[1])
    assert (second.task_key, second.worker_id, second.care.suspects) == ("t000000", "worker-0", ())


def test_rows_that_no_second_worker_confirms_end_the_run_in_the_end() -> None:
    state = state_of(plan_of([1.0], workers=3), quarantine=True)
    history = play(state, lambda a: ends(EventKind.FAILED, a, Failure("no", "E", suspects=((a.number, a.number + 1),))))
    assert "failed 5 times" in stop_of(history)


def bad_node(name: str) -> Callable[[Attempt], Event]:
    def outcome(attempt: Attempt) -> Event:
        bad = attempt.worker_id == name
        return ends(EventKind.FAILED, attempt, Failure("disk", "OSError")) if bad else done(attempt)

    return outcome


def test_a_worker_that_fails_three_subtasks_in_turn_waits_for_the_others_to_try_them() -> None:
    state = state_of(plan_of([1.0] * 12, workers=3))
    live = submits(step(state, [], 0.0)[1])
    for now in range(1, 4):
        (mine,) = [a for a in state.attempts.values() if a.attempt.worker_id == "worker-1"]
        _, actions = step(state, [failed(mine.attempt.attempt_id)], float(now))
    assert "suspended" in rungs(actions)
    assert all(a.attempt.worker_id != "worker-1" for a in state.attempts.values())
    assert len(live) == 3


def test_a_worker_that_fails_what_goes_well_elsewhere_is_left_out_and_let_in_again() -> None:
    state = state_of(plan_of([1.0] * 40, workers=3))
    history = play(state, bad_node("worker-1"))
    assert state.finished
    assert rungs(history)[:6].count("excluded") == 1
    assert "readmitted" in rungs(history)
    assert sum(a.worker_id == "worker-1" for a in submits(history)) <= 8


def test_an_excluded_worker_gets_work_again_after_its_time() -> None:
    state = state_of(plan_of([5.0] * 9), exclude_seconds=10.0)
    step(state, [], 0.0)
    state.excluded["worker-1"] = 10.0
    step(state, [lost("t000001-a0")], 1.0)
    assert all(a.attempt.worker_id == "worker-0" for a in state.attempts.values())
    step(state, [], 9.0)
    assert "worker-1" in state.excluded
    _, actions = step(state, [], 11.0)
    assert rungs(actions) == ["readmitted"]
    assert [a.worker_id for a in submits(actions)] == ["worker-1"]


def test_failures_that_repeat_elsewhere_blame_no_worker() -> None:
    state = state_of(plan_of([1.0] * 12, workers=3), quarantine=True)

    def poison(attempt: Attempt) -> Event:
        if not attempt.care.isolate:
            return ends(EventKind.FAILED, attempt, Failure("poison", "ValueError"))
        if not attempt.care.suspects:
            return ends(EventKind.FAILED, attempt, Failure("rows", "RowsFailed", suspects=((0, 1),)))
        return done(attempt, quarantined=1)

    history = play(state, poison)
    assert state.finished
    assert "excluded" not in rungs(history)
    assert len(submits(history)) == 36


def test_when_every_worker_is_to_blame_the_run_stops_and_can_be_resumed() -> None:
    state = state_of(plan_of([1.0] * 8))
    step(state, [], 0.0)
    for name in ("worker-0", "worker-1"):
        state.workers[name].health.blamed |= {5: None, 6: None}
    state.troubles[0] = state.trouble(0)
    state.excluded["worker-1"] = 30.0
    state.trouble(1).failed_on["worker-0"] = None
    state.workers["worker-0"].health.failing[1] = None
    _, actions = step(state, [started("t000001-a0"), done(state.attempts["t000001-a0"].attempt)], 1.0)
    assert any(isinstance(a, Stop) and isinstance(a.error, EngineLost) for a in actions)
    assert "all 2 workers fail sub-tasks that go well on another" in stop_of(actions)


def test_after_a_death_it_is_promised_twice_what_was_measured() -> None:
    workers = Workers.of([Worker("a", memory_bytes=1e9), Worker("b", memory_bytes=4e9)])
    state = state_of(plan_of([1.0], workers, memory_bytes=[30e3]))
    (first,) = submits(step(state, [], 0.0)[1])
    (second,) = submits(step(state, [failed(first.attempt_id, memory=True, peak_memory_bytes=400_000_000)], 1.0)[1])
    assert second.memory_bytes == 8e8
    (third,) = submits(step(state, [failed(second.attempt_id, memory=True, peak_memory_bytes=900_000_000)], 2.0)[1])
    assert (third.worker_id, third.memory_bytes) == ("b", 4e9)


@pytest.mark.parametrize("rows", [2, 3, 60, 1_000, 100_000])
@pytest.mark.parametrize("place", [0.0, 0.3, 0.5, 1.0])
def test_the_row_that_kills_is_found_and_set_aside_and_all_others_delivered(rows: int, place: float) -> None:
    state = state_of(rowed([rows]), quarantine=True, divisible=True)
    row = round(place * (rows - 1))
    history = play(state, killer(row))
    assert state.finished
    held = [(a.care.rows, a.care.condemned) for a in submits(history) if a.attempt_id not in dead(history, row)]
    assert [r for r, condemned in held if condemned] == [(row, row + 1)]
    assert sum(b - a for a, b in (r for r, _ in held if r)) == rows
    assert len(submits(history)) - 1 <= (2 * log2(rows) if rows >= 1_000 else log2(rows) + 8)


def dead(history: list[Action], row: int) -> set[str]:
    return {a.attempt_id for a in submits(history) if killer(row)(a).kind is EventKind.LOST}


def test_many_rows_that_kill_cost_log_n_attempts_each() -> None:
    rows, bad = 4_096, set(range(100, 4_096, 400))
    state = state_of(rowed([rows]), quarantine=True, divisible=True)

    def outcome(attempt: Attempt) -> Event:
        low, high = attempt.care.rows or (0, rows)
        hit = any(low <= b < high for b in bad) and not attempt.care.condemned
        return (
            ends(EventKind.LOST, attempt, DEATH)
            if hit
            else done(attempt, quarantined=int(bool(attempt.care.condemned)))
        )

    history = play(state, outcome)
    assert state.finished
    assert state.quarantined == len(bad)
    assert len(submits(history)) - 1 <= 2 * log2(rows) * len(bad)


def test_too_many_rows_at_once_are_divided_into_pieces_that_fit() -> None:
    state = state_of(rowed([1_000]), divisible=True)

    def outcome(attempt: Attempt) -> Event:
        low, high = attempt.care.rows or (0, 1_000)
        if high - low > 60:
            return ends(EventKind.FAILED, attempt, Failure("no", "MemoryError", memory=True))
        return done(attempt)

    history = play(state, outcome)
    assert state.finished
    assert state.quarantined == 0
    assert len(submits(history)) <= 2 * 1_000 / 31


def test_without_quarantine_the_row_that_kills_is_named() -> None:
    state = state_of(rowed([1_000]), divisible=True)
    history = play(state, killer(777))
    assert stop_of(history).startswith("row 777 of sub-task t000000 ends every process that works on it")


def test_a_program_that_always_dies_ends_the_run_instead_of_setting_everything_aside() -> None:
    state = state_of(rowed([1_000]), quarantine=True, divisible=True)

    def outcome(attempt: Attempt) -> Event:
        return done(attempt, quarantined=1) if attempt.care.condemned else ends(EventKind.LOST, attempt, DEATH)

    assert "it is the program, not the rows" in stop_of(play(state, outcome))


def test_a_row_that_cannot_even_be_read_is_named() -> None:
    state = state_of(rowed([8]), quarantine=True, divisible=True)
    history = play(
        state, lambda a: ends(EventKind.LOST, a, DEATH) if a.care.rows in (None, (0, 4), (0, 2), (0, 1)) else done(a)
    )
    assert "row 0 of sub-task t000000 cannot even be read" in stop_of(history)


def test_rows_that_only_reading_tells_are_counted_before_they_are_divided() -> None:
    state = state_of(rowed([-1]), quarantine=True, divisible=True)

    def outcome(attempt: Attempt) -> Event:
        return done(attempt, split=True, part=(0, 64)) if attempt.care.count else killer(5)(attempt)

    history = play(state, outcome)
    assert state.finished
    assert sum(a.care.count for a in submits(history)) == 1
    assert "t000000.05-06" in {a.task_key for a in submits(history)}


def test_parts_name_everything_they_were_split_from() -> None:
    state = state_of(rowed([8]), quarantine=True, divisible=True)
    history = play(state, killer(0))
    leaf = next(a for a in submits(history) if a.care.rows == (0, 1))
    assert leaf.care.split_from == ("t000000", "t000000.0-4", "t000000.0-2")
    assert (leaf.whole, leaf.task_key) == (0, "t000000.0-1")


def test_a_whole_that_a_late_attempt_had_committed_makes_its_parts_needless() -> None:
    state = state_of(rowed([8, 1]), divisible=True)

    def outcome(attempt: Attempt) -> Event:
        if attempt.care.rows is None:
            return ends(EventKind.LOST, attempt, DEATH) if attempt.task_key == "t000000" else done(attempt)
        return done(attempt, task_key="t000000")

    history = play(state, outcome)
    assert state.finished
    assert sum(a.care.rows is not None for a in submits(history)) == 1


def test_a_subtask_that_must_not_be_divided_ends_the_run_after_its_deaths() -> None:
    state = state_of(rowed([100]), quarantine=True, divisible=False)
    assert "t000000 was running 4 times when its worker died (limit 3)" in stop_of(play(state, killer(5)))


def test_attempts_that_never_start_are_counted_so_that_every_run_ends() -> None:
    state = state_of(plan_of([1.0], workers=1), max_losses=7)
    events: list[Event] = []
    for now in range(100):
        _, actions = step(state, events, float(now))
        if state.stopped:
            break
        events = [lost(a.attempt_id) for a in submits(actions)]
    assert "handed to workers that went away 8 times (limit 7)" in stop_of(actions)


def test_what_a_retired_worker_was_running_is_charged_to_nobody() -> None:
    state = state_of(plan_of([1.0]))
    (first,) = submits(step(state, [], 0.0)[1])
    retired = Event(EventKind.LOST, first.attempt_id, first.worker_id, error=Failure("retired", charged=False))
    step(state, [started(first.attempt_id), retired], 1.0)
    assert (state.deaths, state.failures) == ({}, {})
    assert len(state.attempts) == 1


def test_a_jump_of_the_clock_ends_no_wait() -> None:
    for jump in (3_600.0, -3_600.0):
        state = state_of(plan_of([1.0], workers=1))
        step(state, [], 0.0)
        step(state, [Event(EventKind.WORKER_LOST, worker_id="worker-0")], 1.0)
        assert not any(isinstance(a, Stop) for a in step(state, [], jump)[1])
        assert not any(isinstance(a, Stop) for a in step(state, [], jump + 5.0)[1])


def test_an_attempt_that_takes_too_long_is_killed_and_tried_elsewhere() -> None:
    state = state_of(plan_of([1.0]), timeout_seconds=10.0, backup_factor=inf)
    (first,) = submits(step(state, [], 0.0)[1])
    assert first.timeout_seconds == 10.0
    step(state, [started(first.attempt_id)], 1.0)
    assert step(state, [], 10.5)[1] == []
    _, actions = step(state, [], 11.5)
    assert Cancel(first.attempt_id, kill=True) in actions
    _, actions = step(state, [ends(EventKind.CANCELLED, first)], 12.0)
    (second,) = submits(actions)
    assert second.worker_id != first.worker_id
    assert state.deaths == {0: 1}


def test_an_attempt_that_the_engine_cannot_end_is_given_up_after_a_grace() -> None:
    state = state_of(plan_of([1.0]), timeout_seconds=10.0, grace_seconds=5.0, backup_factor=inf)
    (first,) = submits(step(state, [], 0.0)[1])
    step(state, [started(first.attempt_id)], 0.0)
    step(state, [], 10.0)
    assert len(submits(step(state, [], 15.0)[1])) == 1


def test_a_hanging_row_is_found_like_one_that_kills() -> None:
    state = state_of(rowed([16]), quarantine=True, divisible=True)

    def outcome(attempt: Attempt) -> Event:
        low, high = attempt.care.rows or (0, 16)
        if low <= 9 < high and not attempt.care.condemned:
            return ends(EventKind.FAILED, attempt, Failure("slow", "TimedOut", timeout=True))
        return done(attempt, quarantined=int(bool(attempt.care.condemned)))

    play(state, outcome)
    assert (state.finished, state.quarantined) == (True, 1)


def test_a_timeout_may_follow_the_prediction() -> None:
    state = state_of(plan_of([40.0]), timeout_factor=3.0)
    assert submits(step(state, [], 0.0)[1])[0].timeout_seconds == pytest.approx(3 * 40.0 * exp(0.4))


def test_a_timeout_that_follows_the_prediction_is_never_shorter_than_the_least() -> None:
    state = state_of(plan_of([0.01]), timeout_factor=3.0, timeout_least=10.0)
    assert submits(step(state, [], 0.0)[1])[0].timeout_seconds == 10.0


def straggling() -> tuple[State, Attempt, Attempt]:
    """Two sub-tasks on two workers; the second is done and the first takes 4 times its prediction."""
    state = state_of(plan_of([10.0, 5.0]))
    slow, quick = submits(step(state, [], 0.0)[1])
    step(state, [started(slow.attempt_id), started(quick.attempt_id)], 0.0)
    step(state, [done(quick)], 5.0)
    for now in (20.0, 30.0, 40.0):
        _, actions = step(state, [], now)
        if submits(actions):
            return state, slow, submits(actions)[0]
    raise AssertionError("no back-up")


def test_a_straggler_gets_one_back_up_on_an_idle_worker() -> None:
    state, slow, copy = straggling()
    assert (copy.task_key, copy.number) == (slow.task_key, 1)
    assert copy.worker_id != slow.worker_id
    assert submits(step(state, [started(copy.attempt_id)], 50.0)[1]) == []
    assert submits(step(state, [], 80.0)[1]) == []


def test_the_first_commit_wins_and_the_loser_is_cancelled_and_its_time_counted() -> None:
    state, slow, copy = straggling()
    _, actions = step(state, [started(copy.attempt_id), done(copy)], 50.0)
    assert state.finished
    assert actions == [Cancel(slow.attempt_id)]
    step(state, [ends(EventKind.CANCELLED, slow)], 51.0)
    assert state.wasted_seconds == 51.0


def test_a_back_up_that_fails_leaves_the_straggler_to_go_on() -> None:
    state, slow, copy = straggling()
    assert submits(step(state, [failed(copy.attempt_id)], 50.0)[1]) == []
    step(state, [done(slow)], 60.0)
    assert state.finished


def test_nothing_is_backed_up_while_no_duration_is_known() -> None:
    state = state_of(plan_of([10.0, 5.0]))
    state.scale_known = False
    slow, quick = submits(step(state, [], 0.0)[1])
    step(state, [started(slow.attempt_id), started(quick.attempt_id)], 0.0)
    assert all(submits(step(state, [], float(now))[1]) == [] for now in range(10, 400, 10))


def test_an_attempt_without_a_sign_of_life_is_handed_out_again() -> None:
    state = state_of(plan_of([1.0]), silent_seconds=20.0)
    (first,) = submits(step(state, [], 0.0)[1])
    assert submits(step(state, [], 19.0)[1]) == []
    _, actions = step(state, [], 21.0)
    assert Cancel(first.attempt_id) in actions
    assert [a.number for a in submits(actions)] == [1]


def test_too_many_rows_set_aside_end_the_run() -> None:
    state = state_of(plan_of([1.0, 1.0], workers=1), quarantine=True, max_quarantined=2)
    history = play(state, lambda a: done(a, quarantined=2))
    assert "4 rows are set aside, max_quarantined allows 2" in stop_of(history)


def test_a_gpu_out_of_memory_gets_smaller_batches_and_then_fewer_rows() -> None:
    state = state_of(rowed([64], workers=1), divisible=True)

    def outcome(attempt: Attempt) -> Event:
        low, high = attempt.care.rows or (0, 64)
        if (high - low) / attempt.care.smaller > 3:
            return ends(EventKind.FAILED, attempt, Failure("CUDA", "OutOfMemoryError", memory=True, gpu=True))
        return done(attempt)

    history = play(state, outcome)
    assert state.finished
    assert [a.care.smaller for a in submits(history)][:5] == [1, 2, 4, 8, 16]
    state = state_of(rowed([64], workers=1), divisible=True)
    always = Failure("CUDA", "OutOfMemoryError", memory=True, gpu=True)
    history = play(state, lambda a: done(a) if a.care.rows else ends(EventKind.FAILED, a, always))
    assert [a.care.rows for a in submits(history)][5:] == [(0, 32), (32, 64)]


def test_every_rung_is_told_with_its_reason() -> None:
    state = state_of(rowed([4]), quarantine=True, divisible=True)
    history = play(state, killer(3))
    told = [(a.what, a.task_key) for a in history if isinstance(a, Rung)]
    assert told[:3] == [("retried", "t000000"), ("retried", "t000000"), ("split", "t000000")]
    assert told[-2:] == [("confirmed", "t000000.3-4"), ("condemned", "t000000.3-4")]
    assert all(a.reason for a in history if isinstance(a, Rung))


def test_a_failed_run_says_how_to_set_rows_aside_only_where_they_are_not() -> None:
    for quarantine in (False, True):
        state = state_of(plan_of([1.0]), quarantine=quarantine)
        message = stop_of(play(state, lambda a: ends(EventKind.FAILED, a, Failure("no", "ValueError"))))
        assert ("on_error='quarantine'" in message) is not quarantine


def test_records_of_parts_stand_in_the_place_of_their_subtask() -> None:
    from partitioner.coordinator.execute import in_order

    def record(key: str, part: tuple[int, int] | None = None, split: bool = False) -> CommitRecord:
        attempt = Attempt(key, 0, 0, "w", "memory://")
        from dataclasses import replace

        return replace(_record(attempt, 0.0, 1.0), part=part, split=split)

    records = [record("t1.4-8", (4, 8)), record("t0"), record("t1", split=True), record("t1.0-4", (0, 4)), record("t2")]
    records += [record("t1.4-6", split=True)]
    ordered = in_order(["t0", "t1", "t2"], {r.task_key: r for r in records})
    assert [r.task_key for r in ordered] == ["t0", "t1", "t1.0-4", "t1.4-8", "t2"]


def test_a_resume_tries_only_the_rows_that_no_part_holds() -> None:
    from partitioner.coordinator.execute import resume_parts

    state = state_of(rowed([10, 1]), quarantine=True, divisible=True)
    from dataclasses import replace

    base = _record(Attempt("t000000", 0, 0, "w", "memory://"), 0.0, 1.0)
    committed = {
        "t000000": replace(base, split=True),
        "t000000.00-05": replace(base, task_key="t000000.00-05", part=(0, 5)),
        "t000000.05-07": replace(base, task_key="t000000.05-07", split=True),
        "t000000.07-10": replace(base, task_key="t000000.07-10", part=(7, 10)),
    }
    resume_parts(state, {"t000000": 0, "t000001": 1}, committed)
    history = play(state, lambda a: done(a))
    parts = [a for a in submits(history) if a.care.rows]
    assert [a.care.rows for a in parts] == [(5, 6), (6, 7)]  # what an earlier session had divided stays divided
    assert set(parts[0].care.split_from) == {"t000000", "t000000.05-07"}


def test_errors_name_their_class_of_stop() -> None:
    state = state_of(plan_of([1.0]))
    history = play(state, lambda a: ends(EventKind.FAILED, a, Failure("no", "DataError", fatal=True)))
    assert any(isinstance(a, Stop) and type(a.error) is RunFailed for a in history)


def test_a_repeated_start_changes_nothing() -> None:
    state = state_of(plan_of([2.0] * 5, workers=1))
    (first,) = submits(step(state, [], 0.0)[1])
    ahead = submits(step(state, [started(first.attempt_id)], 1.0)[1])
    before = state.workers["worker-0"].ahead
    again = submits(step(state, [started(first.attempt_id)], 1.5)[1])
    assert state.attempts[first.attempt_id].started == 1.0
    assert (len(ahead) + len(again), state.workers["worker-0"].ahead) == (1 if ahead else 0, before)


def test_a_loser_that_finishes_late_changes_nothing_and_its_time_is_waste() -> None:
    state = state_of(plan_of([10.0, 5.0, 4.0]))
    slow, quick = submits(step(state, [], 0.0)[1])
    step(state, [started(slow.attempt_id), started(quick.attempt_id)], 0.0)
    (third,) = submits(step(state, [done(quick)], 5.0)[1])
    step(state, [started(third.attempt_id)], 5.0)
    step(state, [done(third)], 9.0)
    copies = [a for now in (20.0, 25.0, 30.0) for a in submits(step(state, [], now)[1])]
    step(state, [started(copies[0].attempt_id)], 30.0)
    step(state, [done(copies[0])], 40.0)
    step(state, [done(slow)], 41.0)
    assert (state.remaining, state.wasted_seconds) == (0, 41.0)
