"""Locality: prefer the workers that hold the data, wait for them only so long (delay scheduling)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from partitioner.placement.base import EVERYTHING, Algorithm
from partitioner.placement.objectives import Objective
from partitioner.placement.options import number, texts
from partitioner.placement.problem import Problem
from partitioner.placement.schedule import Schedule
from partitioner.placement.schedules.partial import Partial, precedence_order


class Locality(Algorithm):
    """Longest first, on the preferred worker unless another would start more than ``wait_seconds`` earlier.

    ``hosts`` maps a task id to the hosts that hold its fragments; without it a task prefers its
    ``preferred_host``.
    """

    name = "locality"
    role = "none"
    supports = EVERYTHING
    guarantee = "no task waits more than wait_seconds for its data"
    complexity = "O(n m) timeline look-ups"
    source = "M. Zaharia et al., Delay scheduling, EuroSys (2010)"

    def __init__(self, hosts: Mapping[str, Collection[str]] | None = None, wait_seconds: float = 3.0) -> None:
        self.hosts, self.wait_seconds = texts("hosts", hosts), number("wait_seconds", wait_seconds, 0)

    def solve(self, problem: Problem, objective: Objective, seed: int, deadline: float) -> Schedule:
        """See ``Algorithm.solve``."""
        wanted = self._wanted(problem)
        partial = Partial(problem)
        local = 0
        for i in precedence_order(problem, -problem.fastest).tolist():
            there = [j for j in partial.eligible(i) if problem.workers.host[j] in wanted[i]]
            choice = partial.best(i)
            if there:
                near = partial.best(i, there)
                if near[1] <= choice[1] + self.wait_seconds:
                    choice = near
            partial.place(i, choice[0], choice[1])
            local += problem.workers.host[choice[0]] in wanted[i]
        asked = sum(1 for hosts in wanted if hosts)
        return replace(partial.schedule(), notes={"local": local, "with_preference": asked})

    def _wanted(self, problem: Problem) -> list[frozenset[str]]:
        """The hosts each task prefers."""
        known = frozenset(problem.workers.host) - {""}
        if self.hosts is not None:
            ids = problem.tasks.task_id.to_pylist()
            return [frozenset(self.hosts.get(name, ())) & known for name in ids]
        preferred = problem.tasks.preferred_host or ("",) * problem.n
        return [frozenset([host]) & known for host in preferred]
