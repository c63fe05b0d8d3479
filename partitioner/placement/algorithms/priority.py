"""Highest priority first, then longest; waiting raises a task's priority, so that nothing starves."""

from __future__ import annotations

import numpy as np

from partitioner.placement.base import EVERYTHING, Algorithm
from partitioner.placement.objectives import Objective
from partitioner.placement.problem import Problem
from partitioner.placement.schedule import Schedule
from partitioner.placement.schedules.list_rules import list_schedule


class Priority(Algorithm):
    """One level of priority per ``seconds_per_level`` of waiting.

    At any moment t the effective priority is priority + (t - release) / seconds_per_level; t is the same for every task
    that is compared, so the order is that of priority - release / seconds_per_level.
    """

    name = "priority"
    supports = EVERYTHING
    guarantee = "a task of priority p waits at most seconds_per_level x (q - p) behind later arrivals of priority q"
    complexity = "O(n log n + n (G + log S)) for S slots in G groups of equal workers"
    source = "ageing as in multilevel feedback queues, F. J. Corbato et al. (1962)"

    def __init__(self, seconds_per_level: float = 600.0) -> None:
        self.seconds_per_level = seconds_per_level

    def share(self, problem: Problem) -> float:
        """Nothing where all priorities are equal: it is lpt then."""
        return 1.0 if float(np.ptp(problem.priority)) > 0 else 0.0

    def solve(self, problem: Problem, objective: Objective, seed: int, deadline: float) -> Schedule:
        """See ``Algorithm.solve``."""
        aged = problem.priority - problem.release / self.seconds_per_level
        rank = np.empty(problem.n)
        rank[np.lexsort((np.arange(problem.n), -problem.fastest, -aged))] = np.arange(problem.n)
        return list_schedule(problem, rank)
