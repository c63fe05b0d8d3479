"""Longest processing time first (Graham 1969): the longest task to where it finishes first."""

from __future__ import annotations

from partitioner.placement.base import EVERYTHING, Algorithm
from partitioner.placement.objectives import Objective
from partitioner.placement.problem import Problem
from partitioner.placement.schedule import Schedule
from partitioner.placement.schedules.list_rules import list_schedule


class Lpt(Algorithm):
    """Longest first, earliest finish. With dependencies, longest first among the ready ones."""

    name = "lpt"
    turn = 0
    supports = EVERYTHING
    guarantee = "4/3 - 1/(3m) on identical workers"
    complexity = "O(n log n + n (G + log S)) for S slots in G groups of equal workers"
    source = "R. L. Graham, Bounds on multiprocessing timing anomalies, SIAM J. Appl. Math. 17 (1969)"

    def solve(self, problem: Problem, objective: Objective, seed: int, deadline: float) -> Schedule:
        """See ``Algorithm.solve``."""
        return list_schedule(problem, -problem.fastest)
