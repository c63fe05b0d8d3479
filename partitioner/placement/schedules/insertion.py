"""Earliest finishes on every worker at once, for list scheduling of dependency graphs with transfers.

Data that moves between two different workers delays the successor by the transfer time; on one worker it costs nothing
(Topcuoglu et al. 2002, https://doi.org/10.1109/71.993206).
"""

from __future__ import annotations

from collections.abc import Iterable

from partitioner.placement.problem import Problem
from partitioner.placement.schedules.partial import Partial

INFINITY = float("inf")


class Insertion(Partial):
    """A partial schedule that compares all workers for one task; each task may fill a hole left by earlier ones."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self._parents = [problem.parents.rows(i) for i in range(problem.n)]
        self._release: list[float] = problem.release.tolist()
        self._times: list[list[float]] = problem.matrix.tolist()

    def seconds(self, i: int, j: int) -> float:
        """Seconds of task i on worker j; infinity where it cannot run."""
        return self._times[i][self.groups[j]]

    def ready_times(self, i: int) -> list[float]:
        """Per worker, the first second at which the data of all predecessors of task i is there. They must be placed."""
        base = self._release[i]
        first, second, holder = 0.0, 0.0, -1
        for parent, delay, transfer in self._parents[i]:
            there = self.finish[parent] + delay
            base = max(base, there)
            remote, where = there + transfer, self.worker[parent]
            # The two latest arrivals from different workers settle what every worker waits for.
            if where == holder:
                first = max(first, remote)
            elif remote > first:
                first, second, holder = remote, first, where
            else:
                second = max(second, remote)
        times = [max(base, first)] * self.problem.m
        if holder >= 0:
            times[holder] = max(base, second)
        return times

    def finishes(self, i: int, ready: list[float]) -> list[float]:
        """Per worker, the earliest finish of task i, given when it is ready there; infinity where it cannot run."""
        return [self.finish_on(i, j, at) for j, at in enumerate(ready)]

    def finish_on(self, i: int, j: int, ready: float) -> float:
        """The earliest finish of task i on worker j, from ``ready`` on; infinity where it cannot run."""
        seconds = self.seconds(i, j)
        return INFINITY if seconds == INFINITY else self.timeline(j).earliest(i, ready, seconds) + seconds

    def put(self, i: int, j: int, ready: float) -> None:
        """Place task i on worker j as early as it fits from ``ready`` on."""
        self.place(i, j, self.timeline(j).earliest(i, ready, self.seconds(i, j)))

    def put_earliest(self, i: int) -> None:
        """Place task i where it finishes first, on the emptiest of equals."""
        ready = self.ready_times(i)
        j = self.first_of(self.finishes(i, ready))
        self.put(i, j, ready[j])

    def first_of(self, finishes: list[float]) -> int:
        """The worker with the least of ``finishes``, of equals the emptiest."""
        least = min(finishes)
        if finishes.count(least) == 1:
            return finishes.index(least)
        return min((j for j, finish in enumerate(finishes) if finish == least), key=self.fullness)

    def put_all(self, order: Iterable[int]) -> None:
        """Place each task of ``order`` that is not placed yet where it finishes first; parents must come first."""
        for i in order:
            if self.worker[i] < 0:
                self.put_earliest(i)
