"""MULTIFIT: bisect on the makespan, pack by first-fit decreasing."""

from __future__ import annotations

from bisect import bisect_left

import numpy as np

from partitioner.model.data import Floats, Ints
from partitioner.placement import clock
from partitioner.placement.base import Algorithm, Supports
from partitioner.placement.bounds.proof import proven
from partitioner.placement.objectives import Objective
from partitioner.placement.problem import Problem
from partitioner.placement.schedule import Schedule
from partitioner.placement.schedules.sequence import longest_first, run_in_order, slots_of
from partitioner.placement.schedules.slot_lists import assign

_ROUNDS = 20


class Multifit(Algorithm):
    """The least makespan for which first-fit decreasing packs everything, found by bisection; never worse than lpt.

    Slots of different speeds are filled from the slowest (Friesen and Langston 1983).
    """

    name = "multifit"
    counts = True
    supports = Supports(uniform=True, max_tasks=200_000)
    guarantee = "13/11 on identical workers, 1.4 on uniform ones"
    complexity = "O(n log n + r n log n) for r rounds of bisection; stops at the time limit"
    source = "E. G. Coffman, M. R. Garey, D. S. Johnson, SIAM J. Comput. 7 (1978); M. Yue (1990)"
    anytime = True

    def solve(self, problem: Problem, objective: Objective, seed: int, deadline: float) -> Schedule:
        """See ``Algorithm.solve``."""
        order = longest_first(problem)
        best = assign(problem, order)
        schedule = run_in_order(problem, best, order)
        speed = problem.speed[slots_of(problem).group]
        by_speed = np.argsort(speed, kind="stable")
        work = problem.tasks.seconds[order]
        low, high = proven(problem).seconds, schedule.makespan
        for _ in range(_ROUNDS):
            if high - low <= 1e-9 * high or clock.now() > deadline:
                break
            middle = (low + high) / 2
            clock.spend(problem.n)
            packed = first_fit(work, speed[by_speed] * middle, deadline)
            if packed is None:
                low = middle
                continue
            best = np.empty(problem.n, np.int64)
            best[order] = by_speed[packed]
            found = run_in_order(problem, best, order)
            if found.makespan < schedule.makespan:
                schedule = found
            high = min(middle, schedule.makespan)
        return schedule


def first_fit(work: Floats, sizes: Floats, deadline: float) -> Ints | None:
    """int64[n]: the bin of each item, items sorted from the largest, or None where they do not all fit.

    Bin by bin, each takes in turn the largest remaining item that fits, which is what first fit does item by item.
    """
    bins = np.empty(len(work), np.int64)
    minus = (-work).tolist()
    items = list(range(len(minus)))
    left = float(work.sum())
    space = float(sizes.sum())
    for b, size in enumerate(sizes.tolist()):
        if left > space * (1 + 1e-9) or clock.now() > deadline:
            return None
        room, at = size * (1 + 1e-12), 0
        while items:
            at = bisect_left(minus, -room, lo=at)
            if at == len(minus):
                break
            taken = minus.pop(at)
            room += taken
            left += taken
            bins[items.pop(at)] = b
        space -= size
    return None if items else bins
