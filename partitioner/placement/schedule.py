"""What an algorithm returns: where and when every sub-task runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from partitioner.model.data import Codes, Floats


@dataclass(frozen=True, slots=True, eq=False)
class Schedule:
    """Where and when: ``worker`` int32[n], ``start`` and ``finish`` float64[n] seconds.

    ``bound``: a lower bound on the makespan, seconds, that was proved on the way, 0 for none, and ``bound_by`` what
    proved it: a search passes on what the schedule it starts from brings along. ``notes`` go into
    ``plan.reasons``; ``devices``: GPU devices of the tasks that use some, where the algorithm chose them.
    """

    worker: Codes
    start: Floats
    finish: Floats
    bound: float = 0.0
    notes: Mapping[str, Any] = field(default_factory=dict)
    devices: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    bound_by: str = ""

    @property
    def makespan(self) -> float:
        """The last finish, seconds."""
        return float(self.finish.max()) if len(self.finish) else 0.0
