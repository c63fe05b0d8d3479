"""Exact placement by constraint programming: CP-SAT with every constraint and objective, within a time limit."""

from __future__ import annotations

import numpy as np

from partitioner.errors import InfeasiblePlan
from partitioner.model.data import Floats, Ints
from partitioner.model.explanation import Figure
from partitioner.placement import clock
from partitioner.placement.algorithms.graph_search import GraphSearch
from partitioner.placement.algorithms.local_search import LocalSearch
from partitioner.placement.base import EVERYTHING, Algorithm, above
from partitioner.placement.bounds.proof import proven
from partitioner.placement.exact.assignment import fits_assignment, solve_assignment
from partitioner.placement.exact.intervals import IntervalModel
from partitioner.placement.exact.lanes import workers_of_pool
from partitioner.placement.exact.objective import cost_expression, needs_workers_apart
from partitioner.placement.exact.solve import Answer, solve
from partitioner.placement.exact.ticks import Ticks, ticks_of
from partitioner.placement.objectives import Objective, ranking
from partitioner.placement.problem import Problem
from partitioner.placement.schedule import Schedule
from partitioner.placement.schedules.insertion import Insertion
from partitioner.placement.search.seeds import start_plans

_PAIR_LIMIT = 60_000
_SHARE_FOR_SEARCH = 0.1
_SEARCH_SECONDS_PER_TASK = 0.005


class CpSat(Algorithm):
    """An assignment model for independent tasks, an interval model for the rest; starts from a short search.

    ``plan.lower_bound`` holds the bound that the solver proved; proven optimal when it meets the makespan.
    """

    name = "cp_sat"
    counts = True
    proves = True
    role = "exact"
    supports = EVERYTHING
    guarantee = "optimal when it ends before the time limit; otherwise its best plan and a proven bound"
    complexity = "exponential in the worst case; use up to some hundred tasks, or 60,000 pairs of task and worker"
    source = "Perron, Didier and Gay 2023, https://doi.org/10.4230/LIPIcs.CP.2023.3"
    anytime = True
    default_seconds = 10.0

    def share(self, problem: Problem) -> float:
        """Less on task graphs over slots: it ends soon there, or not at all."""
        return 2.5 if problem.has_edges and problem.slots is not None else 3.0

    def refusals(self, problem: Problem) -> list[str]:
        """As declared, and by the size of the model."""
        return super().refusals(problem) + above(problem.n * problem.m, "pairs of task and worker", _PAIR_LIMIT)

    def solve(self, problem: Problem, objective: Objective, seed: int, deadline: float) -> Schedule:
        """The best schedule found until ``deadline``; InfeasiblePlan where hard deadlines are proved impossible."""
        now = clock.now()
        spare = min(_SHARE_FOR_SEARCH * (deadline - now), _SEARCH_SECONDS_PER_TASK * problem.n)
        known = start_plans(problem, objective, now + spare)[0]
        search = LocalSearch() if fits_assignment(problem, objective.is_makespan) else GraphSearch()
        known = search.improve(problem, known, objective, seed, now + spare)
        return self.improve(problem, known, objective, seed, deadline)

    def improve(self, problem: Problem, known: Schedule, objective: Objective, seed: int, deadline: float) -> Schedule:
        """As ``solve``, starting from ``known`` and never worse than it."""
        if fits_assignment(problem, objective.is_makespan):
            return solve_assignment(problem, known, seed, deadline)
        return _solve_intervals(problem, objective, known, seed, deadline)


def _solve_intervals(problem: Problem, objective: Objective, hint: Schedule, seed: int, deadline: float) -> Schedule:
    relaxed = problem.hard.any() or not objective.is_makespan
    longest = _serial_seconds(problem) if relaxed else hint.makespan
    ticks = ticks_of(
        [problem.matrix, problem.parents.delay, problem.parents.transfer, problem.release, problem.deadline], longest
    )
    built = IntervalModel(problem, ticks, ticks.up(longest), needs_workers_apart(objective))
    least = ticks.up(proven(problem, hint).seconds * (1 - 1e-9)) if ticks.exact else 0
    built.model.minimize(cost_expression(built, objective, built.add_makespan(least)))
    if ranking(problem, hint, objective)[0] == 0:
        built.add_hint(hint)
    answer = solve(built.model, seed, deadline)
    if answer.impossible and ticks.exact and problem.hard.any():
        raise InfeasiblePlan(
            f"The {int(problem.hard.sum())} hard deadlines cannot all be met: CP-SAT proved that no plan does. "
            "Relax a deadline or add workers."
        )
    plans = [hint]
    if answer.found:
        plans.append(_read(built, answer))
    best = min(plans, key=lambda plan: ranking(problem, plan, objective))
    return _with_bound(best, answer, ticks, objective)


def _with_bound(best: Schedule, answer: Answer, ticks: Ticks, objective: Objective) -> Schedule:
    """The schedule with what was proved: a bound on the makespan, or a note on that of another objective."""
    notes: dict[str, Figure] = {"solver_proved": answer.proven and ticks.exact}
    bound = 0.0
    if objective.is_makespan and not answer.impossible:
        bound = min(ticks.seconds(answer.bound), best.makespan)
    elif not answer.impossible:
        notes["objective_bound"] = answer.bound
    return Schedule(best.worker, best.start, best.finish, bound, notes, best.devices, "CP-SAT")


def _serial_seconds(problem: Problem) -> float:
    """By when everything could be done one after the other, on the slowest workers, transfers included."""
    slowest = np.where(np.isfinite(problem.matrix), problem.matrix, 0.0).max(axis=1)
    links = problem.parents
    return float(slowest.sum() + problem.release.max() + links.delay.sum() + links.transfer.sum())


def _read(built: IntervalModel, answer: Answer) -> Schedule:
    """The solver's plan with every task moved to its earliest start, in order of the solver's starts."""
    problem, value = built.problem, answer.solver.value
    start = np.array([value(x) for x in built.start], np.int64)
    finish = np.array([value(x) for x in built.end], np.int64)
    worker = _workers(built, answer, start.astype(np.float64), finish.astype(np.float64))
    if problem.uses_gpu.any() and built.ticks.exact:
        return _as_solved(built, answer, start, worker)
    place = np.empty(problem.n, np.int64)
    place[problem.topological] = np.arange(problem.n)
    again = Insertion(problem)
    for i in np.lexsort((place, start)).tolist():
        j = int(worker[i])
        again.put(i, j, again.ready_times(i)[j])
    return again.schedule()


def _workers(built: IntervalModel, answer: Answer, start: Floats, finish: Floats) -> Ints:
    """int64[n]: the worker of each task; a pool's tasks go to its free slots."""
    worker = np.empty(built.problem.n, np.int64)
    members: list[list[int]] = [[] for _ in built.lanes]
    for i, options in enumerate(built.on):
        members[next(k for k, flag in options.items() if answer.solver.value(flag))].append(i)
    for lane, tasks in zip(built.lanes, members, strict=True):
        for i, j in workers_of_pool(lane, tasks, start, finish).items():
            worker[i] = j
    return worker


def _as_solved(built: IntervalModel, answer: Answer, start: Ints, worker: Ints) -> Schedule:
    """The solver's starts and devices as they are; moving tasks could change which device fits."""
    problem = built.problem
    begin = np.array([built.ticks.seconds(float(s)) for s in start])
    lasting = problem.matrix[np.arange(problem.n), problem.group_of[worker]]
    devices = {
        i: tuple(d for (_, d), flag in held.items() if answer.solver.value(flag))
        for i, held in enumerate(built.used)
        if held
    }
    return Schedule(worker.astype(np.int32), begin, begin + lasting, devices=devices)
