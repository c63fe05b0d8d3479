"""The linear relaxation by HiGHS, then the rounding of Lenstra, Shmoys and Tardos."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from partitioner.model.data import Floats, Ints
from partitioner.placement import clock
from partitioner.placement.algorithms.local_search import LocalSearch
from partitioner.placement.base import Algorithm, Supports, above
from partitioner.placement.bounds.combinatorial import integral
from partitioner.placement.bounds.proof import proven
from partitioner.placement.exact.simplex import limit_of
from partitioner.placement.objectives import Objective
from partitioner.placement.problem import Problem
from partitioner.placement.schedule import Schedule
from partitioner.placement.schedules.list_rules import list_schedule
from partitioner.placement.schedules.sequence import longest_first, run_in_order, slots_of

_MOST_PAIRS = 300_000


class LpRounding(Algorithm):
    """Bisect for the least makespan T whose relaxation, without pairs longer than T, is feasible; round a vertex of it.

    At most one fractional task per group of workers is left, matched to a group; equal workers of a group share its tasks
    by lpt. T is a lower bound on the makespan of every plan.
    """

    name = "lp_rounding"
    counts = True
    proves = True
    role = "exact"
    supports = Supports(uniform=True, unrelated=True)
    guarantee = "2 on unrelated workers, and T as a proven bound"
    complexity = "O(log) linear programmes of n G variables"
    source = "J. K. Lenstra, D. B. Shmoys, E. Tardos, Math. Programming 46 (1990)"
    default_seconds = 60.0

    def refusals(self, problem: Problem) -> list[str]:
        """See ``Algorithm.refusals``."""
        pairs = problem.n * problem.groups
        return super().refusals(problem) + above(pairs, "pairs of tasks and worker kinds", _MOST_PAIRS)

    def improve(self, problem: Problem, known: Schedule, objective: Objective, seed: int, deadline: float) -> Schedule:
        """The rounded vertex after a local search, which few moves separate from the relaxation; the bound stays."""
        now = clock.now()
        rounded = self.solve(problem, objective, seed, now + (deadline - now) / 2)
        found = LocalSearch().improve(problem, rounded, objective, seed, deadline)
        return replace(found, bound=rounded.bound, bound_by=rounded.bound_by)

    def share(self, problem: Problem) -> float:
        """Nothing where times are related: the relaxation is the mean load there."""
        return 0.0 if problem.related and problem.eligible_everywhere else 1.0

    def solve(self, problem: Problem, objective: Objective, seed: int, deadline: float) -> Schedule:
        """See ``Algorithm.solve``."""
        greedy = list_schedule(problem, -problem.fastest)
        bound, shares = relaxation(problem, greedy.makespan, deadline)
        if shares is None:
            return replace(greedy, bound=bound, bound_by="linear relaxation")
        slot = _slots_of_groups(problem, _round(shares))
        schedule = run_in_order(problem, slot, longest_first(problem))
        return replace(schedule, bound=bound, bound_by="linear relaxation")


def relaxation(problem: Problem, known: float, deadline: float) -> tuple[float, Floats | None]:
    """(proven lower bound, float64[n, G] shares of a vertex, or None where time ran out before any was found).

    ``known`` is the makespan of some plan, where the bisection starts from above.
    """
    times = problem.matrix
    room = slots_of(problem).per_group * problem.size
    whole = integral(problem)
    first = _least_makespan(times, room, np.inf, deadline)
    if first is None:
        return 0.0, None
    low, shares = first
    low = max(low * (1 - 1e-9), proven(problem).seconds)
    low = float(np.ceil(low - 1e-6)) if whole else low
    high, precision = known, (0.5 if whole else 1e-4 * known)
    while high - low > precision and clock.now() < deadline:
        middle = float(np.floor((low + high) / 2)) if whole else (low + high) / 2
        found = _least_makespan(times, room, middle, deadline)
        if found is not None and found[0] <= middle * (1 + 1e-9):
            high, shares = middle, found[1]
        elif found is not None or clock.now() < deadline:
            low = middle + 1 if whole else middle
    return low, shares


def _least_makespan(times: Floats, room: Ints, longest: float, deadline: float) -> tuple[float, Floats] | None:
    """Minimise T over shares x_ig of pairs with time <= ``longest``; None where some task has no pair left."""
    from scipy.optimize import linprog
    from scipy.sparse import coo_matrix, csr_matrix

    task, group = np.nonzero(np.isfinite(times) & (times <= longest * (1 + 1e-12)))
    n, groups = times.shape
    if len(np.unique(task)) < n:
        return None
    pairs = len(task)
    column = np.arange(pairs)
    load = coo_matrix((times[task, group], (group, column)), shape=(groups, pairs + 1))
    limit = coo_matrix(
        (-room.astype(np.float64), (np.arange(groups), np.full(groups, pairs))), shape=(groups, pairs + 1)
    )
    once = coo_matrix((np.ones(pairs), (task, column)), shape=(n, pairs + 1))
    cost = np.zeros(pairs + 1)
    cost[-1] = 1.0
    cost_of_pivot = 10 + 0.02 * pairs  # measured: dual simplex on 1,000 to 100,000 pairs
    solved = linprog(
        cost,
        A_ub=csr_matrix(load + limit),
        b_ub=np.zeros(groups),
        A_eq=csr_matrix(once),
        b_eq=np.ones(n),
        method="highs-ds",
        options=limit_of(deadline, cost_of_pivot),
    )
    clock.spend(solved.nit * cost_of_pivot + 2 * pairs)
    if solved.status != 0:
        return None
    shares = np.zeros(times.shape)
    shares[task, group] = solved.x[:-1]
    return float(solved.fun), shares


def _round(shares: Floats) -> Ints:
    """int64[n]: a group per task: whole shares stay, fractional tasks are matched, at most one more per group."""
    from scipy.sparse import csr_matrix
    from scipy.sparse.csgraph import maximum_bipartite_matching

    group: Ints = shares.argmax(axis=1)
    split = np.flatnonzero(shares.max(axis=1) < 1 - 1e-6)
    if len(split):
        graph = csr_matrix(shares[split] > 1e-6)
        matched = maximum_bipartite_matching(graph, perm_type="column")
        group[split] = np.where(matched >= 0, matched, group[split])
    return group


def _slots_of_groups(problem: Problem, group: Ints) -> Ints:
    """int64[n]: within each group its slots share the tasks by lpt."""
    import heapq

    slots = slots_of(problem)
    heaps = [[(0.0, int(s)) for s in np.flatnonzero(slots.group == g)] for g in range(problem.groups)]
    slot = np.empty(problem.n, np.int64)
    for i in longest_first(problem).tolist():
        heap = heaps[int(group[i])]
        load, s = heap[0]
        slot[i] = s
        heapq.heapreplace(heap, (load + float(problem.matrix[i, group[i]]), s))
    return slot
