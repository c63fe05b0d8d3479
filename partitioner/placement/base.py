"""The contract of a placement algorithm: what it declares, what it returns, and how a plan is made of that."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from partitioner.errors import ConfigError, InvalidPlan
from partitioner.model import Explanation, Plan, SubTasks, Workers
from partitioner.placement.bounds.proof import proven
from partitioner.placement.budget import budget_of
from partitioner.placement.objectives import Objective, objective_of, utilization
from partitioner.placement.options import number
from partitioner.placement.problem import Problem
from partitioner.placement.schedule import Schedule
from partitioner.placement.soundness import bare_plan, sound

NEVER = float("inf")


@dataclass(frozen=True, slots=True, kw_only=True)
class Supports:
    """What an algorithm can handle beyond independent tasks on identical one-task workers.

    ``uniform``: workers differ in speed; ``unrelated``: times by class, or tasks that only some workers may run;
    ``several``: tasks with unequal demands share a worker (capacity per resource at every instant);
    ``fractions``: tasks share a GPU; ``dependencies`` with delays; ``releases``; ``hard_deadlines``;
    ``max_tasks``: more than that are refused.
    """

    uniform: bool = False
    unrelated: bool = False
    several: bool = False
    fractions: bool = False
    dependencies: bool = False
    releases: bool = False
    hard_deadlines: bool = False
    max_tasks: int | None = None


INDEPENDENT = Supports(uniform=True, unrelated=True, several=True, fractions=True, releases=True, hard_deadlines=True)
"""Everything but dependencies."""
EVERYTHING = replace(INDEPENDENT, dependencies=True)

_MEANING = {
    "uniform": "workers of different speeds",
    "unrelated": "times that depend on the worker class or tasks that only some workers can run",
    "several": "tasks of unequal demands sharing a worker",
    "fractions": "fractions of a GPU",
    "dependencies": "dependencies",
    "releases": "release times",
    "hard_deadlines": "hard deadlines",
}


def needs_of(problem: Problem) -> Supports:
    """What an algorithm must support to solve ``problem``."""
    alike = problem.identical
    related = problem.related and problem.eligible_everywhere
    return Supports(
        uniform=not alike and related,
        unrelated=not alike and not related,
        several=problem.slots is None,
        fractions=problem.has_fractions,
        dependencies=problem.has_edges,
        releases=problem.has_releases,
        hard_deadlines=bool(problem.hard.any()),
        max_tasks=problem.n,
    )


def refusals(supports: Supports, problem: Problem) -> list[str]:
    """What ``problem`` needs and ``supports`` lacks, in words; empty where it can be solved."""
    needs = needs_of(problem)
    lacking = [text for name, text in _MEANING.items() if getattr(needs, name) and not getattr(supports, name)]
    return lacking + ([] if supports.max_tasks is None else above(problem.n, "tasks", supports.max_tasks))


def above(count: int, what: str, limit: int) -> list[str]:
    """A refusal where ``count`` is above ``limit``; else none."""
    return [f"{count} {what} (its limit is {limit})"] if count > limit else []


class Algorithm(ABC):
    """One placement algorithm. Subclasses declare and ``solve``; ``place`` is the contract that everything calls.

    ``guarantee`` and ``complexity`` are sentences for the documentation, ``source`` the paper. ``anytime``: it can use
    all the time it is given, and stops at the deadline. ``role`` in the portfolio of ``auto``: ``list`` runs once and fast,
    ``search`` improves a known schedule while there is time, ``exact`` may prove an optimum and gets what time is left,
    ``none`` takes no part (baselines, algorithms with parameters of their own). ``quadratic``: made for task
    graphs, the time grows faster than n m; the portfolio leaves it out of large problems. ``proves``: its schedules may
    bring a lower bound on the makespan of their own; without it a bound above the combinatorial one is refused.
    ``counts``: it looks at ``placement.clock`` alone and tells it what it does, so that it can be given steps instead of
    seconds and then makes the same plan on every run. ``spreads``: equal tasks go to all equal workers before two share
    one; False where packing tight, or chance, is the idea. ``turn``: its place in the portfolio among those of its role,
    the least first, 50 where it does not matter; ``suits``: objectives it is made for, beside the makespan.

    What ``solve`` returns passes the independent checker (``placement/check.py``) before anybody sees it; a schedule that
    breaks a duration, release, label, dependency or capacity, or claims a bound that is not one, raises InvalidPlan.
    """

    name: ClassVar[str]
    supports: ClassVar[Supports]
    guarantee: ClassVar[str]
    complexity: ClassVar[str]
    source: ClassVar[str] = ""
    anytime: ClassVar[bool] = False
    default_seconds: ClassVar[float] = NEVER
    role: ClassVar[str] = "list"
    proves: ClassVar[bool] = False
    spreads: ClassVar[bool] = True
    counts: ClassVar[bool] = False
    turn: ClassVar[int] = 50
    suits: ClassVar[frozenset[str]] = frozenset()
    quadratic: ClassVar[bool] = False

    @abstractmethod
    def solve(self, problem: Problem, objective: Objective, seed: int, deadline: float) -> Schedule:
        """A feasible schedule; ``deadline`` is a reading of ``clock.now()`` after which to stop (infinity: none).

        Unless steps are counted, which only an algorithm that ``counts`` is asked to do, that is ``time.monotonic()``.
        """

    def improve(self, problem: Problem, known: Schedule, objective: Objective, seed: int, deadline: float) -> Schedule:
        """A schedule from a ``known`` feasible one; searches that can start from one override this."""
        return self.solve(problem, objective, seed, deadline)

    def share(self, problem: Problem) -> float:
        """Its part of the time that ``auto`` divides among searches and exact methods on ``problem``; 0: it stays out."""
        return 3.0 if self.role == "exact" else 1.0

    def refusals(self, problem: Problem) -> list[str]:
        """Why this algorithm cannot solve ``problem``, in words; empty where it can."""
        return refusals(self.supports, problem)

    def place(
        self,
        tasks: SubTasks,
        workers: Workers,
        objective: str | Mapping[str, float] = "makespan",
        seed: int = 0,
        time_limit: float | None = None,
        bandwidth: float = NEVER,
        steps: int | None = None,
    ) -> Plan:
        """Plan ``tasks`` on ``workers``.

        ``objective`` is a name or weights by name; ``bandwidth`` bytes per second between workers. ``steps``: how much
        may be done, in millionths of about a second of one core, counted: the same input, seed and steps give the same
        plan on every run. ``time_limit`` in seconds instead: the plan then depends on how far the search came. Without
        either it is counted, up to what the algorithm thinks fit.

        Raises ConfigError for invalid input or an instance the algorithm does not support, InfeasiblePlan where no
        placement can meet the demands.
        """
        from partitioner.placement.feasible import check_feasible

        begun = time.monotonic()
        budget = budget_of(self.name, self.counts, self.anytime, self.default_seconds, time_limit, steps)
        goal = objective_of(objective)
        if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
            raise ConfigError(f"seed {seed!r}: it must be a whole number of at least 0")
        if bandwidth != NEVER:
            number("bandwidth", bandwidth, 0, above=True)
        problem = Problem(tasks, workers, bandwidth)
        if not problem.n:
            return _empty_plan(problem, goal, self.name, seed)
        check_feasible(problem)
        lacking = self.refusals(problem)
        if lacking:
            raise ConfigError(f"placement {self.name!r} does not support {'; '.join(lacking)}. Use 'auto'.")
        with budget.running() as deadline:
            found = self.solve(problem, goal, seed, deadline)
        schedule = sound(problem, found, self.name, self.proves)
        return plan_of(problem, schedule, goal, self.name, seed, begun)


def plan_of(problem: Problem, schedule: Schedule, objective: Objective, name: str, seed: int, begun: float) -> Plan:
    """The plan of a schedule that passed the checker; InfeasiblePlan where a hard deadline is missed."""
    from partitioner.placement.feasible import check_hard_deadlines

    check_hard_deadlines(problem, schedule, name)
    shares = utilization(problem, schedule)
    about = Explanation(
        utilization=shares,
        deadlines_missed=int(np.count_nonzero(schedule.finish > problem.deadline * (1 + 1e-9))),
        portfolio=schedule.portfolio,
        notes=dict(schedule.notes),
    )
    plan = replace(
        bare_plan(problem, schedule, name),
        utilization=float(np.mean(list(shares.values()))) if shares else 0.0,
        objective=objective.name,
        value=objective.value(problem, schedule),
        seed=seed,
        about=about,
    )
    bound, which = proven(problem).or_higher(schedule.bound, schedule.bound_by or name)
    return replace(with_bound(plan, bound, which), planning_seconds=time.monotonic() - begun)


def with_bound(plan: Plan, bound: float, which: str) -> Plan:
    """The plan measured by a lower bound on the makespan, seconds, and what that comes from."""
    if bound > plan.makespan * (1 + 1e-9) + 1e-12:
        raise InvalidPlan(
            f"Placement {plan.algorithm!r} claims the lower bound {bound:g} s by {which}, its own plan ends at "
            f"{plan.makespan:g} s. This is a defect, not of the input: report it, and use another algorithm."
        )
    bound = min(bound, plan.makespan) + 0.0  # no -0
    gap = plan.makespan / bound - 1 if bound > 0 else (0.0 if plan.makespan == 0 else NEVER)
    return replace(plan, lower_bound=bound, gap=gap, about=replace(plan.about, bound_by=which))


def _empty_plan(problem: Problem, objective: Objective, name: str, seed: int) -> Plan:
    """The plan of nothing: every figure 0."""
    none = np.empty(0, np.float64)
    nothing = bare_plan(problem, Schedule(np.empty(0, np.int32), none, none), name)
    return replace(nothing, gap=0.0, objective=objective.name, seed=seed, about=Explanation(bound_by="no tasks"))
