"""Large problems where several tasks share a worker: whoever has room takes a waiting task that fits, until none waits.

An event-driven list schedule for a million tasks. The tasks wait in strata of equal demands except for one resource, the
*scarce* one (usually memory), which is cut into bins. A worker with room takes, of the bins that fit, the one with the
largest part of its work left, and of that bin the longest task. So all bins run out together: large demands are taken as
soon as there is room for them, small ones are still there to fill up, and the shortest tasks of every bin level the end.
"""

from __future__ import annotations

import heapq
from bisect import bisect_right

import numpy as np

from partitioner.model.data import Floats, Ints
from partitioner.placement.problem import TOLERANCE, Problem
from partitioner.placement.schedule import Schedule
from partitioner.placement.schedules.worker_queues import run_queues

LARGE = 100_000
"""Task-worker pairs beyond which looking at every worker for every task takes too long."""

_MOST_STRATA = 64
_QUANTILES = (*(k / 16 for k in range(1, 16)), 0.97, 0.985, 0.995, 1.0)


def run_pool(problem: Problem, order: Ints) -> Schedule:
    """Schedule all tasks; ``order`` int64[n] ranks those that are otherwise alike. No dependencies, no GPUs."""
    scarce = _scarce_resource(problem)
    strata = None if problem.has_releases else _strata(problem, scarce)
    if strata is None:
        return run_queues(problem, _level(problem, order), order[np.argsort(problem.release[order], kind="stable")])
    return _Pool(problem, order, scarce, *strata).run()


def _scarce_resource(problem: Problem) -> int:
    """The resource, apart from the first (cores), whose demands vary and whose use is highest; -1 for none."""
    offered = (problem.capacity * problem.size[:, None]).sum(axis=0)
    use = problem.demand.mean(axis=0) / offered
    varies = [k for k in range(len(use)) if np.ptp(problem.demand[:, k]) > 0 and problem.resources[k] != "cpus"]
    return max(varies, key=lambda k: float(use[k])) if varies else -1


def _strata(problem: Problem, scarce: int) -> tuple[Floats, Ints, np.ndarray] | None:
    """(demands float64[s, K], stratum of each task int64[n], may run bool[s, G]), or None where there are too many."""
    rest = problem.demand.copy()
    if scarce >= 0:
        rest[:, scarce] = 0.0
    columns = [rest]
    if not problem.eligible_everywhere:
        if problem.dense is None:
            return None
        columns.append(_label_eligibility(problem))
    table = np.concatenate(columns, axis=1)
    varying = [c for c in range(table.shape[1]) if np.ptp(table[:, c]) > 0]
    if not varying:
        return rest[:1], np.zeros(problem.n, np.int64), np.ones((1, problem.groups), np.bool_)
    kinds, first, code = np.unique(table[:, varying], axis=0, return_index=True, return_inverse=True)
    if len(kinds) > _MOST_STRATA:
        return None
    may = np.ones((len(kinds), problem.groups), np.bool_)
    if len(columns) == 2:
        may = columns[1][first] > 0
    return rest[first], code.reshape(-1), may


def _label_eligibility(problem: Problem) -> Floats:
    """float64[n, G]: 1 where labels and classes allow, capacities left aside (those are checked as tasks are taken)."""
    allowed = np.empty((problem.n, problem.groups))
    for g in range(problem.groups):
        able = ~np.isnan(problem.raw_times_on(g))
        labels = problem.workers.labels[int(problem.first[g])]
        for label, wanted in problem.tasks.requires.items():
            if label not in labels:
                able &= ~wanted
        allowed[:, g] = able
    return allowed


def _level(problem: Problem, order: Ints) -> Ints:
    """int64[n]: workers such that the largest share of any resource-time used is levelled, greedily, group by group."""
    worker = np.zeros(problem.n, np.int64)
    share = np.zeros((problem.n, problem.groups))
    for g in range(problem.groups):
        with np.errstate(divide="ignore", invalid="ignore"):
            most = np.nan_to_num(problem.demand / problem.capacity[g], nan=0.0).max(axis=1, initial=0.0)
        share[:, g] = np.maximum(most, 1e-9) * problem.times_on(g)
    heaps = [[(0.0, int(j)) for j in members] for members in problem.members]
    tops = np.zeros(problem.groups)
    for i in order.tolist():
        g = int(np.argmin(tops + share[i]))
        load, j = heaps[g][0]
        worker[i] = j
        heapq.heapreplace(heaps[g], (load + float(share[i, g]), j))
        tops[g] = heaps[g][0][0]
    return worker


class _Pool:
    """The waiting tasks and the workers' free capacities while time goes on."""

    def __init__(
        self,
        problem: Problem,
        order: Ints,
        scarce: int,
        demands: Floats,
        code: Ints,
        may: np.ndarray,
    ) -> None:
        self.problem, self.scarce = problem, scarce
        self.demands: list[list[float]] = demands.tolist()
        self.may: list[list[bool]] = may.T.tolist()
        self.code: list[int] = code.tolist()
        amount = problem.demand[:, scarce] if scarce >= 0 else np.zeros(problem.n)
        self.amount: list[float] = amount.tolist()
        self.edges: list[list[float]] = []
        self.bins: list[list[list[int]]] = []
        self.left: list[list[float]] = []
        self.part: list[list[float]] = []
        self.seconds: list[float] = problem.fastest.tolist()
        for s in range(len(self.demands)):
            self._fill(order[code[order] == s], amount, problem.fastest)
        self.kinds = [k for k in range(problem.demand.shape[1]) if k != scarce]
        free = (problem.capacity * (1 + TOLERANCE))[problem.group_of]
        self.free: list[list[float]] = free.tolist()

    def _fill(self, tasks: Ints, amount: Floats, seconds: Floats) -> None:
        """One stratum: bins of the scarce amount, each a stack whose top is the first in order."""
        values = amount[tasks]
        edges = np.unique(np.quantile(values, _QUANTILES, method="higher"))
        place = np.searchsorted(edges, values)
        work = np.bincount(place, weights=seconds[tasks], minlength=len(edges))
        self.edges.append(edges.tolist())
        self.bins.append([tasks[place == b][::-1].tolist() for b in range(len(edges))])
        self.left.append([1.0] * len(edges))
        self.part.append((1.0 / np.maximum(work, 1e-300)).tolist())

    def _fullest(self, s: int, limit: float) -> int:
        """The bin of stratum s, among those whose amounts are all within ``limit``, with most of its work left; -1: none."""
        count = bisect_right(self.edges[s], limit)
        if not count:
            return -1
        left = self.left[s]
        b = max(range(count - 1, -1, -1), key=left.__getitem__)
        return b if left[b] >= 0.0 else -1

    def _take(self, j: int, group: int) -> int:
        """A waiting task that worker j can start now, removed from the pool; -1 for none."""
        free = self.free[j]
        room = free[self.scarce] if self.scarce >= 0 else 0.0
        most, found = -1.0, (-1, -1)
        for s, demand in enumerate(self.demands):
            if not self.may[group][s] or any(demand[k] > free[k] for k in self.kinds):
                continue
            b = self._fullest(s, room)
            if b >= 0 and self.left[s][b] > most:
                most, found = self.left[s][b], (s, b)
        s, b = found
        if s < 0:
            return -1
        stack = self.bins[s][b]
        i = stack.pop()
        self.left[s][b] = self.left[s][b] - self.seconds[i] * self.part[s][b] if stack else -1.0
        if stack and self.left[s][b] < 0.0:
            self.left[s][b] = 0.0
        return i

    def run(self) -> Schedule:
        """Advance from finish to finish."""
        problem = self.problem
        n = problem.n
        self.times = [problem.times_on(g).tolist() for g in range(problem.groups)]
        self.groups: list[int] = problem.group_of.tolist()
        self.start, self.end, self.worker = [0.0] * n, [0.0] * n, [-1] * n
        self.events: list[tuple[float, int]] = []
        for j in np.argsort(-problem.speed[problem.group_of], kind="stable").tolist():
            self._start_all(j, 0.0)
        if len(self.demands) == 1 and self.may and all(row[0] for row in self.may):
            self._run_alike()
        while self.events:
            now, done = heapq.heappop(self.events)
            j = self.worker[done]
            self._give_back(j, done)
            self._start_all(j, now)
        return Schedule(np.array(self.worker, np.int32), np.array(self.start), np.array(self.end))

    def _run_alike(self) -> None:
        """The event loop where all tasks agree in all but the scarce resource: the same as ``run``, several times faster."""
        demand, room_at = self.demands[0], self.scarce
        unit = [(k, demand[k]) for k in self.kinds if demand[k] > 0]
        spare = [min((int(row[k] / u) for k, u in unit), default=len(self.worker)) for row in self.free]
        room = [row[room_at] if room_at >= 0 else 0.0 for row in self.free]
        edges, bins, left, part = self.edges[0], self.bins[0], self.left[0], self.part[0]
        events, worker, start, end, amount = self.events, self.worker, self.start, self.end, self.amount
        times_of = [self.times[g] for g in self.groups]
        seconds, pop, push = self.seconds, heapq.heappop, heapq.heappush
        while events:
            now, done = pop(events)
            j = worker[done]
            spare[j] += 1
            room[j] += amount[done]
            while spare[j] > 0 and (count := bisect_right(edges, room[j])):
                open_bins = left[:count]
                most = max(open_bins)
                if most < 0.0:
                    break
                b = open_bins.index(most)
                stack = bins[b]
                i = stack.pop()
                left[b] = max(0.0, most - seconds[i] * part[b]) if stack else -1.0
                spare[j] -= 1
                room[j] -= amount[i]
                finish = now + times_of[j][i]
                worker[i], start[i], end[i] = j, now, finish
                push(events, (finish, i))

    def _give_back(self, j: int, i: int) -> None:
        free, demand = self.free[j], self.demands[self.code[i]]
        for k in self.kinds:
            free[k] += demand[k]
        if self.scarce >= 0:
            free[self.scarce] += self.amount[i]

    def _start_all(self, j: int, now: float) -> None:
        """Let worker j start whatever fits now."""
        group = self.groups[j]
        times, free = self.times[group], self.free[j]
        while (i := self._take(j, group)) >= 0:
            demand = self.demands[self.code[i]]
            for k in self.kinds:
                free[k] -= demand[k]
            if self.scarce >= 0:
                free[self.scarce] -= self.amount[i]
            self.worker[i], self.start[i], self.end[i] = j, now, now + times[i]
            heapq.heappush(self.events, (now + times[i], i))
