"""Heterogeneous earliest finish time with insertion."""

from __future__ import annotations

from partitioner.placement.base import EVERYTHING, Algorithm
from partitioner.placement.objectives import Objective
from partitioner.placement.problem import Problem
from partitioner.placement.schedule import Schedule
from partitioner.placement.schedules.insertion import Insertion
from partitioner.placement.schedules.ranks import by_rank, upward_rank


class Heft(Algorithm):
    """Tasks by upward rank, each into the earliest hole on the worker where it finishes first."""

    name = "heft"
    turn = 10
    quadratic = True
    supports = EVERYTHING
    guarantee = "none; the usual yardstick for task graphs"
    complexity = "O((n + e) m) without holes, O(n^2) more to search them: n tasks, e edges, m workers"
    source = "Topcuoglu, Hariri and Wu 2002, https://doi.org/10.1109/71.993206"

    def solve(self, problem: Problem, objective: Objective, seed: int, deadline: float) -> Schedule:
        """The HEFT schedule; it does not depend on the objective, the seed or the deadline."""
        built = Insertion(problem)
        built.put_all(by_rank(problem, upward_rank(problem)))
        return built.schedule()
