"""Queues made by hand: sub-tasks of equal length on the first worker, and attempts that a worker holds."""

from __future__ import annotations

from typing import Any

from partitioner.coordinator.capacity import take
from partitioner.coordinator.state import Live, State
from partitioner.model import Attempt
from tests.coordinator.paper import by_hand, state_of

HOUR = 3600.0


def queue_of(count: int = 10, seconds: float = 1.0, workers: int = 1, **policy: Any) -> State:
    """All on the first worker, one after the other."""
    state = state_of(by_hand([seconds] * count, workers, [0] * count), **policy)
    state.began = 0.0
    return state


def held(
    state: State, name: str, seconds: float = 1.0, task: int = 9, since: float | None = None, **demand: Any
) -> Live:
    live = Live(
        Attempt(f"x{len(state.attempts)}", task, 0, name, "memory://run", **demand), seconds, 0.0, seconds, since
    )
    state.attempts[live.attempt.attempt_id] = live
    take(state.workers[name], live)
    if since is None:
        state.workers[name].ahead += seconds
    return live
