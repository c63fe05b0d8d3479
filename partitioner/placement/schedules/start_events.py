"""Tasks start the moment something fits: one simulation from the first start to the last finish."""

from __future__ import annotations

import heapq
from collections.abc import Callable

import numpy as np

from partitioner.model.data import Floats, Ints
from partitioner.placement.problem import Problem
from partitioner.placement.schedule import Schedule
from partitioner.placement.schedules.cluster_state import ClusterState

_FIRST_LOOK = 64

Choose = Callable[[ClusterState, int, Ints], int]


def fastest_fit(state: ClusterState, i: int, able: Ints) -> int:
    """Among the workers where task i fits now, the one that runs it fastest, ties to the first."""
    times = state.problem.times_of(i)[state.problem.group_of[able]]
    return int(able[int(times.argmin())])


def run_events(problem: Problem, order: Ints, choose: Choose = fastest_fit) -> Schedule:
    """Schedule all tasks in ``order`` (rank, not arrival); ``choose`` picks a worker where one fits. No dependencies.

    At the start and at releases every waiting task is offered to all workers; later a worker with room takes the first
    waiting task, in rank, that fits. O(n m K) at the start, O(n K) per finish.
    """
    return Events(problem, order, choose).run()


class Events:
    """One simulation from the first start to the last finish."""

    def __init__(self, problem: Problem, order: Ints, choose: Choose) -> None:
        self.choose, self.problem = choose, problem
        self.state = ClusterState(problem)
        released = problem.release[order] <= 0
        self.waiting: Ints = order[released]
        late = order[~released]
        self.late: Ints = late[np.argsort(problem.release[late], kind="stable")]
        self.arrived = 0
        self.rank = np.empty(problem.n, np.int64)
        self.rank[order] = np.arange(problem.n)
        self.worker = np.full(problem.n, -1, np.int32)
        self.start: Floats = np.zeros(problem.n)
        self.finish: Floats = np.zeros(problem.n)
        self.devices: dict[int, tuple[int, ...]] = {}
        self.events: list[tuple[float, int]] = []

    def run(self) -> Schedule:
        """Place everything."""
        self._offer_all(0.0)
        while self.events or self.arrived < len(self.late):
            now = self._next_moment()
            freed = set()
            while self.events and self.events[0][0] <= now:
                i = heapq.heappop(self.events)[1]
                j = int(self.worker[i])
                self.state.give_back(i, j, self.devices.get(i, ()))
                freed.add(j)
            if self._arrivals(now):
                self._offer_all(now)
            else:
                for j in sorted(freed):
                    self._fill(j, now)
        return Schedule(self.worker, self.start, self.finish, devices=self.devices)

    def _next_moment(self) -> float:
        release = self.problem.release[self.late[self.arrived]] if self.arrived < len(self.late) else np.inf
        return min(float(release), self.events[0][0] if self.events else np.inf)

    def _arrivals(self, now: float) -> bool:
        """Move what is released by now among the waiting; True where something was."""
        before = self.arrived
        while self.arrived < len(self.late) and self.problem.release[self.late[self.arrived]] <= now:
            self.arrived += 1
        fresh = self.late[before : self.arrived]
        if len(fresh):
            joined = np.concatenate([self.waiting, fresh])
            self.waiting = joined[np.argsort(self.rank[joined], kind="stable")]
        return len(fresh) > 0

    def _offer_all(self, now: float) -> None:
        """Every waiting task to the worker that the rule chooses, where it fits anywhere."""
        left = []
        for i in self.waiting.tolist():
            able = np.flatnonzero(self.state.fits(i))
            if len(able):
                self._begin(i, self.choose(self.state, i, able), now)
            else:
                left.append(i)
        self.waiting = np.array(left, np.int64)

    def _fill(self, j: int, now: float) -> None:
        """Worker j takes waiting tasks, the first in rank that fits, until none does."""
        while (at := self._first_fitting(j)) >= 0:
            i = int(self.waiting[at])
            self.waiting = np.delete(self.waiting, at)
            self._begin(i, j, now)

    def _first_fitting(self, j: int) -> int:
        """Position of the first waiting task that worker j could start; looks at few first, then at ever more; -1: none."""
        begin, size = 0, _FIRST_LOOK
        while begin < len(self.waiting):
            able = self.state.fitting(self.waiting[begin : begin + size], j)
            at = int(able.argmax())
            if able[at]:
                return begin + at
            begin, size = begin + size, size * 4
        return -1

    def _begin(self, i: int, j: int, now: float) -> None:
        devices = self.state.take(i, j)
        if devices:
            self.devices[i] = devices
        end = now + float(self.problem.times_of(i)[self.problem.group_of[j]])
        self.worker[i], self.start[i], self.finish[i] = j, now, end
        heapq.heappush(self.events, (end, i))
