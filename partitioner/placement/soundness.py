"""What every schedule goes through before it becomes a plan, or the best one of a portfolio."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from partitioner.errors import InvalidPlan
from partitioner.model import Plan
from partitioner.placement.bounds.proof import proven
from partitioner.placement.check import check_schedule
from partitioner.placement.problem import Problem
from partitioner.placement.schedule import Schedule
from partitioner.placement.schedules.list_rules import list_schedule

_MOST_TO_REFUTE = 200_000
"""Pairs of task and worker up to which a claimed bound is held against a quick plan: below 0.1 s where slots do not help."""


def sound(problem: Problem, schedule: Any, name: str, proves: bool) -> Schedule:
    """``schedule`` with plain columns, all constraints met and a bound that is backed; InvalidPlan where it is not.

    ``name`` of the algorithm that made it (of a portfolio the winner is at fault), and whether it ``proves`` bounds.
    """
    made = _columns(problem, schedule, name)
    name = name if made.portfolio is None else made.portfolio.winner
    check_schedule(bare_plan(problem, made, name), made.before)
    if made.bound:
        _check_bound(problem, made, name, proves)
    return made


def bare_plan(problem: Problem, schedule: Schedule, name: str) -> Plan:
    """A plan without figures other than the makespan."""
    makespan = schedule.makespan
    return Plan(
        tasks=problem.tasks,
        workers=problem.workers,
        worker=schedule.worker,
        start=schedule.start,
        finish=schedule.finish,
        makespan=makespan,
        lower_bound=0.0,
        gap=float("inf") if makespan > 0 else 0.0,
        utilization=0.0,
        objective="makespan",
        value=makespan,
        algorithm=name,
        devices=dict(schedule.devices),
        bandwidth=problem.bandwidth,
    )


def _columns(problem: Problem, schedule: Any, name: str) -> Schedule:
    """The three columns as arrays of the right kind and length."""
    if not isinstance(schedule, Schedule):
        raise InvalidPlan(f"Placement {name!r} returned a {type(schedule).__name__}; ``solve`` returns a Schedule.")
    worker = _column(problem, schedule.worker, np.int32, "worker", name)
    start, finish = (_column(problem, getattr(schedule, c), np.float64, c, name) for c in ("start", "finish"))
    return replace(schedule, worker=worker, start=start, finish=finish)


def _column(problem: Problem, values: Any, kind: type, what: str, name: str) -> npt.NDArray[Any]:
    """One column: n entries, whole numbers for workers."""
    column = np.asarray(values)
    numeric = column.dtype.kind in ("iu" if kind is np.int32 else "iuf")
    if column.shape != (problem.n,) or not numeric:
        raise InvalidPlan(
            f"Placement {name!r} returned a column {what!r} of shape {column.shape} and type {column.dtype} for "
            f"{problem.n} tasks; it must hold {problem.n} {'whole numbers' if kind is np.int32 else 'numbers'}."
        )
    return column.astype(kind, copy=False)


def _check_bound(problem: Problem, schedule: Schedule, name: str, proves: bool) -> None:
    """Refuse a bound that nobody stands for, or that a quick plan refutes."""
    known = proven(problem)
    if not schedule.bound > known.seconds * (1 + 1e-9):
        return
    claim = f"Placement {name!r} claims that no plan ends before {schedule.bound:g} s"
    if not proves:
        raise InvalidPlan(
            f"{claim}; what can be backed is {known.seconds:g} s ({known.source}). An algorithm that proves more declares "
            "``proves = True``, and says by what in ``Schedule.bound_by``."
        )
    quick = problem.slots is not None and not problem.has_edges
    if quick or problem.n * problem.m <= _MOST_TO_REFUTE:
        ends = list_schedule(problem, -problem.fastest).makespan
        if schedule.bound > ends * (1 + 1e-9):
            raise InvalidPlan(f"{claim}, but 'lpt' has a plan that ends at {ends:g} s: the bound is wrong. Report it.")
