"""When a sub-task may start: predecessors committed, the delay after each over, its release past.

Times are seconds since the run began. Only sub-tasks that wait for one of these have an entry.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from partitioner.model import SubTasks

TOLERANCE = 1e-9
"""Relative slack when times are compared, for a clock adds and subtracts them."""


@dataclass(slots=True)
class Readiness:
    """``missing`` predecessors of a sub-task that are not committed; ``children`` of one with the delay
    to each, and the seconds that its bytes take to another worker;
    ``earliest`` start that releases and delays allow so far; ``due`` a heap of (second, sub-task) that only wait for time;
    ``announced`` the second for which the next alarm is set.
    """

    missing: dict[int, int] = field(default_factory=dict)
    children: dict[int, list[tuple[int, float, float]]] = field(default_factory=dict)
    earliest: dict[int, float] = field(default_factory=dict)
    due: list[tuple[float, int]] = field(default_factory=list)
    announced: float = float("inf")

    @classmethod
    def of(cls, tasks: SubTasks, done: Sequence[int], bandwidth: float = float("inf")) -> Readiness:
        """Before the first start; what is ``done`` already counts as committed at second 0.

        ``bandwidth``: bytes per second between two workers.
        """
        found = cls()
        for i in np.flatnonzero(tasks.release > 0).tolist():
            if not done[i]:
                found.earliest[i] = float(tasks.release[i])
        edges = tasks.edges
        zeros = np.zeros(len(edges))
        columns = (edges.source, edges.target, edges.delay if len(edges.delay) else zeros)
        travel = np.nan_to_num(edges.bytes) / bandwidth if len(edges.bytes) else zeros
        for source, target, wait, moving in zip(*(c.tolist() for c in (*columns, travel)), strict=True):
            if done[target]:
                continue
            if done[source]:
                found.earliest[target] = max(found.earliest.get(target, 0.0), wait)
            else:
                found.missing[target] = found.missing.get(target, 0) + 1
                found.children.setdefault(source, []).append((target, wait, moving))
        found.due = [(when, i) for i, when in found.earliest.items() if i not in found.missing]
        heapq.heapify(found.due)
        return found

    @property
    def soonest(self) -> float:
        """The second at which the next sub-task that only waits for time is free; infinity: there is none."""
        return self.due[0][0] if self.due else float("inf")

    def blocked(self) -> set[int]:
        """Sub-tasks that cannot start yet."""
        return self.missing.keys() | {i for _, i in self.due}

    def committed(self, task: int, second: float, worker_id: str, home: Sequence[str]) -> None:
        """``task`` was committed on a worker: its successors wait for the delay, or for other predecessors.

        ``home``: the worker where each sub-task is going to run.
        """
        for child, delay, moving in self.children.pop(task, ()):
            wait = delay + (moving if home[child] != worker_id else 0.0)
            self.earliest[child] = max(self.earliest.get(child, 0.0), second + wait)
            self.missing[child] -= 1
            if not self.missing[child]:
                del self.missing[child]
                heapq.heappush(self.due, (self.earliest[child], child))

    def free(self, second: float) -> list[int]:
        """Sub-tasks for which nothing is left to wait for, taken off the books."""
        found = []
        while self.due and self.due[0][0] <= second + TOLERANCE * max(1.0, second):
            _, task = heapq.heappop(self.due)
            self.earliest.pop(task, None)
            found.append(task)
        return found
