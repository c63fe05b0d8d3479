"""What an attempt is told of its part, its whole, and what is to be confirmed."""

from __future__ import annotations

from typing import Any

import pytest

from partitioner.coordinator import ladder
from partitioner.errors import RunFailed
from partitioner.model import Care
from tests.coordinator.rungs_of import ERROR, alone, many, on, trying


def test_a_plain_attempt_is_told_nothing() -> None:
    state = many()
    told_first = ladder.care(state, state.workers["worker-0"], 0)
    assert told_first == Care(suspects=())


def test_an_attempt_at_a_part_is_told_its_rows_and_what_it_was_split_from() -> None:
    state = trying(divisible=True)
    task = alone(state, 2, 5)
    state.trouble(task).smaller, state.trouble(task).counting = 4, True
    told_it = ladder.care(state, state.workers["worker-0"], task)
    assert told_it == Care(0, (2, 5), ("t000000",), count=True, suspects=(), smaller=4)


@pytest.mark.parametrize(
    ("others", "successes", "seen", "suspects"),
    [
        (True, 1, 2, ((3, 4),)),
        (True, 0, 2, ((3, 4),)),
        (False, 1, 2, None),
        (False, 0, 2, ((3, 4),)),
        (False, 0, 1, None),
    ],
)
def test_rows_are_to_be_confirmed_unless_nobody_else_can_and_the_worker_is_trusted(
    others: bool, successes: int, seen: int, suspects: Any
) -> None:
    state = many(2, quarantine=True)
    state.trouble(0).failed_on = {"worker-1": 1, "worker-0": 1}
    state.trouble(0).suspects = {"worker-1": ((3, 4),), "worker-0": ((7, 8),)}
    if not others:
        state.excluded["worker-1"] = 9.0
    state.health["worker-0"].successes = successes
    state.seen = {f"worker-{j}" for j in range(seen)}
    told_it = ladder.care(state, state.workers["worker-0"], 0)
    assert (told_it.isolate, told_it.suspects) == (True, suspects)


def test_a_worker_that_is_still_awaited_confirms_nothing() -> None:
    state = many(2, quarantine=True)
    state.trouble(0).suspects = {"worker-1": ((3, 4),)}
    state.health["worker-0"].successes = 1
    assert ladder.care(state, state.workers["worker-0"], 0).suspects == ((3, 4),)
    state.awaited.add("worker-1")
    assert ladder.care(state, state.workers["worker-0"], 0).suspects is None


def test_errors_of_this_ladder_are_of_the_run() -> None:
    assert isinstance(ladder.failed(trying(max_retries=0), on(), ERROR), RunFailed)
