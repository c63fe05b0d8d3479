"""Shortest job first: minimises the sum of completion times on identical workers."""

from __future__ import annotations

from partitioner.placement.base import EVERYTHING, Algorithm
from partitioner.placement.objectives import Objective
from partitioner.placement.problem import Problem
from partitioner.placement.schedule import Schedule
from partitioner.placement.schedules.list_rules import list_schedule


class Sjf(Algorithm):
    """Shortest first, earliest finish."""

    name = "sjf"
    suits = frozenset({"total_completion"})
    supports = EVERYTHING
    guarantee = "optimal total_completion on identical workers; 2 - 1/m for the makespan there"
    complexity = "O(n log n + n (G + log S)) for S slots in G groups of equal workers"
    source = "R. W. Conway, W. L. Maxwell, L. W. Miller, Theory of Scheduling (1967)"

    def solve(self, problem: Problem, objective: Objective, seed: int, deadline: float) -> Schedule:
        """See ``Algorithm.solve``."""
        return list_schedule(problem, problem.fastest)
