"""Local search for every constraint: take tasks out of a schedule and put them back where the objective likes them best."""

from __future__ import annotations

import numpy as np

from partitioner.model.data import Floats, Ints
from partitioner.placement import clock
from partitioner.placement.bounds.proof import proven
from partitioner.placement.objectives import Objective, ranking
from partitioner.placement.problem import Problem
from partitioner.placement.schedule import Schedule
from partitioner.placement.schedules.partial import Partial, precedence_order

_MOST_TASKS = 3_000
_MOST_IDLE = 300


def reinsert(problem: Problem, start: Schedule, objective: Objective, seed: int, deadline: float) -> Schedule:
    """Rebuild schedules from perturbed priorities and worker wishes, keep the best; never worse than ``start``.

    A rebuild puts tasks in by an order that is the starts of the best schedule with a few tasks moved forward, each on
    its old worker or, for the moved ones, where it finishes first. O(n m) timelines per rebuild.
    """
    best, cost = start, ranking(problem, start, objective)
    if problem.n > _MOST_TASKS:
        return best
    goal = proven(problem, start).seconds * (1 + 1e-12)
    random = np.random.default_rng(seed)
    idle = 0
    while idle < _MOST_IDLE and clock.now() < deadline:
        if objective.is_makespan and best.makespan <= goal:
            break
        candidate = _rebuild(problem, best, objective, random, deadline)
        if candidate is None:
            break
        value = ranking(problem, candidate, objective)
        idle = 0 if value < cost else idle + 1
        if value <= cost:
            best, cost = candidate, value
    return best


def _rebuild(
    problem: Problem, best: Schedule, objective: Objective, random: np.random.Generator, deadline: float
) -> Schedule | None:
    """One neighbour; None where the time ran out on the way."""
    moved = _chosen(problem, best, random)
    key: Floats = best.start.copy()
    key[moved] = random.uniform(0, 1, len(moved)) * best.start[moved]
    free = np.zeros(problem.n, np.bool_)
    free[moved] = True
    partial = Partial(problem)
    for count, i in enumerate(precedence_order(problem, key).tolist()):
        clock.spend(12 + 10 * problem.m * bool(free[i]))
        if count % 32 == 0 and clock.now() > deadline:
            return None
        if free[i]:
            j, start, _ = _wish(partial, i, objective, random)
        else:
            j = int(best.worker[i])
            start = partial.earliest(i, j)[0]
        partial.place(i, j, start)
    return partial.schedule()


def _wish(partial: Partial, i: int, objective: Objective, random: np.random.Generator) -> tuple[int, float, float]:
    """Where a moved task goes: where it finishes first, or with objectives about work or money where it is cheapest."""
    if objective.is_makespan or random.uniform() < 0.5:
        return partial.best(i)
    workers = list(partial.eligible(i))
    times = partial.problem.times_of(i)[partial.problem.group_of[workers]]
    price = partial.problem.workers.price_per_hour[workers]
    pays = any(name.startswith("money") for name, weight in objective.weights if weight > 0)
    j = workers[int(np.argmin(times * price if pays else times))]
    return j, *partial.earliest(i, j)


def _chosen(problem: Problem, best: Schedule, random: np.random.Generator) -> Ints:
    """A few tasks: mostly those that end late, some at random."""
    count = int(random.integers(1, max(2, min(8, problem.n // 4 + 2))))
    weight = best.finish + best.makespan * 0.05 + 1e-12
    picked: Ints = random.choice(problem.n, size=min(count, problem.n), replace=False, p=weight / weight.sum())
    return picked
