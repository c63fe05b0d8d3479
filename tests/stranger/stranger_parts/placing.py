"""A placement algorithm."""

import numpy as np

from partitioner.placement.base import Algorithm, Supports
from partitioner.placement.objectives import Objective
from partitioner.placement.problem import Problem
from partitioner.placement.schedule import Schedule
from partitioner.placement.schedules.worker_queues import run_assigned


class LastFirst(Algorithm):
    """Workers in turn, the last one first; what it costs is not looked at."""

    name = "last_first"
    role = "none"
    supports = Supports(uniform=True)
    guarantee = "none"
    complexity = "O(n log n)"

    def __init__(self, skip: int = 0) -> None:
        self.skip = skip

    def solve(self, problem: Problem, objective: Objective, seed: int, deadline: float) -> Schedule:
        order = np.arange(problem.n)
        worker = problem.m - 1 - (order + self.skip) % problem.m
        return run_assigned(problem, worker, order)
