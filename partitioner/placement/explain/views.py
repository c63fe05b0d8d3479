"""A plan in words, as JSON and as a small table."""

from __future__ import annotations

from html import escape
from typing import Any

from partitioner.model.plan import Plan
from partitioner.placement.explain.facts import flat
from partitioner.sizes import counted


def explain(plan: Plan, limit: int = 20) -> str:
    """Figures first, then what backs them, then the first assignments and their reasons."""
    from partitioner.placement.explain.decisions import decisions

    proof = ", proven optimal" if plan.proven_optimal and plan.objective == "makespan" else ""
    unit = plan.unit if plan.unit == "s" else f"{plan.unit} (not seconds)"
    used = plan.about.utilization.get("cpus", plan.utilization)
    lines = [
        f"{counted(len(plan), 'sub-task')} on {counted(len(plan.workers), 'worker')} by {plan.algorithm}",
        f"makespan {plan.makespan:.4g} {unit}, lower bound {plan.lower_bound:.4g} {unit}, gap {plan.gap:.2%}{proof}, "
        f"utilization {used:.1%} of cores",
    ]
    if _predicts(plan):
        low, high = plan.interval
        lines.append(f"nine times in ten it ends after {low:.4g} to {high:.4g} s")
    if plan.objective != "makespan":
        lines.append(f"objective {plan.objective}: {plan.value:.6g}")
    for key, value in flat(plan).items():
        if key not in ("gpu_devices", "proven_optimal"):
            first, *rest = in_words(key, value)
            lines += [f"{key.replace('_', ' ')}: {first}".rstrip(), *(f"  {line}" for line in rest)]
    lines += decisions(plan, limit)
    if 0 < limit < len(plan):
        lines.append(f"... and {len(plan) - limit} more sub-tasks")
    return "\n".join(lines)


def _predicts(plan: Plan) -> bool:
    return plan.about.cost is not None and plan.about.cost.unit == "seconds" and len(plan) > 0


def in_words(key: str, value: Any) -> list[str]:
    """A reason of a plan without its name: one line; or, after the first, one per entry of a list or table of figures."""
    if isinstance(value, list | tuple) and len(value) == 1:
        return in_words(key, value[0])
    if isinstance(value, list | tuple):
        return ["", *(_line(v) for v in value)]
    if not isinstance(value, dict):
        return [_short(value)]
    if key == "start":
        return [", ".join(f"{phase} {seconds:.3g} s" for phase, seconds in value.items())]
    if key == "process memory":
        shared = f", shared by {value['slots']:g} slots" if value["slots"] > 1 else ""
        return [f"{value['resident'] / 1e6:.0f} MB in each process{shared}"]
    if value and all(isinstance(v, dict) for v in value.values()):
        return ["", *(f"{k}: {_line(v)}" for k, v in value.items())]
    return [_line(value)]


def _line(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{str(k).replace('_', ' ')} {_short(v)}" for k, v in value.items())
    return _short(value)


def _short(value: Any) -> str:
    return f"{value:.5g}" if isinstance(value, float) else str(value)


def to_json(plan: Plan) -> dict[str, Any]:
    """Plain values: the figures, and one entry per assignment."""
    order = plan.order.tolist()
    start, finish, worker = plan.start.tolist(), plan.finish.tolist(), plan.worker.tolist()
    names = plan.workers.worker_id
    return {
        "algorithm": plan.algorithm,
        "objective": plan.objective,
        "makespan": plan.makespan,
        **({"interval": list(plan.interval)} if _predicts(plan) else {}),
        "lower_bound": plan.lower_bound,
        "gap": plan.gap,
        "utilization": plan.utilization,
        "value": plan.value,
        "seed": plan.seed,
        "planning_seconds": plan.planning_seconds,
        "reasons": flat(plan),
        "assignments": [
            {
                "task_id": task_id,
                "worker_id": names[worker[i]],
                "start": start[i],
                "finish": finish[i],
                "order": order[i],
            }
            for i, task_id in enumerate(plan.tasks.task_id.to_pylist())
        ],
    }


def to_html(plan: Plan) -> str:
    """The explanation and a Gantt picture, for notebooks."""
    from partitioner.placement.explain.gantt import to_svg

    return f"<pre>{escape(explain(plan))}</pre>{to_svg(plan) if len(plan) else ''}"
