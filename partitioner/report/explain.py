"""A plan in words, as JSON and as a small table."""

from __future__ import annotations

from html import escape
from typing import Any

from partitioner.model.plan import Plan


def explain(plan: Plan, limit: int = 20) -> str:
    """Figures first, then what backs them, then the first assignments and their reasons."""
    from partitioner.placement.decisions import decisions

    lines = [
        f"{len(plan)} sub-tasks on {len(plan.workers)} workers by {plan.algorithm}",
        f"makespan {plan.makespan:.4g} s, lower bound {plan.lower_bound:.4g} s, gap {plan.gap:.2%}, "
        f"utilization {plan.utilization:.1%}",
    ]
    lines += [f"{key}: {value}" for key, value in plan.reasons.items()]
    lines += decisions(plan, limit)
    return "\n".join(lines)


def to_json(plan: Plan) -> dict[str, Any]:
    """Plain values: the figures, and one entry per assignment."""
    order = plan.order
    return {
        "algorithm": plan.algorithm,
        "objective": plan.objective,
        "makespan": plan.makespan,
        "lower_bound": plan.lower_bound,
        "gap": plan.gap,
        "utilization": plan.utilization,
        "value": plan.value,
        "seed": plan.seed,
        "planning_seconds": plan.planning_seconds,
        "reasons": dict(plan.reasons),
        "assignments": [
            {
                "task_id": task_id,
                "worker_id": plan.workers.worker_id[plan.worker[i]],
                "start": float(plan.start[i]),
                "finish": float(plan.finish[i]),
                "order": int(order[i]),
            }
            for i, task_id in enumerate(plan.tasks.task_id.to_pylist())
        ],
    }


def to_html(plan: Plan) -> str:
    """The explanation as preformatted HTML, for notebooks."""
    return f"<pre>{escape(explain(plan))}</pre>"
