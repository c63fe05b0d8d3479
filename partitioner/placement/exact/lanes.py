"""Where CP-SAT may put tasks: lanes with capacities over time, and how a lane's tasks are given to workers.

A pool of equal slots is one lane that holds as many tasks at once as it has slots: no symmetry between equal workers
is left to search. Where workers matter one by one (unequal demands, transfers), each worker is a lane. Each GPU
device of a worker is a capacity of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from partitioner.model.data import Floats, Ints
from partitioner.placement.problem import TOLERANCE, Problem

_UNITS = 10**6
_EXACT_UNITS = (1, 2, 4, 5, 8, 10, 16, 20, 100, 1_000)


@dataclass(frozen=True, slots=True)
class Lane:
    """``workers`` that share it (one unless it is a pool), their ``group``, and ``limit`` tasks at once (0: no count)."""

    workers: tuple[int, ...]
    group: int
    limit: int


def lanes_of(problem: Problem, apart: bool) -> list[Lane]:
    """Pools of equal slots, or one lane per worker where it matters which (``apart``) or tasks share unequally."""
    slots = problem.slots
    lanes = []
    for g, members in enumerate(problem.members):
        workers = tuple(int(j) for j in members)
        if slots is None:
            lanes += [Lane((j,), g, 0) for j in workers]
        elif apart or problem.uses_gpu.any():
            lanes += [Lane((j,), g, int(slots.per_group[g])) for j in workers]
        else:
            lanes.append(Lane(workers, g, int(slots.per_group[g]) * len(workers)))
    return [lane for lane in lanes if np.isfinite(problem.times_on(lane.group)).any()]


def workers_of_pool(lane: Lane, tasks: list[int], start: Floats, finish: Floats) -> dict[int, int]:
    """Task to worker for the tasks of one lane: first come, first free slot."""
    if len(lane.workers) == 1:
        return dict.fromkeys(tasks, lane.workers[0])
    per_worker = lane.limit // len(lane.workers)
    slots = [j for _ in range(per_worker) for j in lane.workers]
    free = np.zeros(len(slots))
    given = {}
    for i in sorted(tasks, key=lambda i: (start[i], finish[i], i)):
        open_slots = np.flatnonzero(free <= start[i] + TOLERANCE * max(1.0, float(start[i])))
        s = int(open_slots[0]) if len(open_slots) else int(np.argmin(free))
        given[i] = slots[s]
        free[s] = max(free[s], finish[i])
    return given


def whole_units(demand: Floats, capacity: float) -> tuple[Ints, int]:
    """Demands and a capacity as whole numbers: exact in a common step, else demands up and the capacity down."""
    limit = capacity if np.isfinite(capacity) else float(demand.sum()) + 1.0
    for step in _EXACT_UNITS:
        scaled = demand * step
        if np.all(np.abs(scaled - np.round(scaled)) <= 1e-9 * np.maximum(1.0, scaled)) and limit * step < 2**40:
            return np.round(scaled).astype(np.int64), int(np.floor(limit * step * (1 + TOLERANCE)))
    scaled = demand * (_UNITS / limit)
    return np.ceil(scaled * (1 - TOLERANCE)).astype(np.int64), _UNITS
