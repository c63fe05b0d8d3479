"""LPT and some milliseconds of search, which is where most of the gap goes."""

from __future__ import annotations

from partitioner.placement import clock
from partitioner.placement.algorithms.block_exchange import BlockExchange
from partitioner.placement.algorithms.local_search import LocalSearch
from partitioner.placement.algorithms.lpt import Lpt
from partitioner.placement.base import EVERYTHING, Algorithm
from partitioner.placement.bounds.proof import proven
from partitioner.placement.objectives import Objective, ranking
from partitioner.placement.problem import Problem
from partitioner.placement.schedule import Schedule

ENOUGH = 1e-3
"""A gap of 0.1 % is below what any cost model knows; no search begins from there on."""
TURNS = ((BlockExchange, 0.005), (LocalSearch, 0.01), (BlockExchange, 0.02), (LocalSearch, 0.04))
"""Who searches, in turn, for how many seconds (counted); ``benchmarks.search_pays`` prints what each gains."""
MOST_TASKS = 5_000
"""From so many tasks on lpt is within 0.1 % by itself unless tasks are few per slot, and a turn would be too short."""


class RefinedLpt(Algorithm):
    """Longest first; where that leaves more than 0.1 % above the bound, short turns of block exchange and local search."""

    name = "refined_lpt"
    counts = True
    role = "none"  # the portfolio gives its parts turns of their own
    supports = EVERYTHING
    guarantee = "never worse than lpt"
    complexity = "that of lpt, and at most 0.1 s of search on up to 5,000 tasks"
    source = "R. L. Graham, Bounds on multiprocessing timing anomalies, SIAM J. Appl. Math. 17 (1969), and its parts"
    anytime = True
    default_seconds = 0.1

    def solve(self, problem: Problem, objective: Objective, seed: int, deadline: float) -> Schedule:
        """See ``Algorithm.solve``."""
        best = Lpt().solve(problem, objective, seed, deadline)
        if not objective.is_makespan or problem.n > MOST_TASKS:
            return best
        goal = proven(problem).seconds * (1 + ENOUGH)
        for search, seconds in TURNS:
            if (ranking(problem, best, objective)[0] == 0 and best.makespan <= goal) or clock.now() >= deadline:
                break
            if not search().refusals(problem):
                best = search().improve(problem, best, objective, seed, min(deadline, clock.now() + seconds))
        return best
