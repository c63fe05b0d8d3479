"""On-line: the next task to the worker with the lowest monitored load that it fits; needs no forecast."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from partitioner.errors import ConfigError, nearest
from partitioner.model.data import Floats
from partitioner.placement.base import EVERYTHING, Algorithm
from partitioner.placement.objectives import Objective
from partitioner.placement.options import numbers
from partitioner.placement.problem import Problem
from partitioner.placement.schedule import Schedule
from partitioner.placement.schedules.list_rules import by_load
from partitioner.placement.schedules.partial import Partial
from partitioner.placement.schedules.worker_queues import run_assigned


class Dynamic(Algorithm):
    """Arrival order; the moment a worker has room the next task goes there, to the least loaded of those with room.

    ``loads`` (worker id to load, seconds) is what monitoring reports before the first task.
    """

    name = "dynamic"
    role = "none"
    supports = EVERYTHING
    guarantee = "2 - 1/m on identical workers; durations need not be known"
    complexity = "O(n (G + log S)); O(n m) with reported loads or shared workers"
    source = "R. L. Graham, Bounds for certain multiprocessing anomalies, Bell System Tech. J. 45 (1966)"

    def __init__(self, loads: Mapping[str, float] | None = None) -> None:
        self.loads = numbers("loads", loads)

    def solve(self, problem: Problem, objective: Objective, seed: int, deadline: float) -> Schedule:
        """See ``Algorithm.solve``."""
        if not self.loads:
            return by_load(problem, np.arange(problem.n), with_room)
        unknown = sorted(set(self.loads) - set(problem.workers.worker_id))
        if unknown:
            close = nearest(unknown[0], list(problem.workers.worker_id))
            raise ConfigError(f"loads name worker {unknown[0]!r}, which is not among the workers.{close}")
        load: Floats = np.array([self.loads.get(name, 0.0) for name in problem.workers.worker_id])
        worker = np.empty(problem.n, np.int64)
        order = problem.topological
        for i in order.tolist():
            times = problem.times_of(i)[problem.group_of]
            worker[i] = int(np.argmin(np.where(np.isfinite(times), load, np.inf)))
            load[worker[i]] += times[worker[i]]
        return run_assigned(problem, worker, order)


def with_room(partial: Partial, i: int) -> tuple[int, float, float]:
    """The least loaded among the workers on which task i starts first."""
    options = [(*partial.earliest(i, j), j) for j in partial.eligible(i)]
    first = min(start for start, _, _ in options)
    start, finish, j = min((o for o in options if o[0] <= first), key=lambda o: (partial.load[o[2]], o[2]))
    return j, start, finish
