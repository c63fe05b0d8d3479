"""Duplex: the better of min-min and max-min."""

from __future__ import annotations

from partitioner.placement.base import EVERYTHING, Algorithm
from partitioner.placement.objectives import Objective
from partitioner.placement.problem import Problem
from partitioner.placement.schedule import Schedule
from partitioner.placement.schedules.ready_list import batch_schedule, fewest_first, longest_first, too_many_pairs


class Duplex(Algorithm):
    """Runs min-min and max-min and keeps the plan of the lower objective (min-min of equals)."""

    name = "duplex"
    counts = True
    quadratic = True
    supports = EVERYTHING
    guarantee = "none; never worse than min-min or max-min"
    complexity = "O(n r m): n tasks, at most r ready at once, m workers"
    source = "Braun et al. 2001, https://doi.org/10.1006/jpdc.2000.1714"

    def refusals(self, problem: Problem) -> list[str]:
        """As declared, and by the number of pairs of task and worker."""
        return super().refusals(problem) + too_many_pairs(problem)

    def solve(self, problem: Problem, objective: Objective, seed: int, deadline: float) -> Schedule:
        """The better schedule by ``objective``."""
        both = [batch_schedule(problem, rule, deadline) for rule in (fewest_first, longest_first)]
        return min(both, key=lambda schedule: objective.cost(problem, schedule))
