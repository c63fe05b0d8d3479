"""Scheduling alone: tables in, a plan out. ``place`` runs one algorithm, ``compare`` every applicable one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from partitioner import choices, registry
from partitioner.errors import MissingDependency, PartitionerError
from partitioner.model import Plan
from partitioner.placement.base import Algorithm, with_bound
from partitioner.placement.budget import budget_of
from partitioner.placement.check import check
from partitioner.placement.clock import STEP_SECONDS
from partitioner.placement.feasible import check_feasible, check_load_bound
from partitioner.placement.objectives import objective_of
from partitioner.placement.problem import Problem
from partitioner.placement.tables import tasks_from, workers_from


def place(
    tasks: Any,
    workers: Any,
    edges: Any = None,
    algorithm: Any = "auto",
    objective: str | Mapping[str, float] = "makespan",
    seed: int = 0,
    time_limit: float | None = None,
    bandwidth: float = float("inf"),
    load_bound: float | None = None,
    load_weights: Mapping[str, float] | None = None,
    steps: int | None = None,
) -> Plan:
    """Plan ``tasks`` on ``workers``.

    Tables are paths to CSV or Parquet, pandas or Arrow tables, lists of dicts, or ``SubTasks`` and ``Workers``; their
    columns are those of ``partitioner.placement.tables``. ``algorithm``: a name, a mapping of a name and options
    (``{"algorithm": "urgent", "share": 0.2}``), ``module:Class``, or an instance. ``objective`` is a name or weights by
    name; ``bandwidth`` bytes per second between two workers, for the ``bytes`` of edges; ``load_bound`` limits the
    seconds of each worker, weighted by ``load_weights`` (by task id).

    Without limits the same tables and seed give the same plan on every run: what is done is counted. ``steps`` is how much,
    in millionths of about a second; ``time_limit`` in seconds instead lets the clock decide. Raises ConfigError,
    InfeasiblePlan, or InvalidPlan where the algorithm is at fault.
    """
    chosen: Algorithm = choices.choose("placements", algorithm)
    limits: dict[str, Any] = {"time_limit": time_limit} if steps is None else {"time_limit": time_limit, "steps": steps}
    plan = chosen.place(
        tasks_from(tasks, edges), workers_from(workers), objective, seed=seed, bandwidth=bandwidth, **limits
    )
    if type(chosen).place is not Algorithm.place:
        check(plan)
    if load_bound is not None:
        check_load_bound(plan, load_bound, load_weights)
    return plan


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """Plans of one instance side by side, all measured by the best lower bound that any of them proved.

    ``refused`` maps an algorithm to why it did not take part.
    """

    plans: tuple[Plan, ...]
    refused: Mapping[str, str]

    def rows(self) -> list[dict[str, Any]]:
        """One row of figures per plan, the best makespan first."""
        return [_figures(plan) for plan in sorted(self.plans, key=lambda p: (p.makespan, p.algorithm))]

    @property
    def best(self) -> Plan:
        """The plan with the best value of the objective."""
        sign = -1.0 if self.plans[0].objective == "utilization" else 1.0
        return min(self.plans, key=lambda p: sign * p.value)

    def to_json(self) -> dict[str, Any]:
        """Plain values: the rows and the refusals."""
        return {"rows": self.rows(), "refused": dict(self.refused)}

    def to_text(self) -> str:
        """The table for a terminal."""
        from partitioner.placement.explain.comparison import to_text

        return to_text(self.rows(), self.refused)

    def to_html(self) -> str:
        """One self-contained page: the table and a Gantt picture of the best plan."""
        from partitioner.placement.explain.comparison import to_html

        return to_html(self.rows(), self.refused, self.best if self.plans else None)

    def __str__(self) -> str:
        return self.to_text()

    def _repr_html_(self) -> str:
        return self.to_html()


COMPARED_SECONDS = 5.0
"""What each algorithm may do in a comparison by default: seconds, counted in steps where it counts."""


def compare(
    tasks: Any,
    workers: Any,
    edges: Any = None,
    algorithms: Iterable[Any] | None = None,
    objective: str | Mapping[str, float] = "makespan",
    seed: int = 0,
    time_limit: float | None = None,
    bandwidth: float = float("inf"),
    steps: int | None = None,
) -> Comparison:
    """Every applicable algorithm (or those given) on one instance; arguments as in ``place``.

    ``time_limit`` and ``steps`` are for each algorithm, by default as many steps as make about 5 s. An instance that nothing
    can solve raises; an algorithm that does not support it, whose package is missing or whose plan does not pass the checker
    is listed in ``refused`` with the reason.
    """
    given, onto = tasks_from(tasks, edges), workers_from(workers)
    objective_of(objective)
    budget_of("compare", True, True, COMPARED_SECONDS, time_limit, steps)
    if len(given):
        check_feasible(Problem(given, onto, bandwidth))
    members = _members(registry.names("placements") if algorithms is None else algorithms, algorithms is not None)
    plans, refused = [], {}
    for name, chosen in members:
        try:
            if isinstance(chosen, PartitionerError):
                raise chosen
            limits = _limits(chosen, time_limit, steps)
            plan = chosen.place(given, onto, objective, seed=seed, bandwidth=bandwidth, **limits)
            check(plan)
            plans.append(plan)
        except PartitionerError as error:
            refused[name] = str(error)
    if plans:
        bound, which = max((plan.lower_bound, plan.about.bound_by) for plan in plans)
        plans = [with_bound(plan, bound, which) for plan in plans]
    return Comparison(tuple(plans), refused)


def _members(wanted: Iterable[Any], strict: bool) -> list[tuple[str, Any]]:
    """Name and algorithm, or the error of one whose package is missing; a wrong choice raises where they were given."""
    found: list[tuple[str, Any]] = []
    for spec in wanted:
        try:
            chosen = choices.choose("placements", spec)
        except PartitionerError as error:
            if strict and not isinstance(error, MissingDependency):
                raise
            chosen = error
        found.append((spec if isinstance(spec, str) else str(chosen.name), chosen))
    return found


def _limits(chosen: Algorithm, time_limit: float | None, steps: int | None) -> dict[str, Any]:
    """The limit given, else the default in steps, or in seconds for one that does not count."""
    if steps is not None:
        return {"steps": steps}
    if time_limit is None and chosen.counts:
        return {"steps": int(COMPARED_SECONDS / STEP_SECONDS)}
    return {"time_limit": COMPARED_SECONDS if time_limit is None else time_limit}


def _figures(plan: Plan) -> dict[str, Any]:
    """What the table shows of one plan."""
    from partitioner.placement.objectives import loss, money
    from partitioner.placement.schedule import Schedule

    problem = Problem(plan.tasks, plan.workers)
    schedule = Schedule(plan.worker, plan.start, plan.finish)
    return {
        "algorithm": plan.algorithm,
        "makespan": plan.makespan,
        "lower_bound": plan.lower_bound,
        "gap": plan.gap,
        "utilization": plan.utilization,
        "loss": loss(problem, schedule),
        "money": money(problem, schedule),
        "value": plan.value,
        "planning_seconds": plan.planning_seconds,
        "proven_optimal": plan.proven_optimal,
    }
