"""Sufferage: first the task that needs its best worker most."""

from __future__ import annotations

from partitioner.placement.base import EVERYTHING, Algorithm
from partitioner.placement.objectives import Objective
from partitioner.placement.problem import Problem
from partitioner.placement.schedule import Schedule
from partitioner.placement.schedules.ready_list import batch_schedule, most_regret, too_many_pairs


class Sufferage(Algorithm):
    """Repeatedly the ready task that would lose most on its second-best worker."""

    name = "sufferage"
    counts = True
    quadratic = True
    supports = EVERYTHING
    guarantee = "none; good where workers suit tasks differently"
    complexity = "O(n r m): n tasks, at most r ready at once, m workers"
    source = "Maheswaran et al. 1999, https://doi.org/10.1006/jpdc.1999.1581"

    def refusals(self, problem: Problem) -> list[str]:
        """As declared, and by the number of pairs of task and worker."""
        return super().refusals(problem) + too_many_pairs(problem)

    def solve(self, problem: Problem, objective: Objective, seed: int, deadline: float) -> Schedule:
        """The schedule of this rule; past the deadline the rest is placed in topological order."""
        return batch_schedule(problem, most_regret, deadline)
