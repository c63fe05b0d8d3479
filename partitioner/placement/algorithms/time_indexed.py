"""A strong lower bound for task graphs: the time-indexed linear relaxation, solved for one makespan after another."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from partitioner.placement import clock
from partitioner.placement.algorithms.graph_search import GraphSearch
from partitioner.placement.base import EVERYTHING, Algorithm, above
from partitioner.placement.bounds.proof import Bound, proven
from partitioner.placement.bounds.time_indexed_model import TimeIndexedModel
from partitioner.placement.bounds.windows import Whole, in_ticks
from partitioner.placement.exact.ticks import Ticks, ticks_of
from partitioner.placement.objectives import Objective
from partitioner.placement.problem import Problem
from partitioner.placement.schedule import Schedule
from partitioner.placement.search.seeds import start_plans

_MOST_PAIRS = 20_000
_SHARE_FOR_SEARCH, _MOST_FOR_SEARCH = 0.1, 5.0
_FOR_AUTO = 4_000
_WINDOW_SECONDS = 1e-6
_LEAST_EXCESS = 1e-6
_FINEST = 100_000.0
_COLUMNS, _SECONDS = 7_000, 2.0
_PROBES = 3
_MOST_COLUMNS = 60_000
_MOST_LOST = 0.1


class TimeIndexed(Algorithm):
    """Search for the least makespan that the relaxation allows, in ticks in which all times are whole where that is few.

    The relaxation knows the dependencies, their delays, releases and the capacity of each group of equal workers at
    every tick; of transfers it knows nothing. Where the time is short for its size the ticks are coarser.
    """

    name = "time_indexed"
    counts = True
    proves = True
    role = "exact"
    supports = EVERYTHING
    guarantee = "a proven bound; the plan is that of a short search, never worse than HEFT"
    complexity = "some linear programmes of up to n G T variables: G kinds of workers, T ticks"
    source = "Christofides, Alvarez-Valdes and Tamarit 1987, https://doi.org/10.1016/0377-2217(87)90240-2"
    anytime = True
    default_seconds = 10.0

    def refusals(self, problem: Problem) -> list[str]:
        """As declared, and by size."""
        pairs = problem.n * problem.groups
        return super().refusals(problem) + above(pairs, "pairs of tasks and worker kinds", _MOST_PAIRS)

    def share(self, problem: Problem) -> float:
        """Only for task graphs, where the other bounds see either paths or work, and small ones."""
        if not problem.has_edges or problem.n * problem.groups > _FOR_AUTO:
            return 0.0
        return 1.0 if problem.slots is None else 5.0

    def solve(self, problem: Problem, objective: Objective, seed: int, deadline: float) -> Schedule:
        """A short search, as the nearer the known makespan the fewer programmes; then the bound."""
        now = clock.now()
        until = now + min(_SHARE_FOR_SEARCH * (deadline - now), _MOST_FOR_SEARCH)
        known = start_plans(problem, objective, until)[0]
        known = GraphSearch().improve(problem, known, objective, seed, until)
        return self.improve(problem, known, objective, seed, deadline)

    def improve(self, problem: Problem, known: Schedule, objective: Objective, seed: int, deadline: float) -> Schedule:
        """The known plan, with a bound on the makespan where that is the objective."""
        if not objective.is_makespan:
            return known
        bound, which = makespan_bound(problem, known, deadline)
        return replace(known, bound=bound, bound_by=which)


def makespan_bound(problem: Problem, plan: Schedule, deadline: float) -> Bound:
    """Seconds that no plan goes below, and by what; at least what ``plan`` brings along."""
    known, found = plan.makespan, proven(problem, plan)
    left = deadline - clock.now()
    if left <= _WINDOW_SECONDS * problem.n**2:
        return found
    whole = _in_fitting_ticks(problem, known, found.seconds, left)
    low, high = _range(whole, found.seconds, known)
    found = found.or_higher(min(known, whole.ticks.seconds(low)), "work before and after each task")
    cost = _SECONDS
    tried: list[tuple[float, int]] = []
    while low < high:
        begun = clock.now()
        makespan = _affordable_probe(whole, low, _probe(low, high, tried), _affordable(deadline - begun, cost))
        if makespan is None:
            break
        model = TimeIndexedModel(whole, makespan)
        excess = model.excess(deadline)
        if excess is None:
            break
        cost = (clock.now() - begun) * (_COLUMNS / model.columns) ** 2
        tried.append((excess, makespan))
        if excess > _LEAST_EXCESS:
            low = makespan + 1
            found = found.or_higher(min(known, whole.ticks.seconds(low)), "time-indexed relaxation")
        else:
            high = makespan
    return found


def _range(whole: Whole, proven: float, known: float) -> tuple[int, int]:
    """Ticks: no plan ends before the first, one ends at the second."""
    low = whole.ticks.up(proven) if whole.ticks.exact else int(whole.ticks.down(np.asarray(proven)))
    return max(whole.bound, low), int(whole.ticks.down(np.asarray(known)))


def _affordable(seconds: float, cost: float) -> float:
    """How many columns a model may have, if one of 7,000 takes ``cost`` seconds and the time grows with the square."""
    return min(_MOST_COLUMNS, _COLUMNS * math.sqrt(max(0.0, seconds) / cost))


def _probe(low: int, high: int, tried: list[tuple[float, int]]) -> int:
    """The next makespan to try, ``low`` or above and below ``high``.

    First a third of the way up, where models are smaller and refuted ones raise the bound; then where the line through
    the two ``tried`` (excess, makespan) nearest to no excess meets it.
    """
    makespan = low + max(0, high - low - 1) // 3
    if len(tried) > 1:
        (e, a), (f, b) = sorted(tried, key=lambda point: abs(point[0]))[:2]
        makespan = math.floor(a + e * (b - a) / (e - f)) if e != f else makespan
    return max(low, min(makespan, high - 1))


def _affordable_probe(whole: Whole, low: int, makespan: int, most: float) -> int | None:
    """``makespan``, or one nearer to ``low`` with no more than ``most`` columns; None where even the lowest has more."""
    while makespan > low and whole.slack(makespan) > most:
        makespan = (low + makespan) // 2
    return makespan if whole.slack(makespan) <= most else None


def _in_fitting_ticks(problem: Problem, known: float, proof: float, left: float) -> Whole:
    """The problem in exact ticks where a model is solved in the seconds ``left``, else in as many ticks as allow some.

    Where rounding down to so few ticks would cost more than the relaxation gains, the exact ones again: their windows
    alone are a bound.
    """
    exact = ticks_of([problem.matrix, problem.parents.delay, problem.release], known, _FINEST)
    whole = in_ticks(problem, exact)
    low, high = _range(whole, proof, known)
    first = _probe(low, high, [])
    fits = exact.exact and _affordable_probe(whole, low, first, _affordable(left, _SECONDS)) is not None
    if fits or low >= high:
        return whole
    slack = max(1, whole.slack(first))
    ticks = Ticks(exact.per_second * min(1.0, _affordable(left / _PROBES, _SECONDS) / slack), False)
    least = (1 - _MOST_LOST) * ticks.per_second * problem.fastest.sum()
    return in_ticks(problem, ticks) if ticks.down(problem.fastest).sum() >= least else whole
