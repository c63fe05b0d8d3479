"""Sub-tasks and workers whose history is written down, for tests of single rungs."""

from __future__ import annotations

from typing import Any

from partitioner.coordinator.state import Live, Rung, State
from partitioner.coordinator.transitions import Change
from partitioner.coordinator.troubles import Part, Search
from partitioner.model import Attempt, Failure
from tests.coordinator.outcomes import rowed
from tests.coordinator.paper import by_hand, state_of

ERROR = Failure("no", "ValueError")


def trying(workers: int = 2, rows: int = 8, **policy: Any) -> State:
    """One sub-task of so many rows, with an engine."""
    state = state_of(rowed([rows], workers), **policy)
    state.change(0, Change.SUBMITTED)
    return state


def on(worker: str = "worker-0", task: int = 0, key: str = "t000000", number: int = 0) -> Live:
    return Live(Attempt(key, task, number, worker, "memory://run"), 1.0)


def told(state: State) -> list[tuple[str, str]]:
    said = [(r.what, r.reason) for r in state.rungs if isinstance(r, Rung)]
    state.rungs.clear()
    return said


def alone(state: State, start: int = 3, stop: int = 4, rest: bool = False) -> int:
    """A part of the only sub-task, with an engine; under search, or as a rest that was handed over."""
    search = state.searches[0] = Search(8)
    task = state.add_part(Part(0, f"t000000.{start}-{stop}", start, stop, ("t000000",)), 0.1)
    search.parts.add(task)
    if rest:
        state.rests.add(task)
    state.change(task, Change.SUBMITTED)
    told(state)
    return task


def many(workers: int = 3, **policy: Any) -> State:
    return state_of(by_hand([1.0] * 12, workers, [i % workers for i in range(12)]), **policy)
