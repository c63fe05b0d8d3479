"""Critical path on one worker."""

from __future__ import annotations

import numpy as np

from partitioner.model.data import Floats
from partitioner.placement.base import EVERYTHING, Algorithm
from partitioner.placement.objectives import Objective
from partitioner.placement.problem import Problem
from partitioner.placement.schedule import Schedule
from partitioner.placement.schedules.insertion import Insertion
from partitioner.placement.schedules.ranks import ReadyQueue, downward_rank, upward_rank

_RELATIVE = 1e-9


class Cpop(Algorithm):
    """The tasks of the critical path on the worker that runs them fastest together, the others where they finish first."""

    name = "cpop"
    quadratic = True
    supports = EVERYTHING
    guarantee = "none; strong where one chain dominates"
    complexity = "O((n + e) m) without holes: n tasks, e edges, m workers"
    source = "Topcuoglu, Hariri and Wu 2002, https://doi.org/10.1109/71.993206"

    def solve(self, problem: Problem, objective: Objective, seed: int, deadline: float) -> Schedule:
        """The CPOP schedule; it does not depend on the objective, the seed or the deadline."""
        up, down = upward_rank(problem), downward_rank(problem)
        path = _critical_path(problem, up, down)
        chosen = _worker_of(problem, path)
        on_path = set(path)
        built = Insertion(problem)
        for i in ReadyQueue(problem, up + down):
            if i in on_path and built.seconds(i, chosen) < np.inf:
                built.put(i, chosen, built.ready_times(i)[chosen])
            else:
                built.put_earliest(i)
        return built.schedule()


def _critical_path(problem: Problem, up: Floats, down: Floats) -> list[int]:
    """One longest path: from an entry task along successors of equal up + down rank."""
    total = up + down
    longest = float(total.max())
    at = int(np.argmax(np.where(np.diff(problem.parents.offset) == 0, total, -np.inf)))
    path = [at]
    while True:
        following = problem.children.of(at)
        following = following[total[following] >= longest * (1 - _RELATIVE)]
        if not len(following):
            return path
        at = int(following[0])
        path.append(at)


def _worker_of(problem: Problem, path: list[int]) -> int:
    """The worker that can run most of the path, and of those the one that runs it in the least time."""
    times = problem.matrix[path]
    able = np.isfinite(times)
    total = np.where(able, times, 0.0).sum(axis=0)
    best = np.lexsort((total, -able.sum(axis=0)))[0]
    return int(problem.first[best])
