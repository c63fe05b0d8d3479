"""Quick plans to start a search from: several list rules, the best by the objective first."""

from __future__ import annotations

import time

import numpy as np

from partitioner.placement.base import Schedule
from partitioner.placement.insertion import Insertion
from partitioner.placement.objectives import Objective, ranking
from partitioner.placement.partial import precedence_order
from partitioner.placement.problem import Problem
from partitioner.placement.ranks import optimistic_cost, upward_rank
from partitioner.placement.ready_list import batch_schedule, longest_first, most_regret

_PAIRS_FOR_BATCH = 200_000


def start_plans(problem: Problem, objective: Objective, deadline: float) -> list[Schedule]:
    """Plans of the quick rules, best first; at least one, more while there is time until ``deadline``."""
    ranks = [-upward_rank(problem)]
    if np.isfinite(problem.deadline).any():
        ranks.append(problem.deadline)
    ranks += [-optimistic_cost(problem).mean(axis=1), problem.fastest]
    plans = []
    for rank in ranks:
        built = Insertion(problem)
        built.put_all(precedence_order(problem, rank).tolist())
        plans.append(built.schedule())
        if time.monotonic() > deadline:
            break
    if problem.n * problem.m <= _PAIRS_FOR_BATCH:
        for rule in (longest_first, most_regret):
            if time.monotonic() <= deadline:
                plans.append(batch_schedule(problem, rule, deadline))
    plans.sort(key=lambda plan: ranking(problem, plan, objective))
    return plans
