"""Anytime search for task graphs: tasks of a stretch of time are taken out and put back, under annealing."""

from __future__ import annotations

import math
import time
from random import Random
from typing import NamedTuple

import numpy as np

from partitioner.placement.base import EVERYTHING, Algorithm, Schedule
from partitioner.placement.list_search import search_lists
from partitioner.placement.local_search import lanes_of
from partitioner.placement.objectives import Objective
from partitioner.placement.problem import Problem
from partitioner.placement.seeds import start_plans, too_large
from partitioner.placement.sequence import slots_of
from partitioner.placement.slot_graph import OUT, SlotGraph

_SHARE_FOR_SEEDS = 0.2
_MOST_OUT = 8
_STRETCH = 0.15
_WARM, _COLD = 6e-2, 6e-3
_BLUR = 0.3
_CRITICAL = 0.8
_FIRST_CYCLE = 1_000
_WINDOW = 160
_FOR_SOLVER = 300
_WINDOW_STEPS = 400
_LESS = 1 - 1e-12


class _Solution(NamedTuple):
    """One order of tasks, and for every task of the problem its slot and its seconds there."""

    order: list[int]
    slot: list[int]
    lasting: list[float]


class GraphSearch(Algorithm):
    """Large neighbourhood search on slots; where tasks share a worker, iterated list scheduling with justification.

    A step takes up to eight tasks of one stretch of time out, one of them usually critical, and puts each back into
    the hole with the shortest path through it. Worse plans are accepted with the probability of simulated annealing,
    in cycles of doubling length, each from the best plan. Of large graphs a window of 160 tasks at a time is annealed.
    ``rounds`` limits the steps, for repeatable results.
    """

    name = "graph_search"
    role = "search"
    supports = EVERYTHING
    guarantee = "never worse than HEFT, nor than the plan it starts from"
    complexity = "O(n + e) per task put back: n tasks, e edges that no other implies"
    source = "Shaw 1998, https://doi.org/10.1007/3-540-49481-2_30"
    anytime = True
    default_seconds = 5.0

    def __init__(self, rounds: int | None = None) -> None:
        self.rounds = rounds

    def share(self, problem: Problem) -> float:
        """Most of the time on large task graphs over slots; beside CP-SAT on small ones; little where that is stronger."""
        if not problem.has_edges:
            return 0.5
        if problem.slots is None:
            return 0.3
        return 5.0 if problem.n <= _FOR_SOLVER else 15.0

    def refusals(self, problem: Problem) -> list[str]:
        """As declared, and by size."""
        return super().refusals(problem) + too_large(problem)

    def solve(self, problem: Problem, objective: Objective, seed: int, deadline: float) -> Schedule:
        """The best schedule found from the best of the quick rules."""
        now = time.monotonic()
        known = start_plans(problem, objective, now + _SHARE_FOR_SEEDS * (deadline - now))[0]
        return self.improve(problem, known, objective, seed, deadline)

    def improve(self, problem: Problem, known: Schedule, objective: Objective, seed: int, deadline: float) -> Schedule:
        """The best schedule found from ``known``, never worse than it."""
        one_by_one = problem.slots is not None and not problem.uses_gpu.any()
        if not (one_by_one and objective.is_makespan) or problem.hard.any():
            return search_lists(problem, known, objective, seed, deadline, self.rounds)
        search = _Search(problem, known, seed)
        search.run(deadline, self.rounds)
        found = search.schedule()
        return found if found.makespan < known.makespan else known


class _Search:
    """The best solution so far, and the annealing of one window of it."""

    def __init__(self, problem: Problem, known: Schedule, seed: int) -> None:
        self.problem = problem
        self.graph = SlotGraph(problem, slots_of(problem))
        self.random = Random(seed)
        place = np.empty(problem.n, np.int64)
        place[problem.topological] = np.arange(problem.n)
        # Ties and rounding: a task of no seconds may share its start with a parent.
        order = _parents_first(self.graph, np.lexsort((place, known.finish, known.start)).tolist())
        slot: list[int] = lanes_of(problem, known).tolist()
        self.best = _Solution(order, slot, [self.graph.seconds[i][s] for i, s in enumerate(slot)])
        self.length = self.graph.measure_all(*self.best)
        self.scale = sum(self.best.lasting) / problem.n

    def run(self, deadline: float, rounds: int | None) -> None:
        """Anneal windows until the deadline, the number of rounds, or the lower bound."""
        left = math.inf if rounds is None else float(rounds)
        steps = _FIRST_CYCLE if self.problem.n <= _WINDOW else _WINDOW_STEPS
        turns, windows = 0, max(1, 2 * self.problem.n // _WINDOW)
        while left > 0 and time.monotonic() < deadline and self.length > self.problem.bound[0] * (1 + 1e-12):
            first = self._window()
            left -= self._anneal(first, first + _WINDOW, int(min(steps, left)), deadline)
            turns += 1
            if turns % windows == 0:
                steps *= 2

    def _window(self) -> int:
        """The first position of a window around a critical task, or around any."""
        if self.problem.n <= _WINDOW:
            return 0
        order, start, tail = self.best.order, self.graph.start, self.graph.tail
        nearly = self.length * (1 - 1e-9)
        critical = [k for k, i in enumerate(order) if start[i] + tail[i] >= nearly]
        centre = self.random.choice(critical) if self.random.random() < _CRITICAL else self.random.randrange(len(order))
        return min(max(0, centre - _WINDOW // 2), len(order) - _WINDOW)

    def _anneal(self, first: int, last: int, steps: int, deadline: float) -> int:
        """Anneal the tasks at positions ``first`` to ``last`` and keep the best; returns the number of steps done."""
        before, inside, after = self.best.order[:first], self.best.order[first:last], self.best.order[last:]
        self.graph.enter(before, inside, after, self.best.slot)
        start = best = _Solution(inside, self.best.slot, self.best.lasting)
        target = self.problem.bound[0] * (1 + 1e-12)
        self._accept(start, self.graph.measure(*start))
        shortest = self.now_length
        step = 0
        for step in range(1, steps + 1):
            if (
                self._step(self.scale * _WARM * (_COLD / _WARM) ** (step / steps))
                and self.now_length < shortest * _LESS
            ):
                best, shortest = self.now, self.now_length
            if shortest <= target or (step % 8 == 0 and time.monotonic() >= deadline):
                break
        self.best = _Solution(before + best.order + after, best.slot, best.lasting)
        self.length = self.graph.measure_all(*self.best)
        return step

    def _step(self, heat: float) -> bool:
        """Take some tasks out and put them back; whether the heat let the result become the current solution."""
        random = self.random.random
        limit = self.now_length - heat * math.log(1.0 - random())
        order, slot, lasting = self.now.order[:], self.now.slot[:], self.now.lasting[:]
        out = self._pick()
        for i in out:
            slot[i], lasting[i] = OUT, self.graph.least[i]
        self.graph.recall(self.start, self.head, self.tail)
        places = [order.index(i) for i in out]
        length = self.graph.measure(order, slot, lasting, min(places), max(places))
        for i in out:
            path, where = self.graph.put_back(i, order, slot, lasting, heat * _BLUR, self._uniform)
            if length > limit or path > limit:
                return False
            length = self.graph.measure(order, slot, lasting, where, where)
        if length <= limit:
            self._accept(_Solution(order, slot, lasting), length)
        return length <= limit

    def _uniform(self) -> float:
        return 1.0 - self.random.random()

    def _accept(self, solution: _Solution, length: float) -> None:
        """Make the solution that was measured last the current one. Its lists, and these, are never changed afterwards."""
        self.now, self.now_length = solution, length
        self.start, self.head, self.tail = self.graph.start, self.graph.head, self.graph.tail
        nearly, start, tail = length * (1 - 1e-9), self.start, self.tail
        self.critical = [i for i in solution.order if start[i] + tail[i] >= nearly]

    def _pick(self) -> list[int]:
        """A task, four times in five a critical one, and up to seven that run near it; about longest first."""
        random, start, head = self.random.random, self.start, self.head
        pool = self.critical if random() < _CRITICAL else self.now.order
        first = pool[int(random() * len(pool))]
        count = int(random() * _MOST_OUT)
        if not count:
            return [first]
        middle, reach = (start[first] + head[first]) / 2, self.now_length * _STRETCH
        early, late = middle - reach, middle + reach
        near = [i for i in self.now.order if start[i] < late and head[i] > early and i != first]
        out = [first, *self.random.sample(near, min(count, len(near)))]
        rank = {i: -self.graph.least[i] * (0.5 + random()) for i in out}
        return sorted(out, key=rank.__getitem__)

    def schedule(self) -> Schedule:
        """The best solution as a schedule."""
        self.graph.measure_all(*self.best)
        worker = np.array([self.graph.worker[s] for s in self.best.slot], np.int32)
        return Schedule(worker, np.array(self.graph.start), np.array(self.graph.head))


def _parents_first(graph: SlotGraph, order: list[int]) -> list[int]:
    """``order`` with every task moved behind its parents, otherwise kept."""
    placed = [False] * graph.n
    result: list[int] = []
    for i in order:
        stack = [i]
        while stack:
            at = stack[-1]
            waiting = [p for p, _, _ in graph.parents[at] if not placed[p]]
            if waiting:
                stack += waiting
                continue
            stack.pop()
            if not placed[at]:
                placed[at] = True
                result.append(at)
    return result
