"""The assignment model of CP-SAT: independent tasks, one at a time per slot, shortest makespan."""

from __future__ import annotations

from typing import Any

import numpy as np
from ortools.sat.python import cp_model

from partitioner.model.data import Ints
from partitioner.placement.bounds.proof import Bound, proven
from partitioner.placement.exact.solve import solve
from partitioner.placement.exact.ticks import Ticks, ticks_of
from partitioner.placement.problem import Problem
from partitioner.placement.schedule import Schedule
from partitioner.placement.schedules.sequence import run_in_order, slots_of


def fits_assignment(problem: Problem, makespan: bool) -> bool:
    """Whether who runs what is all there is to decide."""
    return (
        makespan
        and problem.slots is not None
        and not (problem.has_edges or problem.has_releases or problem.hard.any() or problem.uses_gpu.any())
    )


def solve_assignment(problem: Problem, hint: Schedule, seed: int, deadline: float) -> Schedule:
    """The best assignment found, with the bound proved; never worse than ``hint``."""
    ticks = ticks_of([problem.matrix], hint.makespan)
    slots = slots_of(problem)
    model = cp_model.CpModel()
    given = _slot_of_hint(problem, hint)
    most = ticks.up(hint.makespan)
    longest = model.new_int_var(min(most, _ticks_of_bound(proven(problem, hint), ticks)), most, "makespan")
    chosen: list[dict[int, Any]] = [{} for _ in range(problem.n)]
    loads: list[list[Any]] = [[] for _ in range(len(slots))]
    durations = np.stack([ticks.down(np.nan_to_num(problem.times_on(g), posinf=0.0)) for g in range(problem.groups)])
    for s in range(len(slots)):
        g = int(slots.group[s])
        able = np.isfinite(problem.times_on(g)) & (durations[g] <= most)
        for i in np.flatnonzero(able).tolist():
            chosen[i][s] = model.new_bool_var("")
            model.add_hint(chosen[i][s], int(given[i] == s))
            loads[s].append(int(durations[g, i]) * chosen[i][s])
    for options in chosen:
        model.add_exactly_one(options.values())
    fuller: dict[int, list[Any]] = {}  # by group, the load of the slot before
    for s, load in enumerate(loads):
        model.add(sum(load) <= longest)
        g = int(slots.group[s])
        if g in fuller:
            model.add(sum(fuller[g]) >= sum(load))
        fuller[g] = load
    model.minimize(longest)
    answer = solve(model, seed, deadline)
    bound = ticks.seconds(answer.bound)
    best = hint
    if answer.found:
        slot = np.array([next(s for s, x in options.items() if answer.solver.value(x)) for options in chosen], np.int64)
        best = min(hint, run_in_order(problem, slot), key=lambda schedule: schedule.makespan)
    notes = {"solver_proved": answer.proven and ticks.exact}
    return Schedule(best.worker, best.start, best.finish, min(bound, best.makespan), notes, bound_by="CP-SAT")


def _ticks_of_bound(bound: Bound, ticks: Ticks) -> int:
    """What the plain lower bounds already say, in ticks."""
    return ticks.up(bound.seconds * (1 - 1e-9)) if ticks.exact else 0


def _slot_of_hint(problem: Problem, hint: Schedule) -> Ints:
    """int64[n]: a slot of the hint's worker for each task, in order of load so that the symmetry rule holds."""
    slots = slots_of(problem)
    slot = np.full(problem.n, -1, np.int64)
    free = np.zeros(len(slots))
    for i in np.argsort(hint.start, kind="stable").tolist():
        mine = np.flatnonzero(slots.worker == hint.worker[i])
        s = int(mine[np.argmin(free[mine])])
        slot[i], free[s] = s, hint.finish[i]
    load = np.bincount(slot, weights=hint.finish - hint.start, minlength=len(slots))
    place = np.empty(len(slots), np.int64)
    for g in range(problem.groups):
        mine = np.flatnonzero(slots.group == g)
        place[mine[np.argsort(-load[mine], kind="stable")]] = mine
    return place[slot]
