"""Scheduling alone: tables in, a plan out. ``place`` runs one algorithm, ``compare`` every applicable one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from partitioner import registry
from partitioner.errors import ConfigError, PartitionerError
from partitioner.model import Plan
from partitioner.placement.base import with_bound
from partitioner.placement.feasible import check_feasible, check_load_bound
from partitioner.placement.objectives import objective_of
from partitioner.placement.problem import Problem
from partitioner.placement.tables import tasks_from, workers_from


def place(
    tasks: Any,
    workers: Any,
    edges: Any = None,
    algorithm: str = "auto",
    objective: str | Mapping[str, float] = "makespan",
    seed: int = 0,
    time_limit: float | None = None,
    bandwidth: float = float("inf"),
    load_bound: float | None = None,
    load_weights: Mapping[str, float] | None = None,
) -> Plan:
    """Plan ``tasks`` on ``workers``.

    Tables are paths to CSV or Parquet, pandas or Arrow tables, lists of dicts, or ``SubTasks`` and ``Workers``; their
    columns are those of ``partitioner.placement.tables``. ``objective`` is a name or weights by name; ``time_limit``
    seconds; ``bandwidth`` bytes per second between two workers, for the ``bytes`` of edges; ``load_bound`` limits the
    seconds of each worker, weighted by ``load_weights`` (by task id). Raises ConfigError or InfeasiblePlan.
    """
    chosen = registry.load("placements", algorithm)()
    plan: Plan = chosen.place(
        tasks_from(tasks, edges),
        workers_from(workers),
        objective,
        seed=seed,
        time_limit=time_limit,
        bandwidth=bandwidth,
    )
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


def compare(
    tasks: Any,
    workers: Any,
    edges: Any = None,
    algorithms: Iterable[str] | None = None,
    objective: str | Mapping[str, float] = "makespan",
    seed: int = 0,
    time_limit: float | None = None,
    bandwidth: float = float("inf"),
) -> Comparison:
    """Every applicable algorithm (or those named) on one instance; arguments as in ``place``.

    ``time_limit`` is for each algorithm, 5 s by default. An instance that nothing can solve raises; an algorithm that does
    not support it, or whose package is missing, is listed in ``refused`` with the reason.
    """
    given, onto = tasks_from(tasks, edges), workers_from(workers)
    objective_of(objective)
    if time_limit is not None and not time_limit > 0:
        raise ConfigError(f"time limit {time_limit} s: it must be above 0.")
    if len(given):
        check_feasible(Problem(given, onto, bandwidth))
    plans, refused = [], {}
    for name in registry.names("placements") if algorithms is None else algorithms:
        try:
            chosen = registry.load("placements", name)()
            limit = 5.0 if time_limit is None else time_limit
            plans.append(chosen.place(given, onto, objective, seed=seed, time_limit=limit, bandwidth=bandwidth))
        except PartitionerError as error:
            if algorithms is not None and name not in registry.names("placements"):
                raise
            refused[name] = str(error)
    if plans:
        bound, which = max((plan.lower_bound, plan.about.bound_by) for plan in plans)
        plans = [with_bound(plan, bound, which) for plan in plans]
    return Comparison(tuple(plans), refused)


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
