"""A state of two equal workers, and attempts that run there since a second."""

from __future__ import annotations

from partitioner.coordinator.state import Live, State
from partitioner.model import Attempt, Worker, Workers
from tests.coordinator.paper import by_hand, state_of

EQUAL = Workers.of([Worker("a"), Worker("b")])


def fresh(seconds: list[float] | None = None, workers: Workers = EQUAL, where: list[int] | None = None) -> State:
    asked = seconds or [10.0] * 6
    return state_of(by_hand(asked, workers, where or [0] * len(asked)))


def running(state: State, name: str, expected: float, since: float | None, task: int = 0, load: float = 1.0) -> Live:
    live = Live(Attempt(f"x{task}", task, 0, name, "memory://run"), expected, load * expected, expected, since)
    state.workers[name].live[live.attempt.attempt_id] = live
    return live
