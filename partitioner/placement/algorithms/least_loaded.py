"""Least loaded (list scheduling, Graham 1966): in arrival order to the eligible worker with the least load."""

from __future__ import annotations

import numpy as np

from partitioner.placement.base import EVERYTHING, Algorithm
from partitioner.placement.objectives import Objective
from partitioner.placement.problem import Problem
from partitioner.placement.schedule import Schedule
from partitioner.placement.schedules.list_rules import by_load


class LeastLoaded(Algorithm):
    """Arrival order, least load first; what a queue with monitoring does."""

    name = "least_loaded"
    role = "none"
    supports = EVERYTHING
    guarantee = "2 - 1/m on identical workers"
    complexity = "O(n (G + log S)) for S slots in G groups of equal workers"
    source = "R. L. Graham, Bounds for certain multiprocessing anomalies, Bell System Tech. J. 45 (1966)"

    def solve(self, problem: Problem, objective: Objective, seed: int, deadline: float) -> Schedule:
        """See ``Algorithm.solve``."""
        return by_load(problem, np.arange(problem.n))
