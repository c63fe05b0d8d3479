"""Priorities of tasks in a dependency graph: upward and downward rank, and the optimistic cost table.

Times are means over the workers that can run the task; transfers count in full between a task and its successor.
"""

from __future__ import annotations

import heapq

import numpy as np

from partitioner.model.data import Floats, Ints
from partitioner.placement.problem import Problem


def mean_seconds(problem: Problem) -> Floats:
    """float64[n]: mean time of each task over the workers that can run it."""
    table = problem.matrix
    able = np.isfinite(table)
    return np.where(able, table, 0.0) @ problem.size / (able @ problem.size)


def upward_rank(problem: Problem) -> Floats:
    """float64[n]: the longest mean path from the start of a task to the end of the graph, transfers included.

    Topcuoglu, Hariri and Wu 2002, https://doi.org/10.1109/71.993206.
    """
    rank = mean_seconds(problem).tolist()
    for i in problem.topological[::-1].tolist():
        rank[i] += max((rank[c] + delay + transfer for c, delay, transfer in problem.children.rows(i)), default=0.0)
    return np.array(rank)


def downward_rank(problem: Problem) -> Floats:
    """float64[n]: the longest mean path from the start of the graph to the start of a task, transfers included."""
    seconds = mean_seconds(problem).tolist()
    rank: list[float] = problem.release.tolist()
    for i in problem.topological.tolist():
        arrivals = (rank[p] + seconds[p] + delay + transfer for p, delay, transfer in problem.parents.rows(i))
        rank[i] = max(rank[i], max(arrivals, default=0.0))
    return np.array(rank)


def optimistic_cost(problem: Problem) -> Floats:
    """float64[n, G]: what is left after a task at least, when it runs on a worker of each group.

    For each successor the best worker is taken, with a transfer unless it is of the same group; the largest over the
    successors counts. Arabnejad and Barbosa 2014, https://doi.org/10.1109/TPDS.2013.57.
    """
    seconds = problem.matrix
    table = np.zeros((problem.n, problem.groups))
    for i in problem.topological[::-1].tolist():
        for child, delay, transfer in problem.children.rows(i):
            after = table[child] + seconds[child]
            table[i] = np.maximum(table[i], delay + np.minimum(after, after.min() + transfer))
    return table


def by_rank(problem: Problem, rank: Floats) -> list[int]:
    """Tasks from the highest rank down; equal ranks in topological order, so that parents come first."""
    place: Ints = np.empty(problem.n, np.int64)
    place[problem.topological] = np.arange(problem.n)
    order: list[int] = np.lexsort((place, -rank)).tolist()
    return order


class ReadyQueue:
    """Tasks whose predecessors are all done, the highest priority first (equal ones by index)."""

    def __init__(self, problem: Problem, priority: Floats) -> None:
        self._children = [problem.children.of(i).tolist() for i in range(problem.n)]
        self._missing: list[int] = np.diff(problem.parents.offset).tolist()
        self._priority: list[float] = priority.tolist()
        self._heap = [(-self._priority[i], i) for i in range(problem.n) if not self._missing[i]]
        heapq.heapify(self._heap)

    def __iter__(self) -> ReadyQueue:
        return self

    def __next__(self) -> int:
        """The next task; the one before it counts as done."""
        if not self._heap:
            raise StopIteration
        i = heapq.heappop(self._heap)[1]
        for child in self._children[i]:
            self._missing[child] -= 1
            if not self._missing[child]:
                heapq.heappush(self._heap, (-self._priority[child], child))
        return i
