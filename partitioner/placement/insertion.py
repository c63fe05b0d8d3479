"""A schedule under construction: tasks are placed one by one, each into the earliest hole that holds it.

The shared ground of list scheduling for dependency graphs. Data that moves between two different workers delays the
successor by the transfer time; on one worker it costs nothing (Topcuoglu et al. 2002, https://doi.org/10.1109/71.993206).
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from partitioner.placement.base import Schedule
from partitioner.placement.problem import Problem
from partitioner.placement.timeline import Devices, timeline_of

INFINITY = float("inf")


class Insertion:
    """Tasks placed so far: ``worker`` (-1: not yet), ``start`` and ``finish`` seconds, one entry per task.

    ``seconds[i][j]`` is the time of task i on worker j, infinity where it cannot run.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        n = problem.n
        self.worker = [-1] * n
        self.start = [0.0] * n
        self.finish = [0.0] * n
        self.lines = [timeline_of(problem, int(g)) for g in problem.group_of]
        self.parents = [problem.parents.rows(i) for i in range(n)]
        self.release: list[float] = problem.release.tolist()
        self.devices: dict[int, Devices] = {}
        self._group: list[int] = problem.group_of.tolist()
        self._times: list[list[float]] = problem.matrix.tolist()

    def seconds(self, i: int, j: int) -> float:
        """Seconds of task i on worker j; infinity where it cannot run."""
        return self._times[i][self._group[j]]

    def ready(self, i: int) -> list[float]:
        """Per worker, the first second at which the data of all predecessors of task i is there. They must be placed."""
        base = self.release[i]
        first, second, holder = 0.0, 0.0, -1
        for parent, delay, transfer in self.parents[i]:
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

    def finishes(self, i: int, ready: list[float] | None = None) -> list[float]:
        """Per worker, the earliest finish of task i; infinity where it cannot run."""
        at = self.ready(i) if ready is None else ready
        return [self.finish_on(i, j, at[j]) for j in range(len(at))]

    def finish_on(self, i: int, j: int, ready: float) -> float:
        """The earliest finish of task i on worker j, from ``ready`` on."""
        seconds = self.seconds(i, j)
        return INFINITY if seconds == INFINITY else self.lines[j].earliest(i, ready, seconds) + seconds

    def place(self, i: int, j: int, ready: float | None = None) -> float:
        """Put task i on worker j as early as it fits; returns its finish."""
        seconds = self.seconds(i, j)
        begin = self.lines[j].earliest(i, self.ready(i)[j] if ready is None else ready, seconds)
        got = self.lines[j].reserve(i, begin, seconds)
        if got:
            self.devices[i] = got
        self.worker[i], self.start[i], self.finish[i] = j, begin, begin + seconds
        return begin + seconds

    def remove(self, i: int) -> None:
        """Take task i off its worker again; nothing that depends on it may be placed."""
        j = self.worker[i]
        self.lines[j].release(i, self.start[i], self.finish[i] - self.start[i], self.devices.pop(i, ()))
        self.worker[i] = -1

    def place_earliest(self, i: int) -> int:
        """Put task i where it finishes first (the first of equals); returns the worker."""
        ready = self.ready(i)
        finishes = self.finishes(i, ready)
        j = finishes.index(min(finishes))
        self.place(i, j, ready[j])
        return j

    def place_all(self, order: Iterable[int]) -> None:
        """Put each task of ``order`` that is not placed yet where it finishes first."""
        for i in order:
            if self.worker[i] < 0:
                self.place_earliest(i)

    def schedule(self) -> Schedule:
        """The finished schedule; every task must have been placed."""
        return Schedule(
            np.array(self.worker, np.int32),
            np.array(self.start, np.float64),
            np.array(self.finish, np.float64),
            devices=self.devices,
        )
