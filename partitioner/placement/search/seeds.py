"""Quick plans to start a search from: several list rules, the best by the objective first."""

from __future__ import annotations

import numpy as np

from partitioner.placement import clock
from partitioner.placement.base import above
from partitioner.placement.objectives import Objective, ranking
from partitioner.placement.problem import Problem
from partitioner.placement.schedule import Schedule
from partitioner.placement.schedules.insertion import Insertion
from partitioner.placement.schedules.partial import precedence_order
from partitioner.placement.schedules.ranks import by_rank, optimistic_cost, upward_rank
from partitioner.placement.schedules.ready_list import batch_schedule, longest_first, most_regret

_PAIRS_FOR_BATCH = 200_000
_MOST_TASKS = 20_000
_MOST_PAIRS = 5_000_000


def too_large(problem: Problem) -> list[str]:
    """A refusal where a search that holds every pair of task and slot in plain lists would outgrow memory or patience."""
    slots = problem.m if problem.slots is None else len(problem.slots)
    return above(problem.n, "tasks", _MOST_TASKS) + above(problem.n * slots, "pairs of task and slot", _MOST_PAIRS)


def start_plans(problem: Problem, objective: Objective, deadline: float) -> list[Schedule]:
    """Plans of the quick rules, best first; at least one, more while there is time until ``deadline``."""
    orders = [by_rank(problem, upward_rank(problem))]  # the first plan is that of HEFT
    keys = [problem.deadline] if np.isfinite(problem.deadline).any() else []
    keys += [-optimistic_cost(problem).mean(axis=1), problem.fastest]
    orders += [precedence_order(problem, key).tolist() for key in keys]
    plans = []
    for order in orders:
        built = Insertion(problem)
        built.put_all(order)
        clock.spend(problem.n * (20 + 8 * problem.m))
        plans.append(built.schedule())
        if clock.now() > deadline:
            break
    if problem.n * problem.m <= _PAIRS_FOR_BATCH:
        for rule in (longest_first, most_regret):
            if clock.now() <= deadline:
                plans.append(batch_schedule(problem, rule, deadline))
    plans.sort(key=lambda plan: ranking(problem, plan, objective))
    return plans
