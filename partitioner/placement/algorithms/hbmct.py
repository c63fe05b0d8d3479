"""Hybrid balanced minimum completion time: the graph in groups of independent tasks, each group balanced."""

from __future__ import annotations

from partitioner.placement import clock
from partitioner.placement.base import EVERYTHING, Algorithm
from partitioner.placement.objectives import Objective
from partitioner.placement.problem import Problem
from partitioner.placement.schedule import Schedule
from partitioner.placement.schedules.insertion import INFINITY, Insertion
from partitioner.placement.schedules.ranks import by_rank, upward_rank

_MOST_COMPARED = 32


class Hbmct(Algorithm):
    """Groups of independent tasks in order of upward rank; each starts on its fastest worker, then the last are moved.

    While some task of the worker that finishes the group last would finish earlier than that elsewhere, the one that
    gains most moves there (of at most 32 compared). Past the time limit groups keep their first placement.
    """

    name = "hbmct"
    counts = True
    quadratic = True
    supports = EVERYTHING
    guarantee = "none; strong on wide graphs"
    complexity = "O(n^2 m) for n tasks of one group on m workers, times the cost of a hole search"
    source = "Sakellariou and Zhao 2004, https://doi.org/10.1109/IPDPS.2004.1303065"

    def solve(self, problem: Problem, objective: Objective, seed: int, deadline: float) -> Schedule:
        """The HBMCT schedule; the seed and the objective do not matter."""
        built = Insertion(problem)
        for group in _groups(problem, by_rank(problem, upward_rank(problem))):
            _place_fastest(built, group)
            _balance(built, group, deadline)
        return built.schedule()


def _groups(problem: Problem, order: list[int]) -> list[list[int]]:
    """Cut ``order`` before every task that depends on one of the group so far."""
    groups: list[list[int]] = [[]]
    inside: set[int] = set()
    for i in order:
        if not inside.isdisjoint(problem.parents.of(i).tolist()):
            groups.append([])
            inside = set()
        groups[-1].append(i)
        inside.add(i)
    return groups


def _place_fastest(built: Insertion, group: list[int]) -> None:
    """Each task on the worker with the least processing time, the earliest finish among equally fast ones."""
    workers = range(built.problem.m)
    for i in group:
        ready = built.ready_times(i)
        finishes = built.finishes(i, ready)
        j = min(workers, key=lambda w: (built.seconds(i, w), finishes[w], built.fullness(w)))
        built.put(i, j, ready[j])


def _balance(built: Insertion, group: list[int], deadline: float) -> None:
    """Move tasks off the worker that finishes the group last while the moved one finishes earlier than that."""
    ready = {i: built.ready_times(i) for i in group}
    for _ in range(len(group) * 2):
        if clock.now() > deadline:
            return
        last = max(group, key=lambda i: built.finish[i])
        clock.spend(20 + 8 * min(len(group), _MOST_COMPARED) * built.problem.m)
        crowded, latest = built.worker[last], built.finish[last]
        best, target, moved = latest, -1, -1
        for i in _candidates([i for i in group if built.worker[i] == crowded]):
            for j in range(built.problem.m):
                finish = built.finish_on(i, j, ready[i][j]) if j != crowded else INFINITY
                if finish < best * (1 - 1e-12):
                    best, target, moved = finish, j, i
        if target < 0:
            return
        built.remove(moved)
        built.put(moved, target, ready[moved][target])
        _repack(built, [i for i in group if built.worker[i] == crowded], crowded, ready)


def _candidates(tasks: list[int]) -> list[int]:
    """At most ``_MOST_COMPARED`` of ``tasks``, spread evenly over their ranks, so that wide groups stay affordable."""
    step = -(-len(tasks) // _MOST_COMPARED)
    return tasks[::step]


def _repack(built: Insertion, tasks: list[int], j: int, ready: dict[int, list[float]]) -> None:
    """Place the group's tasks of worker j again, in order of rank, so that the hole that a move left is used."""
    for i in tasks:
        built.remove(i)
    for i in tasks:
        built.put(i, j, ready[i][j])
