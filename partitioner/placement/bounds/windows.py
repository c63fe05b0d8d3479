"""A problem in whole ticks, and the first and last tick at which each task may start under a given makespan."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from partitioner.model.data import Floats, Ints
from partitioner.placement.exact.ticks import Ticks
from partitioner.placement.graph import Links
from partitioner.placement.problem import Problem
from partitioner.placement.search.slot_graph import without_implied

_MOST_DISTANCES = 32
_ROUND = 1e-8  # of the work, above what rounding and the tolerance of capacities come to


@dataclass(frozen=True, slots=True, eq=False)
class Whole:
    """A relaxation in whole ticks: all workers of a group are one, transfers take no time, part ticks are dropped.

    ``lasting`` int64[n, G] ticks, -1 where a task cannot run; ``demand`` float64[n, K] and ``capacity`` float64[G, K]
    of all workers of a group together; dependencies as ``source``, ``target`` and ``delay`` int64[e]; ``head`` and
    ``tail`` int64[n]: the least ticks before the start of a task, and after its finish.
    """

    ticks: Ticks
    lasting: Ints
    demand: Floats
    capacity: Floats
    source: Ints
    target: Ints
    delay: Ints
    head: Ints
    tail: Ints

    @property
    def shortest(self) -> Ints:
        """int64[n]: ticks of each task where it is fastest."""
        return _shortest(self.lasting)

    @property
    def bound(self) -> int:
        """No plan ends before this tick, by the windows alone."""
        return int((self.head + self.shortest + self.tail).max())

    def slack(self, makespan: int) -> int:
        """The number of ticks at which tasks may start, over all pairs of a task and a group that can run it."""
        room = makespan - (self.head + self.tail)[:, None] - self.lasting + 1
        return int(np.where(self.lasting >= 0, np.maximum(room, 0), 0).sum())


def in_ticks(problem: Problem, ticks: Ticks) -> Whole:
    """The relaxation of ``problem``. A plan of S seconds has one of ``ticks.down(S)`` ticks here.

    Start every task at its start rounded down, for its time rounded down: it ends, and its successors wait, no longer
    than before, and whatever runs during a tick ran together just before the end of that tick.
    """
    lasting = np.where(np.isfinite(problem.matrix), ticks.down(np.nan_to_num(problem.matrix, posinf=0.0)), -1)
    demand, capacity = _resources(problem)
    parents = without_implied(problem)
    target = np.repeat(np.arange(problem.n), np.diff(parents.offset))
    source, delay = parents.task.astype(np.int64), ticks.down(parents.delay)
    shortest = _shortest(lasting)
    between = _distances(problem.topological, parents, delay, shortest)
    area = _areas(problem, lasting, demand, capacity)
    release = ticks.down(np.maximum(problem.release, 0.0))
    head = _heads(problem.topological, between, shortest, area, release)
    tail = _heads(problem.topological[::-1], between.T, shortest, area, np.zeros_like(release))
    return Whole(ticks, lasting, demand, capacity, source, target, delay, head, tail)


def _shortest(lasting: Ints) -> Ints:
    """int64[n]: the least of each row that is not negative."""
    least: Ints = np.where(lasting >= 0, lasting, np.iinfo(np.int64).max).min(axis=1)
    return least


def _resources(problem: Problem) -> tuple[Floats, Floats]:
    """Demand float64[n, K] and capacity float64[G, K] of whole groups: slots where that is exact, else every resource."""
    if problem.slots is not None:
        return np.ones((problem.n, 1)), (problem.slots.per_group * problem.size)[:, None].astype(np.float64)
    demand, capacity = problem.demand, problem.capacity
    if problem.uses_gpu.any():
        demand = np.column_stack([demand, problem.gpus])
        capacity = np.column_stack([capacity, problem.devices.astype(np.float64)])
    unit = demand.max(axis=0)  # bytes and cpus in one programme need numbers of one size
    unit[unit == 0] = 1.0
    return demand / unit, capacity / unit * problem.size[:, None]


def _areas(problem: Problem, lasting: Ints, demand: Floats, capacity: Floats) -> Floats:
    """float64[n, K]: ticks for which each task, at least, takes all that all workers offer of a resource."""
    rate = problem.speed if problem.related else np.ones(problem.groups)
    effort = np.where(lasting >= 0, lasting * rate, np.inf).min(axis=1)
    offer = (capacity * rate[:, None]).sum(axis=0)
    area: Floats = np.divide(effort[:, None] * demand, offer, out=np.zeros_like(demand), where=offer > 0)
    return area


def _distances(order: Ints, parents: Links, delay: Ints, shortest: Ints) -> Ints:
    """int64[n, n]: the least ticks between the finish of a row and the start of a column; -1 where neither waits."""
    between = np.full((len(order), len(order)), -1, np.int64)
    for i in order.tolist():
        for k in range(int(parents.offset[i]), int(parents.offset[i + 1])):
            p, wait = int(parents.task[k]), int(delay[k])
            through = np.where(between[:, p] >= 0, between[:, p] + shortest[p] + wait, -1)
            through[p] = wait
            np.maximum(between[:, i], through, out=between[:, i])
    return between


def _heads(order: Ints, between: Ints, shortest: Ints, area: Floats, release: Ints) -> Ints:
    """int64[n]: the least ticks before each start.

    Of the tasks before task i take those that start no earlier than h and end at least d before i starts: all their
    work lies between h and d before i. The best pair (h, d) counts, and so does the longest path.
    """
    head = release.copy()
    for i in order.tolist():
        before = np.flatnonzero(between[:, i] >= 0)
        if not len(before):
            continue
        before = before[np.argsort(-head[before], kind="stable")]
        distance = between[before, i]
        head[i] = max(head[i], int((head[before] + shortest[before] + distance).max()))
        levels = np.unique(distance)
        if len(levels) > _MOST_DISTANCES:
            levels = levels[np.linspace(0, len(levels) - 1, _MOST_DISTANCES).astype(np.int64)]
        for level in levels.tolist():
            inside = before[distance >= level]
            work = np.cumsum(area[inside], axis=0).max(axis=1, initial=0.0)
            lasting = np.ceil(work * (1 - _ROUND) - _ROUND).astype(np.int64)
            head[i] = max(head[i], int((head[inside] + lasting).max()) + level)
    return head
