"""What becomes of a sub-task whose attempts die: more memory, alone, then divided down to the row."""

from __future__ import annotations

from collections.abc import Sequence
from math import log2

import numpy as np
import pytest

from partitioner.coordinator.machine import step
from partitioner.coordinator.state import Action
from partitioner.model import (
    Attempt,
    Event,
    EventKind,
    Failure,
    Worker,
    Workers,
)
from tests.coordinator.outcomes import DEATH, done, ends, killer, play, rowed, stop_of, submits
from tests.coordinator.paper import failed, plan_of, state_of


def test_after_a_death_it_is_promised_twice_what_was_measured() -> None:
    workers = Workers.of([Worker("a", memory_bytes=1e9), Worker("b", memory_bytes=4e9)])
    state = state_of(plan_of([1.0], workers, memory_bytes=[30e3]))
    (first,) = submits(step(state, [], 0.0)[1])
    (second,) = submits(step(state, [failed(first.attempt_id, memory=True, peak_memory_bytes=400_000_000)], 1.0)[1])
    assert second.memory_bytes == 8e8
    (third,) = submits(step(state, [failed(second.attempt_id, memory=True, peak_memory_bytes=900_000_000)], 2.0)[1])
    assert (third.worker_id, third.memory_bytes) == ("b", 4e9)


def test_the_largest_worker_is_the_largest_of_those_that_can_run_it() -> None:
    fast = frozenset(["fast"])
    workers = [
        Worker("a", memory_bytes=4e9, labels=fast),
        Worker("b", memory_bytes=9e9),
        Worker("c", memory_bytes=6e9, labels=fast),
    ]
    state = state_of(plan_of([1.0], Workers.of(workers), memory_bytes=[1e9], requires={"fast": np.array([True])}))
    sent = submits(step(state, [], 0.0)[1])
    for now in (1.0, 2.0):
        sent = submits(step(state, [failed(sent[0].attempt_id, memory=True)], now)[1])
    assert [(a.worker_id, a.memory_bytes) for a in sent] == [("c", 6e9)]


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


@pytest.mark.parametrize("why", [DEATH, Failure("no", "MemoryError", memory=True)])
def test_one_row_costs_log_n_attempts_wherever_it_is(why: Failure) -> None:
    rows, kind = 128, EventKind.LOST if why is DEATH else EventKind.FAILED
    for bad in range(rows):
        state = state_of(rowed([rows]), quarantine=True, divisible=True)

        def outcome(attempt: Attempt, bad: int = bad) -> Event:
            low, high = attempt.care.rows or (0, rows)
            hit = low <= bad < high and not attempt.care.condemned
            return ends(kind, attempt, why) if hit else done(attempt, quarantined=int(bool(attempt.care.condemned)))

        history = play(state, outcome)
        assert (state.finished, state.quarantined) == (True, 1)
        assert len(submits(history)) - 1 <= 2 * log2(rows), bad


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


@pytest.mark.parametrize("bad", [range(5), range(59, 64), (0, 1, 2, 63), (0, 1, 2, 3, 34), range(30)])
def test_rows_that_kill_side_by_side_are_no_hopeless_program(bad: Sequence[int]) -> None:
    state = state_of(rowed([64]), quarantine=True, divisible=True)

    def outcome(attempt: Attempt) -> Event:
        if attempt.care.condemned:
            return done(attempt, quarantined=1)
        low, high = attempt.care.rows or (0, 64)
        return ends(EventKind.LOST, attempt, DEATH) if any(low <= b < high for b in bad) else done(attempt)

    history = play(state, outcome)
    aside = [a.care.rows for a in submits(history) if a.care.condemned]
    assert (state.finished, sorted(aside)) == (True, [(b, b + 1) for b in bad])


@pytest.mark.parametrize(("rows", "aside"), [(2, 2), (3, 2), (4, 3), (5, 4), (1_000, 4)])
def test_a_program_that_always_dies_costs_a_few_rows_before_it_is_known_for_one(rows: int, aside: int) -> None:
    state = state_of(rowed([rows]), quarantine=True, divisible=True)

    def outcome(attempt: Attempt) -> Event:
        return done(attempt, quarantined=1) if attempt.care.condemned else ends(EventKind.LOST, attempt, DEATH)

    history = play(state, outcome)
    assert sum(bool(a.care.condemned) for a in submits(history)) == aside
    assert state.finished is (rows == 2)


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


def test_a_part_that_a_late_attempt_had_committed_makes_its_own_parts_needless() -> None:
    """Rows 4 to 6 are committed by an attempt that was given up; what was put by beyond them is tried without them."""
    state = state_of(rowed([8, 1]), quarantine=True, divisible=True)

    def outcome(attempt: Attempt) -> Event:
        rows = attempt.care.rows
        if attempt.task_key != "t000001" and rows in (None, (4, 8), (4, 6)):
            return ends(EventKind.LOST, attempt, DEATH)
        return done(attempt, task_key="t000000.4-6", part=(4, 6)) if rows == (4, 5) else done(attempt, part=rows)

    history = play(state, outcome)
    assert state.finished
    tried = [a.care.rows for a in submits(history) if a.whole == 0 and a.care.rows is not None]
    assert tried == [(0, 4), (4, 8), (4, 6), (4, 5), (6, 8)]


def test_a_row_whose_setting_aside_dies_too_is_tried_once_more() -> None:
    state = state_of(rowed([1, 1]), quarantine=True, divisible=True)
    deaths = iter(range(5))

    def outcome(attempt: Attempt) -> Event:
        if attempt.task_key == "t000000" and next(deaths, None) is not None:
            return ends(EventKind.LOST, attempt, DEATH)
        return done(attempt)

    history = play(state, outcome)
    assert (state.finished, state.quarantined) == (True, 0)
    assert [bool(a.care.condemned) for a in submits(history) if a.whole == 0] == [False] * 4 + [True, False]


def test_a_subtask_that_must_not_be_divided_ends_the_run_after_its_deaths() -> None:
    state = state_of(rowed([100]), quarantine=True, divisible=False)
    assert "t000000 was running 4 times when its worker died (limit 3)" in stop_of(play(state, killer(5)))
