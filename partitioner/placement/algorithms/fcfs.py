"""First come, first served: in arrival order to where it starts first."""

from __future__ import annotations

import numpy as np

from partitioner.placement.base import EVERYTHING, Algorithm
from partitioner.placement.objectives import Objective
from partitioner.placement.problem import Problem
from partitioner.placement.schedule import Schedule
from partitioner.placement.schedules.list_rules import by_load
from partitioner.placement.schedules.partial import Partial


class Fcfs(Algorithm):
    """Tasks by release, then by row; each on the eligible worker that can start it first."""

    name = "fcfs"
    role = "none"
    supports = EVERYTHING
    guarantee = "2 - 1/m on identical workers"
    complexity = "O(n (G + log S)) for S slots in G groups of equal workers"
    source = "R. L. Graham, Bounds for certain multiprocessing anomalies, Bell System Tech. J. 45 (1966)"

    def solve(self, problem: Problem, objective: Objective, seed: int, deadline: float) -> Schedule:
        """See ``Algorithm.solve``."""
        rank = np.empty(problem.n)
        rank[np.lexsort((np.arange(problem.n), problem.release))] = np.arange(problem.n)
        return by_load(problem, rank, first_start)


def first_start(partial: Partial, i: int) -> tuple[int, float, float]:
    """The worker where task i starts first, ties to the one that finishes it first, then to the first."""
    found = (-1, np.inf, np.inf)
    for j in partial.eligible(i):
        start, finish = partial.earliest(i, j)
        if (start, finish) < found[1:]:
            found = (j, start, finish)
    return found
