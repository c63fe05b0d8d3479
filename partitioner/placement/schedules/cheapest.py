"""A start for objectives about work or money: every task where it costs least, whatever that does to the makespan."""

from __future__ import annotations

import numpy as np

from partitioner.placement.objectives import Objective
from partitioner.placement.problem import Problem
from partitioner.placement.schedule import Schedule
from partitioner.placement.schedules.worker_queues import run_assigned

_WORK = ("total_time", "money", "money_until_last")


def cheapest(problem: Problem, objective: Objective) -> Schedule | None:
    """Each task on its cheapest worker by price x seconds, or by seconds; None where the objective has no such part.

    Ties go to the worker with the least work so far. O(n m).
    """
    parts = [name for name, weight in objective.weights if weight > 0 and name in _WORK]
    if not parts or problem.n * problem.m > 20_000_000:
        return None
    pays = any(name.startswith("money") for name in parts)
    price = problem.workers.price_per_hour if pays else np.ones(problem.m)
    load = np.zeros(problem.m)
    worker = np.empty(problem.n, np.int64)
    order = problem.topological if problem.has_edges else np.argsort(-problem.fastest, kind="stable")
    for i in order.tolist():
        times = problem.times_of(i)[problem.group_of]
        able = np.isfinite(times)
        cost = np.where(able, np.where(able, times, 0.0) * price, np.inf)
        ties = np.flatnonzero(cost <= cost.min() * (1 + 1e-12))
        worker[i] = ties[int(np.argmin(load[ties] + times[ties]))]
        load[worker[i]] += times[worker[i]]
    return run_assigned(problem, worker, order)
