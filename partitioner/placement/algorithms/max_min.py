"""Max-min: long tasks first, each on its best worker."""

from __future__ import annotations

from partitioner.placement.base import EVERYTHING, Algorithm
from partitioner.placement.objectives import Objective
from partitioner.placement.problem import Problem
from partitioner.placement.schedule import Schedule
from partitioner.placement.schedules.ready_list import batch_schedule, longest_first, too_many_pairs


class MaxMin(Algorithm):
    """Repeatedly the ready task whose earliest possible finish is the latest, where it has it."""

    name = "max_min"
    counts = True
    quadratic = True
    supports = EVERYTHING
    guarantee = "none; good where a few tasks are long"
    complexity = "O(n r m): n tasks, at most r ready at once, m workers"
    source = "Maheswaran et al. 1999, https://doi.org/10.1006/jpdc.1999.1581"

    def refusals(self, problem: Problem) -> list[str]:
        """As declared, and by the number of pairs of task and worker."""
        return super().refusals(problem) + too_many_pairs(problem)

    def solve(self, problem: Problem, objective: Objective, seed: int, deadline: float) -> Schedule:
        """The schedule of this rule; past the deadline the rest is placed in topological order."""
        return batch_schedule(problem, longest_first, deadline)
