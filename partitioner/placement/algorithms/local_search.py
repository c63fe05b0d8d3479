"""Local search by move, swap and ejection on the best greedy start; for shared workers by re-inserting what ends last."""

from __future__ import annotations

import heapq
from dataclasses import replace

import numpy as np

from partitioner.model.data import Ints
from partitioner.placement.base import EVERYTHING, Algorithm
from partitioner.placement.bounds.proof import proven
from partitioner.placement.objectives import Objective
from partitioner.placement.problem import Problem
from partitioner.placement.schedule import Schedule
from partitioner.placement.schedules.list_rules import list_schedule
from partitioner.placement.schedules.sequence import longest_first, run_in_order, slots_of
from partitioner.placement.search.reinsertion import reinsert
from partitioner.placement.search.ruin import ruin_and_recreate
from partitioner.placement.search.slot_search import SlotSearch

_MOST_SHAKES = 2_000
_MOST_TASKS = 300_000
_MOST_SHARED = 100_000


class LocalSearch(Algorithm):
    """From lpt, or a known schedule, on: shorten the fullest worker until nothing helps, shake, keep the best plan seen."""

    name = "local_search"
    turn = 0
    counts = True
    role = "search"
    supports = EVERYTHING
    guarantee = "never worse than its start, lpt; 2 - 2/(m + 1) for the descent by moves alone on identical workers"
    complexity = "O(k n) per step for k tasks on the fullest worker; stops at the time limit or when it stalls"
    source = "G. Finn, E. Horowitz, A linear time approximation algorithm for multiprocessor scheduling, BIT 19 (1979)"
    anytime = True
    default_seconds = 5.0

    def solve(self, problem: Problem, objective: Objective, seed: int, deadline: float) -> Schedule:
        """See ``Algorithm.solve``."""
        return self.improve(problem, list_schedule(problem, -problem.fastest), objective, seed, deadline)

    def improve(self, problem: Problem, known: Schedule, objective: Objective, seed: int, deadline: float) -> Schedule:
        """See ``Algorithm.improve``; never worse than ``known``."""
        plain = problem.slots is not None and not problem.has_edges and not problem.has_releases
        if not plain and problem.n > _MOST_SHARED:
            return known  # taking the schedule apart would take longer than any search is given
        if not plain or not objective.is_makespan or problem.hard.any():
            change = reinsert if problem.has_edges else ruin_and_recreate
            return change(problem, known, objective, seed, deadline)
        if problem.n > _MOST_TASKS or problem.dense is None or len(slots_of(problem)) < 2:
            return known
        search = SlotSearch(problem, lanes_of(problem, known), seed, proven(problem, known).seconds)
        search.run(deadline, _MOST_SHAKES)
        found = run_in_order(problem, search.best, longest_first(problem))
        return replace(found, bound=known.bound, bound_by=known.bound_by) if found.makespan < known.makespan else known


def lanes_of(problem: Problem, schedule: Schedule) -> Ints:
    """int64[n]: a slot for each task such that no two tasks of a slot overlap, read off a schedule on slots."""
    slots = slots_of(problem)
    per_worker = slots.per_group[problem.group_of]
    if bool(np.all(per_worker == 1)):
        return schedule.worker.astype(np.int64)
    mine = np.split(np.argsort(slots.worker, kind="stable"), np.cumsum(per_worker)[:-1])
    heaps = [[(0.0, s) for s in part.tolist()] for part in mine]
    slot = np.empty(problem.n, np.int64)
    finish = schedule.finish.tolist()
    for i in np.argsort(schedule.start, kind="stable").tolist():
        heap = heaps[schedule.worker[i]]
        slot[i] = heap[0][1]
        heapq.heapreplace(heap, (finish[i], heap[0][1]))
    return slot
