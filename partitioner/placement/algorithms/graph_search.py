"""Anytime search for task graphs: tasks of a stretch of time are taken out and put back, under annealing."""

from __future__ import annotations

import math
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np

from partitioner.model.data import Floats, Ints
from partitioner.placement import clock
from partitioner.placement.algorithms.local_search import lanes_of
from partitioner.placement.base import EVERYTHING, Algorithm
from partitioner.placement.bounds.proof import proven
from partitioner.placement.objectives import Objective
from partitioner.placement.problem import Problem
from partitioner.placement.schedule import Schedule
from partitioner.placement.schedules.sequence import slots_of
from partitioner.placement.search.graph_kernel import Frame, Graph, Solution, anneal, compiled, copy_into, measure
from partitioner.placement.search.list_search import search_lists
from partitioner.placement.search.seeds import start_plans, too_large
from partitioner.placement.search.slot_graph import graph_of, parents_first, work_of

_SHARE_FOR_SEEDS = 0.2
_CRITICAL = 0.8
_FIRST_CYCLE = 1_000
_WINDOW = 160
_FOR_SOLVER = 300
_WINDOW_STEPS = 400
_MOST_THREADS = 4
_UNCOMPILED = 20
"""A step in plain Python takes about as many times as long."""
_FIRST_CHUNK, _MOST_CHUNK = 8, 100_000
_CHUNK_SECONDS = 0.01


class GraphSearch(Algorithm):
    """Large neighbourhood search on slots; where tasks share a worker, iterated list scheduling with justification.

    A step takes up to eight tasks of one stretch of time out, one of them usually critical, and puts each back into
    the hole with the shortest path through it. Worse plans are accepted with the probability of simulated annealing,
    in cycles of doubling length, each from the best plan. Of large graphs a window of 160 tasks at a time is annealed.
    ``rounds`` limits the steps, for repeatable results.
    """

    name = "graph_search"
    counts = True
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
        now = clock.now()
        known = start_plans(problem, objective, now + _SHARE_FOR_SEEDS * (deadline - now))[0]
        return self.improve(problem, known, objective, seed, deadline)

    def improve(self, problem: Problem, known: Schedule, objective: Objective, seed: int, deadline: float) -> Schedule:
        """The best schedule found from ``known``, never worse than it."""
        one_by_one = problem.slots is not None and not problem.uses_gpu.any()
        if not (one_by_one and objective.is_makespan) or problem.hard.any():
            return search_lists(problem, known, objective, seed, deadline, self.rounds)
        shared = _Shared(proven(problem, known).seconds)
        graph = graph_of(problem, slots_of(problem))
        searches = [_Search(problem, graph, known, (seed, k), shared) for k in range(self._threads())]
        with ThreadPoolExecutor(len(searches)) as pool:
            try:
                for ended in [pool.submit(search.run, deadline, self.rounds) for search in searches]:
                    ended.result()
            finally:
                shared.stop()  # an interrupt or an error must not wait for the other threads
        found = min(searches, key=lambda search: search.length).schedule()
        return replace(found, bound=known.bound, bound_by=known.bound_by) if found.makespan < known.makespan else known

    def _threads(self) -> int:
        """Independent searches at once: one where the steps are counted, or where threads would wait for each other."""
        if self.rounds is not None or not compiled or clock.is_counted():
            return 1
        return min(_MOST_THREADS, os.cpu_count() or 1)


class _Shared:
    """The best solution of all threads, and the makespan at which they may stop."""

    def __init__(self, target: float) -> None:
        self.target = target * (1 + 1e-12)
        self.length = math.inf
        self.best: Solution | None = None
        self._lock = threading.Lock()

    def stop(self) -> None:
        """Let every thread end at its next look at the target."""
        self.target = math.inf

    def exchange(self, best: Solution, length: float) -> tuple[Solution, float]:
        """Hand in a solution and get the better of it and the shared one, as a copy of one's own."""
        with self._lock:
            if self.best is None or length < self.length:
                self.best, self.length = _copied(best, best.order), length
            if length == self.length:
                return best, length
            return _copied(self.best, self.best.order), self.length


class _Search:
    """The best solution so far, and the annealing of one window of it."""

    def __init__(self, problem: Problem, graph: Graph, known: Schedule, seed: tuple[int, int], shared: _Shared) -> None:
        self.problem = problem
        self.graph = graph
        self.shared = shared
        self.work = work_of(self.graph)
        self.rng = np.random.default_rng(seed)
        place = np.empty(problem.n, np.int64)
        place[problem.topological] = np.arange(problem.n)
        # Ties and rounding: a task of no seconds may share its start with a parent.
        order = np.array(parents_first(self.graph, np.lexsort((place, known.finish, known.start)).tolist()))
        slot = lanes_of(problem, known)
        self.best = _solution(order, slot, self.graph.seconds[np.arange(problem.n), slot])
        self.everything = Frame(
            np.zeros(self.graph.seconds.shape[1]),
            np.zeros(self.graph.seconds.shape[1]),
            np.ones(problem.n, np.int64),
        )
        self.length = self._measure(self.best)
        self.scale = float(self.best.lasting.mean())
        self.chunk = _FIRST_CHUNK
        plain = 8 + 0.12 * min(problem.n, _WINDOW) + 0.5 * self.graph.seconds.shape[1]
        self.step_cost = plain * (1 if compiled else _UNCOMPILED)

    def _measure(self, solution: Solution) -> float:
        """The makespan of a solution of all tasks, whose times are set."""
        return float(measure(self.graph, self.everything, solution, 0, len(solution.order) - 1))

    def run(self, deadline: float, rounds: int | None) -> None:
        """Anneal windows until the deadline, the number of rounds, or the target, here or in another thread."""
        left = math.inf if rounds is None else float(rounds)
        steps = _FIRST_CYCLE if self.problem.n <= _WINDOW else _WINDOW_STEPS
        turns, windows = 0, max(1, 2 * self.problem.n // _WINDOW)
        while left > 0 and not self._over(deadline):
            first = self._window()
            left -= self._anneal(first, first + _WINDOW, int(min(steps, left)), deadline)
            self.best, self.length = self.shared.exchange(self.best, self.length)
            turns += 1
            if turns % windows == 0:
                steps *= 2

    def _over(self, deadline: float) -> bool:
        """Whether time is up or somebody met the target."""
        return min(self.length, self.shared.length) <= self.shared.target or clock.now() >= deadline

    def _window(self) -> int:
        """The first position of a window around a critical task, or around any."""
        if self.problem.n <= _WINDOW:
            return 0
        through = (self.best.start + self.best.tail)[self.best.order]
        critical = np.flatnonzero(through >= self.length * (1 - 1e-9))
        pool = critical if self.rng.random() < _CRITICAL else np.arange(self.problem.n)
        return int(np.clip(self.rng.choice(pool) - _WINDOW // 2, 0, self.problem.n - _WINDOW))

    def _anneal(self, first: int, last: int, steps: int, deadline: float) -> int:
        """Anneal the tasks at positions ``first`` to ``last`` and keep the best; returns the number of steps done."""
        order = self.best.order
        frame = self._frame(first, last)
        now, best, trial = (_copied(self.best, order[first:last]) for _ in range(3))
        through = float((now.start + now.tail)[now.order].max())
        lengths = np.array([through, through])
        step = 0
        while step < steps and lengths[1] > self.shared.target and (step == 0 or not self._over(deadline)):
            begun, begun_at, until = clock.now(), step, min(steps, step + self.chunk)
            step = int(
                anneal(
                    self.graph,
                    frame,
                    now,
                    best,
                    trial,
                    lengths,
                    self.work,
                    self.rng,
                    (step, until, steps),
                    self.scale,
                    self.shared.target,
                )
            )
            clock.spend((step - begun_at) * self.step_cost)
            self.chunk = _next_chunk(self.chunk, clock.now() - begun)
        copy_into(Solution(np.concatenate([order[:first], best.order, order[last:]]), *best[1:]), self.best)
        self.length = self._measure(self.best)
        return step

    def _frame(self, first: int, last: int) -> Frame:
        """What surrounds the tasks at positions ``first`` to ``last`` of the best solution."""
        slots = self.graph.seconds.shape[1]
        frame = Frame(np.zeros(slots), np.zeros(slots), np.zeros(self.problem.n, np.int64))
        best = self.best
        frame.inside[best.order[first:last]] = 1
        for i in best.order[:first]:
            frame.free[best.slot[i]] = best.head[i]
        for i in best.order[last:][::-1]:
            frame.left[best.slot[i]] = best.tail[i]
        return frame

    def schedule(self) -> Schedule:
        """The best solution as a schedule."""
        return Schedule(self.graph.worker[self.best.slot].astype(np.int32), self.best.start, self.best.head)


def _copied(solution: Solution, order: Ints) -> Solution:
    """A copy of which only the tasks in ``order`` may change."""
    _, slot, lasting, start, head, tail = solution
    return Solution(order.copy(), slot.copy(), lasting.copy(), start.copy(), head.copy(), tail.copy())


def _solution(order: Ints, slot: Ints, lasting: Floats) -> Solution:
    """A solution whose times are not measured yet."""
    return Solution(order, slot, lasting, *(np.zeros(len(slot)) for _ in range(3)))


def _next_chunk(chunk: int, seconds: float) -> int:
    """How many steps to make before the next look at the clock."""
    if seconds > 2 * _CHUNK_SECONDS:
        return max(1, chunk // 2)
    return min(_MOST_CHUNK, chunk * 2) if seconds < _CHUNK_SECONDS / 2 else chunk
