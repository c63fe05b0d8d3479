"""When an attempt looks whether its rest is asked for, and which may hand it over."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from partitioner.attempt import handover
from partitioner.attempt.handover import as_part, rows_of, until_asked
from partitioner.attempt.tally import Tally
from partitioner.model import Attempt, Care, Fragment, Fragments, SubTasks

ATTEMPT = Attempt("t000000", 0, 0, "w", "u")


def loaded(asked: list[str], rows: int = 10, **job: Any) -> Any:
    fragments = Fragments.of([Fragment(0, "f", 0, 0, 4, 4, 8), Fragment(1, "f", 0, 4, 10, rows - 4, 8)])
    tasks = SubTasks.build([1.0], fragments=fragments, offsets=np.array([0, 2]), fragment_index=np.array([0, 1]))
    settings = {"by_file": False, "reducer": SimpleNamespace(whole_task=False), **job}
    run = SimpleNamespace(rest_is_asked_for=lambda name: asked.append(name) or True)
    return SimpleNamespace(job=SimpleNamespace(**settings), tasks=tasks, run=run)


@pytest.mark.parametrize(
    ("care", "job", "rows", "expected"),
    [
        ({}, {}, 10, 10),
        ({"smaller": 4}, {}, 10, 10),
        ({"rows": (0, 10), "whole": 0}, {}, 10, 0),
        ({"isolate": True}, {}, 10, 0),
        ({"count": True}, {}, 10, 0),
        ({"condemned": "x"}, {}, 10, 0),
        ({}, {"by_file": True}, 10, 0),
        ({}, {"reducer": SimpleNamespace(whole_task=True)}, 10, 0),
        ({}, {}, 3, 0),
    ],
)
def test_a_plain_attempt_at_known_rows_may_hand_over(care: Any, job: Any, rows: int, expected: int) -> None:
    assert rows_of(replace(ATTEMPT, care=Care(**care)), loaded([], rows, **job)) == expected


def steps(
    monkeypatch: pytest.MonkeyPatch, times: list[float], sizes: list[int], places: Any = None
) -> tuple[list[str], Tally, int]:
    """After batches of these rows, at these times: what was looked for, the tally, and how many batches there were."""
    asked: list[str] = []
    now = iter(times)
    monkeypatch.setattr(handover, "time", SimpleNamespace(monotonic=lambda: next(now)))
    tally, seen = Tally(), 0
    for _ in until_asked(iter([(None, places)] * len(sizes)), ATTEMPT, loaded(asked), tally):  # type: ignore[list-item]
        tally.rows_in += sizes[seen]
        seen += 1
    return asked, tally, seen


def test_after_a_while_it_looks_and_keeps_what_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, tally, seen = steps(monkeypatch, [0.0, 0.1, 0.5, 0.5], [3, 2, 5])
    assert (asked, seen) == (["t000000-a0"], 2)
    assert (tally.part, tally.all_rows, tally.key) == ((0, 5), 10, "t000000.00-05")


@pytest.mark.parametrize(
    ("times", "sizes", "places"),
    [
        ([0.0, 0.1, 0.49, 0.4], [3, 2, 4], None),
        ([0.0, 9.0, 9.0], [10], None),
        ([0.0, 9.0, 9.0], [0], None),
        ([0.0, 9.0, 9.0], [5], np.arange(5)),
    ],
)
def test_too_early_at_the_end_at_the_beginning_or_out_of_order_it_does_not(
    monkeypatch: pytest.MonkeyPatch, times: list[float], sizes: list[int], places: Any
) -> None:
    asked, tally, seen = steps(monkeypatch, times, sizes, places)
    assert (asked, tally.part, tally.key, seen) == ([], None, "", len(sizes))


def test_after_a_single_row_it_looks_too(monkeypatch: pytest.MonkeyPatch) -> None:
    _, tally, _ = steps(monkeypatch, [0.0, 9.0, 9.0], [1, 9])
    assert tally.part == (0, 1)


def test_between_looks_half_a_second_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    made = loaded(asked)
    made.run.rest_is_asked_for = lambda name: bool(asked.append(name))
    now = iter([0.0, 0.6, 0.7, 1.0, 1.19])
    monkeypatch.setattr(handover, "time", SimpleNamespace(monotonic=lambda: next(now)))
    tally = Tally()
    for _ in until_asked(iter([(None, None)] * 3), ATTEMPT, made, tally):  # type: ignore[list-item]
        tally.rows_in += 2
    assert len(asked) == 1  # at 0.6 it looks and notes 0.7; 1.0 and 1.19 are too early


def test_what_was_handed_over_is_an_attempt_at_a_part() -> None:
    assert as_part(ATTEMPT, Tally()) is ATTEMPT
    assert as_part(ATTEMPT, Tally(key="t000000.00-05")).task_key == "t000000.00-05"
