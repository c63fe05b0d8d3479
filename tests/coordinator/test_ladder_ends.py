"""What the ladder tells, how a run ends on it, and records that stand for others."""

from __future__ import annotations

from partitioner.coordinator.machine import step
from partitioner.coordinator.state import Rung, Stop
from partitioner.engines.simulated_world import record_of as _record
from partitioner.errors import RunFailed
from partitioner.model import (
    Attempt,
    CommitRecord,
    Event,
    EventKind,
    Failure,
)
from tests.coordinator.outcomes import done, ends, killer, play, rowed, stop_of, submits
from tests.coordinator.paper import plan_of, started, state_of


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


def test_a_loser_that_finishes_late_changes_nothing() -> None:
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
    assert (state.remaining, state.finished) == (0, True)
