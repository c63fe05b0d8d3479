"""A run on paper whose first attempts are out."""

from __future__ import annotations

from typing import Any

from partitioner.coordinator.machine import step
from partitioner.coordinator.state import State
from partitioner.model import Attempt
from tests.coordinator.outcomes import submits
from tests.coordinator.paper import by_hand, state_of


def begun(count: int = 2, workers: int = 2, seconds: float = 10.0, **policy: Any) -> tuple[State, list[Attempt]]:
    """Each worker has its first sub-task from second 100 on the driver's clock; nothing waits ahead."""
    settings: dict[str, Any] = {"ahead_seconds": 0.0, "keep_queued": 99, "backup_factor": 1e9, **policy}
    state = state_of(by_hand([seconds] * count, workers, [i % workers for i in range(count)]), **settings)
    live = submits(step(state, [], 100.0)[1])
    return state, live
