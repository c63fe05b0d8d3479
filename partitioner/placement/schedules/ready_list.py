"""Batch-mode list scheduling: of all ready tasks, the one that a rule picks goes where it finishes first.

The rules of Maheswaran et al. 1999, https://doi.org/10.1006/jpdc.1999.1581, extended to dependency graphs, holes and
capacities. Only the worker that received a task changes, so one column of earliest finishes is computed per step.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from partitioner.model.data import Floats
from partitioner.placement import clock
from partitioner.placement.base import above
from partitioner.placement.problem import Problem
from partitioner.placement.schedule import Schedule
from partitioner.placement.schedules.insertion import Insertion

PAIR_LIMIT = 20_000_000
Rule = Callable[[Floats], int]
"""From float64[r, m] earliest finishes of the r ready tasks to the row of the one to place next."""


def fewest_first(finishes: Floats) -> int:
    """Min-min: the task whose best finish is the earliest."""
    return int(np.argmin(finishes.min(axis=1)))


def longest_first(finishes: Floats) -> int:
    """Max-min: the task whose best finish is the latest."""
    return int(np.argmax(finishes.min(axis=1)))


def most_regret(finishes: Floats) -> int:
    """Sufferage: the task that loses most on its second-best worker; one that has no other comes first."""
    if finishes.shape[1] == 1:
        return 0
    two = np.partition(finishes, 1, axis=1)[:, :2]
    return int(np.argmax(two[:, 1] - two[:, 0]))


def too_many_pairs(problem: Problem) -> list[str]:
    """A refusal where tasks times workers would not fit in memory."""
    return above(problem.n * problem.m, "pairs of task and worker", PAIR_LIMIT)


def batch_schedule(problem: Problem, rule: Rule, deadline: float) -> Schedule:
    """Place ready tasks by ``rule``; past the deadline the rest go in topological order where they finish first."""
    built = Insertion(problem)
    children = [problem.children.of(i).tolist() for i in range(problem.n)]
    missing: list[int] = np.diff(problem.parents.offset).tolist()
    waiting = [i for i in range(problem.n) if not missing[i]]
    ready = {i: built.ready_times(i) for i in waiting}
    table = np.array([built.finishes(i, ready[i]) for i in waiting]).reshape(len(waiting), problem.m)
    while waiting and clock.now() <= deadline:
        row = rule(table)
        clock.spend(30 + 8 * len(waiting))
        i, j = waiting.pop(row), built.first_of(table[row].tolist())
        table = np.delete(table, row, axis=0)
        built.put(i, j, ready.pop(i)[j])
        if waiting:
            table[:, j] = [built.finish_on(k, j, ready[k][j]) for k in waiting]
        fresh = []
        for child in children[i]:
            missing[child] -= 1
            if not missing[child]:
                fresh.append(child)
        for k in fresh:
            ready[k] = built.ready_times(k)
        clock.spend(10 * problem.m * len(fresh))
        if fresh:
            table = np.vstack([table, [built.finishes(k, ready[k]) for k in fresh]])
            waiting += fresh
    built.put_all(problem.topological.tolist())
    return built.schedule()
