"""List scheduling by a key, by the fastest code that is exact for the problem at hand."""

from __future__ import annotations

import numpy.typing as npt

from partitioner.model.data import Ints
from partitioner.placement.problem import Problem
from partitioner.placement.schedule import Schedule
from partitioner.placement.schedules.partial import Choose, Partial, build, earliest_finish, precedence_order
from partitioner.placement.schedules.sequence import run_in_order
from partitioner.placement.schedules.slot_lists import assign
from partitioner.placement.schedules.spread import all_at_once
from partitioner.placement.schedules.start_events import run_events
from partitioner.placement.schedules.waiting_pool import LARGE, run_pool

_LARGE_GPU = 20_000
_EVENTS = 300_000


def list_schedule(problem: Problem, key: npt.ArrayLike) -> Schedule:
    """Tasks by ``key`` (float[n], least first), each to where it finishes first.

    On large problems with shared workers a worker takes the first task that fits the moment it has room.
    """
    order = precedence_order(problem, key)
    if problem.slots is not None and not problem.has_edges:
        return run_in_order(problem, assign(problem, order), order)
    spread = all_at_once(problem)
    if spread is not None:
        return spread
    return _large(problem, order) if is_large(problem) else build(problem, order, earliest_finish)


def least_load(partial: Partial, i: int) -> tuple[int, float, float]:
    """The eligible worker with the fewest assigned seconds, ties to the first."""
    j = min(partial.eligible(i), key=lambda w: partial.load[w])
    return j, *partial.earliest(i, j)


def by_load(problem: Problem, key: npt.ArrayLike, choose: Choose = least_load) -> Schedule:
    """Tasks by ``key``, each to the eligible worker with the least load."""
    order = precedence_order(problem, key)
    if problem.slots is not None and not problem.has_edges:
        return run_in_order(problem, assign(problem, order, by_load=True), order)
    spread = all_at_once(problem)
    if spread is not None:
        return spread
    return _large(problem, order) if is_large(problem) else build(problem, order, choose)


def is_large(problem: Problem) -> bool:
    """Whether looking at every worker for every task would take too long, and need not be."""
    return problem.n * problem.m > (_LARGE_GPU if problem.uses_gpu.any() else LARGE) and not problem.has_edges


def _large(problem: Problem, order: Ints) -> Schedule:
    return (
        run_events(problem, order)
        if problem.uses_gpu.any() or problem.n * problem.m <= _EVENTS
        else run_pool(problem, order)
    )
