"""Greedy start, then dynamic programming over blocks of two workers until no block gets better."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from partitioner.model.data import Ints
from partitioner.placement import clock
from partitioner.placement.algorithms.local_search import lanes_of
from partitioner.placement.base import Algorithm, Supports
from partitioner.placement.bounds.proof import proven
from partitioner.placement.objectives import Objective
from partitioner.placement.problem import Problem
from partitioner.placement.schedule import Schedule
from partitioner.placement.schedules.sequence import longest_first, run_in_order, slots_of, times_on_slots
from partitioner.placement.schedules.slot_lists import assign
from partitioner.placement.search.pair_split import split_alike, split_unlike

_MOST_IDLE = 400
_PARTNERS = 24


class BlockExchange(Algorithm):
    """LPT, then the fullest slot and another one share their tasks anew by a dynamic programme, again and again."""

    name = "block_exchange"
    turn = 10
    counts = True
    role = "search"
    supports = Supports(uniform=True, unrelated=True, max_tasks=200_000)
    guarantee = "never worse than lpt"
    complexity = (
        "O(n log n) plus O(k L) per block of k tasks and L load levels; stops at the time limit or when it stalls"
    )
    source = "subset sum by bit sets; blocks as in multi-exchange neighbourhoods, Frangioni, Necciari, Scutella (2004)"
    anytime = True
    default_seconds = 5.0

    def solve(self, problem: Problem, objective: Objective, seed: int, deadline: float) -> Schedule:
        """See ``Algorithm.solve``."""
        known = run_in_order(problem, assign(problem, longest_first(problem)), longest_first(problem))
        return self.improve(problem, known, objective, seed, deadline)

    def improve(self, problem: Problem, known: Schedule, objective: Objective, seed: int, deadline: float) -> Schedule:
        """See ``Algorithm.improve``; never a longer makespan than ``known``."""
        slot = Blocks(problem, lanes_of(problem, known), seed, proven(problem, known).seconds).run(deadline)
        found = run_in_order(problem, slot, longest_first(problem))
        return replace(found, bound=known.bound, bound_by=known.bound_by) if found.makespan < known.makespan else known


class Blocks:
    """The assignment while blocks are solved."""

    def __init__(self, problem: Problem, slot: Ints, seed: int, goal: float) -> None:
        self.problem = problem
        self.slot = slot.copy()
        self.group = slots_of(problem).group
        self.load = np.bincount(slot, weights=times_on_slots(problem, slot), minlength=len(self.group))
        self.random = np.random.default_rng(seed)
        self.goal = goal * (1 + 1e-12)

    def run(self, deadline: float) -> Ints:
        """Solve blocks until the bound is met, the time is over or nothing has helped for long."""
        best, span = self.slot.copy(), float(self.load.max())
        idle = 0
        while span > self.goal and idle < _MOST_IDLE and clock.now() < deadline and len(self.group) > 1:
            if not self._improve(deadline):
                self._mix()
                idle += 1
            if float(self.load.max()) < span * (1 - 1e-12):
                best, span, idle = self.slot.copy(), float(self.load.max()), 0
        return best

    def _improve(self, deadline: float) -> bool:
        """The fullest slot with each of the emptier ones in turn; True as soon as the block's maximum falls."""
        a = int(self.load.argmax())
        few = min(_PARTNERS, len(self.load))
        partners = np.argpartition(self.load, few - 1)[:few]
        partners = partners[np.argsort(self.load[partners], kind="stable")]
        extra = self.random.integers(len(self.load), size=4)
        return any(
            self._solve_block(a, b, float(self.load[a]))
            for b in [*partners.tolist(), *extra.tolist()]
            if b != a and clock.now() < deadline
        )

    def _mix(self) -> None:
        """Two random slots share anew in a random order of their tasks, to change what the fullest one finds."""
        a, b = self.random.choice(len(self.load), size=2, replace=False).tolist()
        self._solve_block(a, b, max(float(self.load[a]), float(self.load[b])) * (1 + 1e-9) + 1e-9, mixed=True)

    def _solve_block(self, a: int, b: int, limit: float, mixed: bool = False) -> bool:
        """Re-share the tasks of a and b where the larger load falls below ``limit``."""
        tasks = np.flatnonzero((self.slot == a) | (self.slot == b))
        self.random.shuffle(tasks)
        first = self.problem.times_on(int(self.group[a]))[tasks]
        second = self.problem.times_on(int(self.group[b]))[tasks]
        if np.array_equal(first, second):
            clock.spend(40 + 0.7 * len(tasks))
            chosen = split_alike(first)
        else:
            clock.spend(60 + 15 * len(tasks))
            found = split_unlike(first, second, limit)
            if found is None:
                return False
            chosen = found
        loads = float(first[chosen].sum()), float(second[~chosen].sum())
        if not max(loads) < limit * (1 - 1e-12) and not (mixed and max(loads) <= limit):
            return False
        self.slot[tasks[chosen]], self.slot[tasks[~chosen]] = a, b
        self.load[a], self.load[b] = loads
        return True
