"""The explanation of a plan as one flat mapping: what ``explain()``, JSON and the report show."""

from __future__ import annotations

from typing import Any

from partitioner.model.plan import Plan


def flat(plan: Plan) -> dict[str, Any]:
    """Name to figure: cost first, then notes, what backs the bound, the portfolio, deadlines and devices."""
    about = plan.about
    facts: dict[str, Any] = {}
    if about.cost is not None:
        facts |= {"cost source": about.cost.source, "cost unit": about.cost.unit, **about.cost.details}
    facts |= about.notes
    facts |= {"bound_by": about.bound_by, "proven_optimal": plan.proven_optimal}
    if about.utilization:
        facts["utilization_by_resource"] = dict(about.utilization)
    if about.portfolio is not None:
        facts["winner"] = about.portfolio.winner
        facts["portfolio"] = {
            name: {"makespan": turn.makespan, "value": turn.value, "seconds": turn.seconds}
            for name, turn in about.portfolio.turns.items()
        }
        if about.portfolio.not_run:
            facts["not_run"] = dict(about.portfolio.not_run)
    if about.deadlines_missed:
        facts["deadlines_missed"] = about.deadlines_missed
    if plan.devices:
        ids = plan.tasks.task_id
        facts["gpu_devices"] = {str(ids[i].as_py()): list(held) for i, held in sorted(plan.devices.items())}
    return facts
