"""The independent checker: recomputes a plan from its assignments alone, sharing no code with the algorithms.

It reads tasks, workers and the (worker, start, finish) triples, and says everything that is wrong. Every plan passes
through it where it is made (``Algorithm.place``); ``pt.check_plan`` is for plans of any other origin.
"""

from __future__ import annotations

import numpy as np

from partitioner.errors import InvalidPlan
from partitioner.model import Plan
from partitioner.model.data import Codes
from partitioner.placement.checks.capacity import capacity
from partitioner.placement.checks.gpus import gpus
from partitioner.placement.checks.tasks import dependencies, durations, hard_deadlines, labels
from partitioner.placement.checks.violation import Violation, name_of

FIGURES = 1e-6
"""Relative slack of the figures that a plan claims, which are sums over all its tasks."""


def violations(plan: Plan, limit: int = 20, before: Codes | None = None) -> list[str]:
    """Sentences about everything that ``plan`` breaks, at most ``limit``; empty where the plan is sound.

    ``before`` int32[n]: for each task the one that its worker ran before it in the same slot, -1 for none. It may be
    wrong: it is a proof that no two tasks of a slot overlap only where it holds, and saves sorting then.
    """
    return [wrong.sentence for wrong in _all(plan, before)[:limit]]


def _all(plan: Plan, before: Codes | None) -> list[Violation]:
    wrong = _shape(plan)
    if wrong or not len(plan.tasks):
        return wrong
    return [*_constraints(plan, before), *hard_deadlines(plan), *_figures(plan)]


def _constraints(plan: Plan, before: Codes | None) -> list[Violation]:
    if not len(plan.tasks):
        return []
    return [*durations(plan), *labels(plan), *dependencies(plan), *capacity(plan, before), *gpus(plan)]


def check(plan: Plan, before: Codes | None = None) -> None:
    """InvalidPlan with the algorithm and what its plan breaks, where it breaks something."""
    _refuse(plan, _all(plan, before))


def check_schedule(plan: Plan, before: Codes | None = None) -> None:
    """As ``check``, of a plan without figures, that may still miss hard deadlines: to meet them may be impossible."""
    _refuse(plan, _shape(plan) or _constraints(plan, before))


def _refuse(plan: Plan, wrong: list[Violation]) -> None:
    if wrong:
        told = "; ".join(each.of(plan) for each in wrong[:3])
        more = f" {len(wrong) - 3} more are wrong." if len(wrong) > 3 else ""
        raise InvalidPlan(
            f"The plan of placement {plan.algorithm!r} is not valid: {told}.{more} "
            f"This is a defect of {plan.algorithm!r}, not of the input: report it, and use another algorithm, such as 'lpt'."
        )


def _shape(plan: Plan) -> list[Violation]:
    """One assignment per task, each to a worker that exists."""
    n = len(plan.tasks)
    if not (len(plan.worker) == len(plan.start) == len(plan.finish) == n):
        return [Violation(f"{n} tasks but {len(plan.worker)} assignments")]
    if n == 0:
        return [] if plan.makespan == 0 else [Violation("an empty plan must have makespan 0")]
    wrong = np.flatnonzero((plan.worker < 0) | (plan.worker >= len(plan.workers)))
    if len(wrong):
        i = int(wrong[0])
        where = f"task {name_of(plan, i)} goes to worker number {plan.worker[i]} of {len(plan.workers)}"
        return [Violation(f"an assignment names a worker that does not exist: {where}")]
    return []


def _figures(plan: Plan) -> list[Violation]:
    """Makespan, bound, gap and utilization that the plan claims."""
    found = []
    last = float(plan.finish.max())
    if not abs(plan.makespan - last) <= FIGURES * abs(last):
        found.append(Violation(f"makespan {plan.makespan} is said, the last finish is {last}"))
    if not 0 <= plan.lower_bound <= plan.makespan * (1 + FIGURES):
        found.append(Violation(f"lower bound {plan.lower_bound} above the makespan {plan.makespan}"))
    if plan.lower_bound > 0 and not abs(plan.gap - (plan.makespan / plan.lower_bound - 1)) <= FIGURES * (1 + plan.gap):
        found.append(Violation(f"gap {plan.gap} does not follow from makespan and bound"))
    if plan.lower_bound == 0 and plan.makespan > 0 and plan.gap != np.inf:
        found.append(Violation(f"gap {plan.gap} is said without a lower bound"))
    if not 0 <= plan.utilization <= 1:
        found.append(Violation(f"utilization {plan.utilization} outside [0, 1]"))
    return found
