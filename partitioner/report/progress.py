"""The live progress line: sub-tasks, rows, failures, and an ETA from predicted cost."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Self

from partitioner.coordinator.state import Action, State
from partitioner.model import Event, Plan


class Progress:
    """An observer of the driver loop."""

    def __init__(self, plan: Plan, enabled: bool = True) -> None:
        self.plan = plan
        self.enabled = enabled

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def observe(self, state: State, events: Sequence[Event], actions: Sequence[Action]) -> None:
        """Called after every step."""
