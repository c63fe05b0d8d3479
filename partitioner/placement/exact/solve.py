"""One way to run CP-SAT for every model: two threads, a seed, a time limit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ortools.sat.python import cp_model

from partitioner.placement import clock

THREADS = 2
_LEAST_SECONDS = 0.01
_MOST_SECONDS = 1e6


@dataclass(frozen=True, slots=True)
class Answer:
    """What the solver found: ``solver`` holds the values when ``found``; ``bound`` of the objective, in its unit."""

    solver: Any
    found: bool
    proven: bool
    impossible: bool
    bound: float


def solve(model: Any, seed: int, deadline: float) -> Answer:
    """Solve ``model`` until ``deadline`` (a reading of ``clock.now()``)."""
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = THREADS
    solver.parameters.random_seed = seed % 2**31
    solver.parameters.max_time_in_seconds = min(_MOST_SECONDS, max(_LEAST_SECONDS, deadline - clock.now()))
    status = solver.solve(model)
    found = status in (cp_model.OPTIMAL, cp_model.FEASIBLE)
    return Answer(
        solver,
        found,
        status == cp_model.OPTIMAL,
        status == cp_model.INFEASIBLE,
        float(solver.best_objective_bound) if status != cp_model.MODEL_INVALID else 0.0,
    )
