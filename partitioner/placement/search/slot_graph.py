"""The tables that ``graph_search`` works on: a task graph on slots, without implied dependencies, and a first order."""

from __future__ import annotations

import numpy as np

from partitioner.placement.graph import Links, links
from partitioner.placement.problem import Problem, Slots
from partitioner.placement.search.graph_kernel import MOST_OUT, Graph, Work


def graph_of(problem: Problem, slots: Slots) -> Graph:
    """The tables of a problem. Dependencies that wait for nothing and that others imply are left out."""
    parents = without_implied(problem)
    of = np.repeat(np.arange(problem.n), np.diff(parents.offset))
    children = links(problem.n, parents.task, of, parents.delay, parents.transfer)
    seconds = np.ascontiguousarray(problem.matrix[:, slots.group])
    return Graph(
        seconds,
        seconds.min(axis=1),
        np.maximum(problem.release, 0.0),
        slots.worker.astype(np.int64),
        parents,
        children,
        bool(parents.transfer.any()),
    )


def work_of(graph: Graph) -> Work:
    """Scratch arrays for one search."""
    n, slots = graph.seconds.shape
    ints = (np.zeros(n, np.int64), np.zeros(n, np.int64))
    per_slot = (np.zeros(slots), np.zeros(slots), np.zeros(slots), np.zeros(slots))
    return Work(np.zeros(n), *ints, *per_slot, np.zeros(MOST_OUT, np.int64), np.zeros(MOST_OUT))


def without_implied(problem: Problem) -> Links:
    """Parents of each task, less the ones that wait for nothing and come before another parent anyway."""
    position = {i: k for k, i in enumerate(problem.topological.tolist())}
    above = [0] * problem.n
    kept: list[tuple[int, int, float, float]] = []
    for i in problem.topological.tolist():
        covered = 0
        for parent, delay, transfer in sorted(problem.parents.rows(i), key=lambda row: -position[row[0]]):
            if delay or transfer or not covered >> parent & 1:
                kept.append((i, parent, delay, transfer))
            covered |= above[parent] | 1 << parent
        above[i] = covered
    of, to, delays, transfers = zip(*kept, strict=True) if kept else ((), (), (), ())
    return links(
        problem.n,
        np.array(of, np.int64),
        np.array(to, np.int64),
        np.array(delays, np.float64),
        np.array(transfers, np.float64),
    )


def parents_first(graph: Graph, order: list[int]) -> list[int]:
    """``order`` with every task moved behind its parents, otherwise kept."""
    placed = [False] * len(order)
    result: list[int] = []
    for i in order:
        stack = [i]
        while stack:
            at = stack[-1]
            parents = graph.parents.of(at).tolist()
            waiting = [p for p in parents if not placed[p]]
            if waiting:
                stack += waiting
                continue
            stack.pop()
            if not placed[at]:
                placed[at] = True
                result.append(at)
    return result
