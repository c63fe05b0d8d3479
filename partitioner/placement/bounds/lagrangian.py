"""A bound close to that of the linear relaxation, without a solver: prices on capacity, raised where it runs short."""

from __future__ import annotations

import numpy as np

from partitioner.model.data import Floats
from partitioner.placement.problem import Problem

_WORK = 30_000_000
_MOST_ROUNDS = 300


def priced_bound(problem: Problem) -> float:
    """A lower bound on the makespan, seconds; 0 where it would take too long.

    For prices y >= 0 with sum over groups and resources of y_gk capacity_gk = 1, every plan needs at least
    sum_i min_g time_ig sum_k y_gk demand_ik (the dual of the linear relaxation of assignment). Prices follow the
    multiplicative weights method: those of the fullest capacities rise. O(n G K) per round.
    """
    offers = _offers(problem)
    if offers is None:
        return 0.0
    demand, capacity = offers
    rounds = min(_MOST_ROUNDS, _WORK // max(1, problem.n * problem.groups * capacity.shape[1]))
    if rounds < 10:
        return 0.0
    times = problem.matrix
    share = np.where(capacity > 0, 1.0, 0.0)
    share /= share.sum()
    best = 0.0
    for round_number in range(rounds):
        price = np.divide(share, capacity, out=np.zeros_like(share), where=capacity > 0)
        cost = np.where(np.isfinite(times), times, 0.0) * (demand @ price.T)
        cost[~np.isfinite(times)] = np.inf
        chosen = cost.argmin(axis=1)
        best = max(best, float(cost[np.arange(problem.n), chosen].sum()))
        use = _use(times, demand, chosen, capacity)
        step = 1.0 / (1.0 + round_number / 15)
        share = share * np.exp(step * (use / max(float(use.max()), 1e-300) - 1.0))
        share /= share.sum()
    return best * (1 - 1e-12)


def _use(times: Floats, demand: Floats, chosen: np.ndarray, capacity: Floats) -> Floats:
    """float64[G, K]: seconds that the chosen groups would need for what was sent to them."""
    area = demand * times[np.arange(len(times)), chosen][:, None]
    total = np.zeros(capacity.shape)
    np.add.at(total, chosen, area)
    return np.divide(total, capacity, out=np.zeros_like(total), where=capacity > 0)


def _offers(problem: Problem) -> tuple[Floats, Floats] | None:
    """(demand float64[n, K], capacity of all workers of a group float64[G, K]); None where nothing is bounded."""
    if problem.dense is None:
        return None
    size = problem.size[:, None].astype(np.float64)
    if problem.slots is not None:
        return np.ones((problem.n, 1)), problem.slots.per_group[:, None] * size
    bounded = [k for k in range(len(problem.resources)) if np.all(np.isfinite(problem.capacity[:, k]))]
    demand, capacity = problem.demand[:, bounded], problem.capacity[:, bounded] * size
    if np.any(problem.gpus > 0):
        demand = np.column_stack([demand, problem.gpus])
        capacity = np.column_stack([capacity, problem.devices * problem.size])
    return (demand, capacity) if demand.shape[1] else None
