"""Event-driven packing: tasks start the moment something fits; a rule chooses the worker, or the task for a freed worker."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace

import numpy as np

from partitioner.model.data import Ints
from partitioner.placement import clock
from partitioner.placement.base import INDEPENDENT, Algorithm
from partitioner.placement.objectives import Objective
from partitioner.placement.problem import Problem
from partitioner.placement.schedule import Schedule
from partitioner.placement.schedules.cluster_state import ClusterState
from partitioner.placement.schedules.start_events import run_events


class Packing(Algorithm):
    """Base of the packing rules. ``choose`` picks a worker for one task, which is all that an on-line scheduler needs.

    Off line the tasks are ranked by the machine share they need times how long they need it. At the start each goes to the
    worker that ``choose`` says; later a worker with room takes the first waiting task, in that rank, that fits.
    """

    supports = replace(INDEPENDENT, max_tasks=20_000)
    complexity = "O(n m K) at the start, O(n K) per finish"

    @abstractmethod
    def choose(self, state: ClusterState, i: int, able: Ints) -> int:
        """The worker, of those in ``able`` (where task i fits now), that gets task i."""

    def prepare(self, problem: Problem) -> None:
        """Called once per problem before the first choice."""

    def solve(self, problem: Problem, objective: Objective, seed: int, deadline: float) -> Schedule:
        """See ``Algorithm.solve``."""
        self.prepare(problem)
        begun = clock.now()
        best = run_events(problem, rank_by_area(problem), self.choose)
        clock.spend(problem.n * (40 + 0.1 * problem.m))
        if begun + 2.5 * (clock.now() - begun) > deadline:
            return best
        other = run_events(problem, np.argsort(-problem.fastest, kind="stable"), self.choose)
        return min(best, other, key=lambda found: found.makespan)


def rank_by_area(problem: Problem) -> Ints:
    """int64[n]: by duration x the largest share of a worker that the task takes, largest first."""
    state = ClusterState(problem)
    part = (problem.demand / state.largest).max(axis=1, initial=0.0)
    if problem.uses_gpu.any():
        part = np.maximum(part, problem.gpus / max(1, int(state.devices.max(initial=1))))
    return np.argsort(-(np.maximum(part, 1e-9) * problem.fastest), kind="stable")
