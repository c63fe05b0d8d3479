"""Earliest deadline first; says which deadlines no placement can meet."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from partitioner.placement.base import EVERYTHING, Algorithm
from partitioner.placement.bounds.combinatorial import earliest_finishes
from partitioner.placement.objectives import Objective
from partitioner.placement.problem import TOLERANCE, Problem
from partitioner.placement.schedule import Schedule
from partitioner.placement.schedules.list_rules import list_schedule


class Edf(Algorithm):
    """Least deadline first (those of successors count for their predecessors), then longest; earliest finish."""

    name = "edf"
    suits = frozenset({"loss"})
    supports = EVERYTHING
    guarantee = "minimises the maximum lateness on one worker without releases"
    complexity = "O(n log n + n (G + log S)) for S slots in G groups of equal workers"
    source = "J. R. Jackson, Scheduling a production line to minimize maximum tardiness, UCLA (1955)"

    def share(self, problem: Problem) -> float:
        """Nothing without deadlines: it is lpt then."""
        return 1.0 if np.isfinite(problem.deadline).any() else 0.0

    def solve(self, problem: Problem, objective: Objective, seed: int, deadline: float) -> Schedule:
        """See ``Algorithm.solve``."""
        due = problem.deadline.copy()
        if problem.has_edges:
            for i in problem.topological[::-1].tolist():
                for child, delay, _ in problem.children.rows(i):
                    due[i] = min(due[i], due[child] - delay - problem.fastest[child])
        rank = np.empty(problem.n)
        rank[np.lexsort((np.arange(problem.n), -problem.fastest, due))] = np.arange(problem.n)
        schedule = list_schedule(problem, rank)
        hopeless = np.flatnonzero(earliest_finishes(problem) > problem.deadline * (1 + TOLERANCE))
        if not len(hopeless):
            return schedule
        names = [str(problem.tasks.task_id[i].as_py()) for i in hopeless[:20].tolist()]
        return replace(schedule, notes={"impossible_deadlines": len(hopeless), "impossible_first": names})
