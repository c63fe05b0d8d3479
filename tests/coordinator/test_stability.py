"""Workers that go sooner than anything ends: the run stops, and no run that gets somewhere does."""

from __future__ import annotations

from typing import Any

import pytest

from partitioner.coordinator.machine import step
from partitioner.coordinator.state import State, Stop
from partitioner.errors import EngineLost
from partitioner.model import Event, EventKind, Worker
from tests.coordinator.begun import begun
from tests.coordinator.outcomes import stop_of
from tests.coordinator.paper import failed, finish, started


def came_and_went(state: State, now: float, number: int) -> list[Any]:
    """A further worker joins, and goes a second later."""
    name = f"late-{number}"
    step(state, [Event(EventKind.WORKER_JOINED, worker_id=name, worker=Worker(name))], now)
    return step(state, [Event(EventKind.WORKER_LOST, worker_id=name)], now + 1.0)[1]


def last_stop(state: State, count: int, every: float, ends: dict[int, Event] | None = None) -> tuple[int, str]:
    """How many had gone when the run stopped, and what it said; 0 where it goes on after so many."""
    for i in range(1, count + 1):
        now = 100.0 + every * i
        if ends and i in ends:
            step(state, [ends[i]], now)
        actions = came_and_went(state, now, i)
        if stops := [a for a in actions if isinstance(a, Stop)]:
            assert isinstance(stops[0].error, EngineLost)
            return i, stop_of(actions)
    return 0, ""


@pytest.mark.parametrize(("every", "count"), [(3.0, 31), (1.5, 40)])
def test_a_run_in_which_nothing_ends_while_workers_come_and_go_stops(every: float, count: int) -> None:
    state, _ = begun(3, workers=2, rerouted=True, max_losses=10_000)
    found, said = last_stop(state, 100, every)
    assert found == count
    assert said == (
        f"{count} workers went away one after the other in {every * count + 1:.0f} s while no sub-task ended (limit 30): "
        "they go sooner than they get anything done. Look at why they die, and resume the run."
    )


def test_an_attempt_that_runs_on_keeps_the_run_going() -> None:
    state, (first, _) = begun(3, workers=2, rerouted=True, max_losses=10_000)
    step(state, [started(first.attempt_id)], 100.0)
    assert last_stop(state, 300, 3.0) == (0, "")


@pytest.mark.parametrize("kind", ["finished", "failed"])
def test_whatever_ends_begins_the_count_anew(kind: str) -> None:
    state, (first, _) = begun(3, workers=2, rerouted=True, max_losses=10_000)
    end = finish(first.attempt_id) if kind == "finished" else failed(first.attempt_id)
    assert last_stop(state, 100, 3.0, {30: end})[0] == 60


def test_of_a_large_plan_more_may_go() -> None:
    state, _ = begun(8, workers=4, rerouted=True, max_losses=10_000)
    assert last_stop(state, 100, 3.0)[0] == 41
