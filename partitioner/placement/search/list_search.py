"""Search over task lists for problems where tasks share workers: perturb, decode, justify, keep what is no worse.

A list is decoded by serial schedule generation with insertion. Justification moves every task as late and then as
early as it goes, which rarely lengthens a schedule and often shortens it (Valls, Ballestin and Quintanilla 2005,
https://doi.org/10.1016/j.ejor.2004.04.008).
"""

from __future__ import annotations

import math

import numpy as np

from partitioner.model import Edges
from partitioner.model.data import Floats, Ints
from partitioner.placement import clock
from partitioner.placement.bounds.proof import proven
from partitioner.placement.objectives import Objective, ranking
from partitioner.placement.problem import Problem
from partitioner.placement.schedule import Schedule
from partitioner.placement.schedules.insertion import Insertion
from partitioner.placement.schedules.partial import precedence_order

_MOST_MOVED = 10
_CHANGE_WORKER = 0.3
_PATIENCE = 400


class ListSearch:
    """Decoding and justification for one problem; a mirrored copy runs time backwards."""

    def __init__(self, problem: Problem, objective: Objective, deadline: float) -> None:
        self.problem, self.objective, self.deadline = problem, objective, deadline
        simple = objective.is_makespan and not (problem.has_releases or problem.hard.any() or problem.uses_gpu.any())
        self.mirrored = _mirror(problem) if simple and problem.has_edges else None

    def decode(self, problem: Problem, key: Floats, worker: Ints) -> Schedule | None:
        """Tasks by ``key`` float64[n], parents first, each on its ``worker`` int64[n] or, at -1, where it ends first.

        None where the deadline passes on the way.
        """
        built = Insertion(problem)
        for count, i in enumerate(precedence_order(problem, key).tolist()):
            if count % 64 == 63 and clock.now() > self.deadline:
                return None
            j = int(worker[i])
            clock.spend(30 + 12 * problem.m * (j < 0))
            if j < 0:
                built.put_earliest(i)
            else:
                built.put(i, j, built.ready_times(i)[j])
        return built.schedule()

    def justified(self, schedule: Schedule) -> Schedule:
        """The schedule moved right, then left; itself where that is impossible or time is up."""
        if self.mirrored is None:
            return schedule
        worker = schedule.worker.astype(np.int64)
        late = self.decode(self.mirrored, -schedule.finish, worker)
        early = None if late is None else self.decode(self.problem, -late.finish, worker)
        return schedule if early is None else early

    def rank(self, schedule: Schedule) -> tuple[float, float, float]:
        """What schedules are compared by."""
        return ranking(self.problem, schedule, self.objective)


def search_lists(
    problem: Problem, known: Schedule, objective: Objective, seed: int, deadline: float, rounds: int | None
) -> Schedule:
    """The best schedule found from ``known`` until the deadline, the number of rounds, or the lower bound."""
    search = ListSearch(problem, objective, deadline)
    goal = proven(problem, known).seconds * (1 + 1e-12)
    random = np.random.default_rng(seed)
    best = current = min(known, search.justified(known), key=search.rank)
    limit = math.inf if rounds is None else rounds
    done = idle = 0
    while done < limit and clock.now() < deadline:
        if objective.is_makespan and search.rank(best)[0] == 0 and best.makespan <= goal:
            break
        done += 1
        key, worker = _perturbed(problem, current, random)
        found = search.decode(problem, key, worker)
        if found is None:
            break
        found = min(found, search.justified(found), key=search.rank)
        # Equal makespans are taken even with later ends: plateaus are wide.
        if search.rank(found)[:2] <= search.rank(current)[:2]:
            current = found
        idle += 1
        if search.rank(found) < search.rank(best):
            best, idle = found, 0
        if idle >= _PATIENCE:
            current, idle = _shaken(search, best, random), 0
    return best


def _perturbed(problem: Problem, current: Schedule, random: np.random.Generator) -> tuple[Floats, Ints]:
    """Keys and workers of a neighbour: some tasks of one stretch change places, a few of them workers."""
    key = current.start + 1e-6 * current.finish
    worker = current.worker.astype(np.int64)
    count = int(random.integers(1, min(_MOST_MOVED, problem.n) + 1))
    centre = random.uniform(0, max(current.makespan, 1e-12))
    distance = np.abs((current.start + current.finish) / 2 - centre) * random.uniform(0.5, 1.5, problem.n)
    near = np.argpartition(distance, count - 1)[:count]
    key[near] = random.permutation(key[near]) + random.normal(0, 0.1 * current.makespan, count)
    freed = near[random.random(count) < _CHANGE_WORKER]
    worker[freed] = -1
    return key, worker


def _shaken(search: ListSearch, best: Schedule, random: np.random.Generator) -> Schedule:
    """A new start away from the best: every key moved by up to a third of the makespan."""
    key = best.start + random.uniform(0, best.makespan / 3, search.problem.n)
    found = search.decode(search.problem, key, np.full(search.problem.n, -1, np.int64))
    return best if found is None else search.justified(found)


def _mirror(problem: Problem) -> Problem:
    """The same problem with time running backwards."""
    edges = problem.tasks.edges
    turned = Edges(edges.target, edges.source, edges.delay, edges.bytes)
    return Problem(problem.tasks.with_columns(edges=turned), problem.workers, problem.bandwidth)
