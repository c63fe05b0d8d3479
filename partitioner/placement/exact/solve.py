"""One way to run CP-SAT for every model: two threads, a seed, a limit in seconds or, where steps count, in its own steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ortools.sat.python import cp_model

from partitioner.placement import clock

THREADS = 2
_LEAST_SECONDS = 0.01
_MOST_SECONDS = 1e6
_STEPS_TO_LOAD = 60.0
"""Steps per variable and constraint for building and presolving a model, which deterministic time leaves out."""
_SECONDS_OF_SOLVER = 2.0
"""About so long takes what CP-SAT calls one second of deterministic time."""


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
    clock.spend(_STEPS_TO_LOAD * (len(model.proto.variables) + len(model.proto.constraints)))
    left = min(_MOST_SECONDS, max(_LEAST_SECONDS, deadline - clock.now()))
    if clock.is_counted():
        solver.parameters.max_deterministic_time = left / _SECONDS_OF_SOLVER
        solver.parameters.interleave_search = True
    else:
        solver.parameters.max_time_in_seconds = left
    status = solver.solve(model)
    clock.spend(solver.response_proto.deterministic_time * _SECONDS_OF_SOLVER / clock.STEP_SECONDS)
    found = status in (cp_model.OPTIMAL, cp_model.FEASIBLE)
    return Answer(
        solver,
        found,
        status == cp_model.OPTIMAL,
        status == cp_model.INFEASIBLE,
        float(solver.best_objective_bound) if status != cp_model.MODEL_INVALID else 0.0,
    )
