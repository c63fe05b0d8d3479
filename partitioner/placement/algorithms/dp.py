"""Exact dynamic programme over the loads of the slots, for few tasks or few distinct loads."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from partitioner.errors import ConfigError
from partitioner.model.data import Ints
from partitioner.placement import clock
from partitioner.placement.base import Algorithm, Supports
from partitioner.placement.bounds.proof import proven
from partitioner.placement.objectives import Objective
from partitioner.placement.problem import Problem
from partitioner.placement.schedule import Schedule
from partitioner.placement.schedules.sequence import longest_first, run_in_order, slots_of
from partitioner.placement.schedules.slot_lists import assign
from partitioner.placement.search.slot_search import SlotSearch

STATE_LIMIT = 200_000
State = tuple[float, ...]


class Dp(Algorithm):
    """All load vectors that can still beat the best plan known, one task at a time, longest first.

    A state is the loads, sorted among equal slots. Pruned: a load at or above the best makespan known, and states whose
    work left cannot fit under it. More than 200,000 states in one step are refused with ConfigError.
    """

    name = "dp"
    counts = True
    proves = True
    role = "exact"
    supports = Supports(uniform=True, unrelated=True, max_tasks=2_000)
    guarantee = "optimal"
    complexity = "O(n S X) for X states kept, at most 200,000"
    source = "M. H. Rothkopf, Scheduling independent tasks on parallel processors, Management Science 12 (1966)"
    default_seconds = 60.0

    def share(self, problem: Problem) -> float:
        """Only where it may well end: few tasks or few slots."""
        return 0.5 if problem.n <= 40 or len(slots_of(problem)) <= 3 else 0.0

    def solve(self, problem: Problem, objective: Objective, seed: int, deadline: float) -> Schedule:
        """See ``Algorithm.solve``."""
        order = longest_first(problem)
        search = SlotSearch(problem, assign(problem, order), seed, proven(problem).seconds)
        search.run(deadline, 50)
        found = _Search(problem, order, search.best_span, deadline).run()
        slot = search.best if found is None else found
        schedule = run_in_order(problem, slot, order)
        return replace(schedule, bound=schedule.makespan, bound_by="exhausted by dynamic programming")


class _Search:
    """Layers of states; ``limit`` is the makespan to beat and falls whenever a better one is completed."""

    def __init__(self, problem: Problem, order: Ints, known: float, deadline: float) -> None:
        self.order, self.deadline, self.n = order, deadline, problem.n
        self.group: list[int] = slots_of(problem).group.tolist()
        self.times: list[list[float]] = problem.matrix[order].tolist()
        least = problem.fastest[order]
        self.left: list[float] = [*np.cumsum(least[::-1])[::-1].tolist(), 0.0]
        self.known = known
        self.goal = proven(problem).seconds

    def run(self) -> Ints | None:
        """Slot of each task in the best plan below the known one; None where that is optimal already."""
        best = None
        while self.known > self.goal * (1 + 1e-12):
            found = self._below(self.known * (1 - 1e-12))
            if found is None:
                break
            best, self.known = found
        return best

    def _below(self, limit: float) -> tuple[Ints, float] | None:
        """A plan whose makespan is the least below ``limit``, and that makespan."""
        layer: dict[State, float] = {tuple([0.0] * len(self.group)): 0.0}
        layers: list[dict[State, tuple[State, int]]] = []
        room = limit * len(self.group)
        for at in range(self.n):
            made: dict[State, tuple[State, int]] = {}
            for state in layer:
                self._extend(state, at, limit, room, made)
                clock.spend(4 * len(state))
                if len(made) > STATE_LIMIT or clock.now() > self.deadline:
                    raise ConfigError(
                        f"placement 'dp' met {len(made)} states at task {at + 1} of {self.n} (limit {STATE_LIMIT}, or the "
                        "time limit). Use 'block_exchange', 'local_search' or 'cp_sat' for this instance."
                    )
            layers.append(made)
            layer = dict.fromkeys(made, 0.0)
        if not layer:
            return None
        last = min(layer, key=max)
        return self._trace(last, layers), max(last)

    def _extend(self, state: State, at: int, limit: float, room: float, made: dict[State, tuple[State, int]]) -> None:
        """Put task ``at`` on every slot where it keeps the limit; equal slots with equal loads count once."""
        tried: set[tuple[int, float]] = set()
        for s, load in enumerate(state):
            g = self.group[s]
            if (g, load) in tried:
                continue
            tried.add((g, load))
            new = load + self.times[at][g]
            if new >= limit:
                continue
            loads = [*state]
            loads[s] = new
            if sum(loads) + self.left[at + 1] > room:
                continue
            made.setdefault(self._canonical(loads), (state, s))

    def _canonical(self, loads: list[float]) -> State:
        """Loads sorted among the slots of one group."""
        if len(set(self.group)) == 1:
            return tuple(sorted(loads))
        ranked = sorted(range(len(loads)), key=lambda s: (self.group[s], loads[s]))
        places = sorted(range(len(loads)), key=lambda s: (self.group[s], s))
        result = [0.0] * len(loads)
        for place, source in zip(places, ranked, strict=True):
            result[place] = loads[source]
        return tuple(result)

    def _trace(self, last: State, layers: list[dict[State, tuple[State, int]]]) -> Ints:
        """Follow the states back; slots are renamed by sorting, so replay forward with real slots."""
        choices: list[tuple[State, int]] = []
        state = last
        for made in reversed(layers):
            state, s = made[state]
            choices.append((state, s))
        choices.reverse()
        real = list(range(len(self.group)))
        loads = [0.0] * len(self.group)
        slot = np.empty(self.n, np.int64)
        for at, (before, s) in enumerate(choices):
            by_group = sorted(range(len(loads)), key=lambda r: (self.group[r], loads[r]))
            places = sorted(range(len(loads)), key=lambda r: (self.group[r], r))
            real = [0] * len(loads)
            for place, source in zip(places, by_group, strict=True):
                real[place] = source
            chosen = real[s]
            assert loads[chosen] == before[s]
            loads[chosen] += self.times[at][self.group[chosen]]
            slot[self.order[at]] = chosen
        return slot
