"""Ruin and recreate: take a part of a schedule out, put it back better. For independent tasks, any other constraint."""

from __future__ import annotations

import numpy as np

from partitioner.model.data import Floats, Ints
from partitioner.placement import clock
from partitioner.placement.bounds.proof import proven
from partitioner.placement.objectives import Objective, ranking
from partitioner.placement.problem import Problem
from partitioner.placement.schedule import Schedule
from partitioner.placement.schedules.partial import Partial
from partitioner.placement.schedules.timeline import Devices

_MOST_IDLE = 1_500
_MOST_WORKERS = 40
_MOST_REMOVED = 30
_SLACK = 0.005
Placing = tuple[int, int, float, Devices]


def ruin_and_recreate(problem: Problem, known: Schedule, objective: Objective, seed: int, deadline: float) -> Schedule:
    """The best schedule seen, never worse than ``known``.

    A round removes up to 30 tasks (what ends last, or everything around a moment, or at random) and puts each back where
    it finishes first, the largest first with some noise. Slightly longer schedules are accepted on the way (record to
    record travel; Schrimpf et al., J. Comput. Phys. 159 (2000)). O(k m) timeline look-ups per round.
    """
    search = _Ruin(problem, known, objective, seed)
    idle = 0
    while idle < _MOST_IDLE and clock.now() < deadline and not search.is_optimal():
        idle = 0 if search.round() else idle + 1
    return search.best


class _Ruin:
    """The schedule under change and the best one so far."""

    def __init__(self, problem: Problem, known: Schedule, objective: Objective, seed: int) -> None:
        self.problem, self.objective = problem, objective
        self.random = np.random.default_rng(seed)
        self.partial = Partial(problem)
        for i in np.argsort(known.start, kind="stable").tolist():
            self.partial.place(i, int(known.worker[i]), float(known.start[i]), known.devices.get(i, ()))
        self.goal = proven(problem, known).seconds * (1 + 1e-12)
        self.best = known
        self.cost = self.record = ranking(problem, known, objective)
        part = (problem.demand / np.maximum(problem.capacity.max(axis=0, initial=0.0), 1e-300)).max(axis=1, initial=0.0)
        self.size: Floats = problem.fastest * np.maximum(np.maximum(part, problem.gpus), 1e-6)

    def is_optimal(self) -> bool:
        """Whether the bound is met."""
        return self.objective.is_makespan and self.record[0] == 0 and self.best.makespan <= self.goal

    def round(self) -> bool:
        """One removal and repair; True where a new record was found."""
        removed = self._choose()
        clock.spend(200 + 0.3 * self.problem.n + len(removed) * (60 + 20 * min(_MOST_WORKERS, self.problem.m)))
        old: list[Placing] = [
            (i, self.partial.worker[i], self.partial.start[i], self.partial.devices.get(i, ()))
            for i in removed.tolist()
        ]
        for i in removed.tolist():
            self.partial.remove(i)
        noise = self.random.uniform(0.7, 1.4, len(removed)) if self.random.uniform() < 0.7 else np.ones(len(removed))
        for i in removed[np.argsort(-self.size[removed] * noise, kind="stable")].tolist():
            j, start, _ = self.partial.best(i, self._workers(i))
            self.partial.place(i, j, start)
        return self._judge(old)

    def _judge(self, old: list[Placing]) -> bool:
        """Keep the change where it is good enough, else put everything back."""
        slack = float(self.random.exponential(_SLACK))
        if self.objective.is_makespan and max(self.partial.finish) > self.record[1] * (1 + slack):
            self._restore(old)
            return False
        schedule = self.partial.schedule()
        cost = ranking(self.problem, schedule, self.objective)
        if cost < self.record:
            improved = cost[:2] < self.record[:2]
            self.best, self.record, self.cost = schedule, cost, cost
            return improved
        near = cost[0] <= self.record[0] and cost[1] <= self.record[1] * (1 + slack)
        if cost <= self.cost or near:
            self.cost = cost
        else:
            self._restore(old)
        return False

    def _restore(self, old: list[Placing]) -> None:
        for i, *_ in old:
            self.partial.remove(i)
        for i, j, start, devices in sorted(old, key=lambda placed: placed[2]):
            self.partial.place(i, j, start, devices)

    def _choose(self) -> Ints:
        """The tasks to remove: what ends last with others beside it, a window of time on some workers, or random ones."""
        n = self.problem.n
        finish = np.array(self.partial.finish)
        count = int(self.random.integers(2, max(3, min(_MOST_REMOVED, n // 2 + 1) + 1)))
        kind = self.random.uniform()
        if kind < 0.5:
            tail = np.argsort(-finish, kind="stable")[: max(1, count // 3)]
            return np.unique(np.concatenate([tail, self.random.integers(0, n, count - len(tail))]))
        if kind < 0.8:
            crews = self.random.permutation(self.problem.m)[: int(self.random.integers(1, 4))]
            crews = np.append(crews, self.partial.worker[int(finish.argmax())])
            mine = np.flatnonzero(np.isin(np.array(self.partial.worker), crews))
            last = mine[np.argsort(-finish[mine], kind="stable")]
            return last[:count] if self.random.uniform() < 0.5 else self.random.permutation(last)[:count]
        return np.unique(self.random.integers(0, n, count))

    def _workers(self, i: int) -> list[int]:
        """All eligible workers, or where there are many the least loaded and some others."""
        able = np.array(list(self.partial.eligible(i)))
        if len(able) <= _MOST_WORKERS:
            return [int(j) for j in able]
        load = np.array(self.partial.load)[able]
        half = _MOST_WORKERS // 2
        few = able[np.argpartition(load, half)[:half]]
        return [int(j) for j in np.unique(np.concatenate([few, self.random.choice(able, half)]))]
