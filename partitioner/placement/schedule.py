"""What an algorithm returns: where and when every sub-task runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from partitioner.model import Portfolio
from partitioner.model.data import Codes, Floats
from partitioner.model.explanation import Figure


@dataclass(frozen=True, slots=True, eq=False)
class Schedule:
    """Where and when: ``worker`` int32[n] index into the workers, ``start`` and ``finish`` float64[n] seconds.

    ``bound``: a lower bound on the makespan, seconds, that was proved on the way, 0 for none, and ``bound_by`` what
    proved it (an algorithm that returns one declares ``proves``; a search passes on what the schedule it starts from
    brings along). ``notes``: figures by name, for ``plan.about.notes``. ``devices``: the GPUs of one worker, numbered
    from 0, that each task (by index) holds; needed only where unequal shares of GPUs meet on a worker. ``portfolio``:
    what members came to, of algorithms that run others. ``before`` int32[n]: the task that ran before each one in the
    same slot, -1 for none, where that is known anyway: it saves the checker of the plan a sort.
    """

    worker: Codes
    start: Floats
    finish: Floats
    bound: float = 0.0
    notes: Mapping[str, Figure] = field(default_factory=dict)
    devices: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    bound_by: str = ""
    portfolio: Portfolio | None = None
    before: Codes | None = None

    @property
    def makespan(self) -> float:
        """The last finish, seconds."""
        return float(self.finish.max()) if len(self.finish) else 0.0
