"""Plans and flows as Mermaid text, which GitHub, notebooks and most wikis draw."""

from __future__ import annotations

from partitioner.model.plan import Plan


def plan_to_mermaid(plan: Plan, limit: int = 200) -> str:
    """A Mermaid gantt chart: one section per worker, one bar per sub-task, at most ``limit`` bars."""
    lines = [
        "gantt",
        f"    title {plan.algorithm}: makespan {plan.makespan:.4g} s",
        "    dateFormat x",
        "    axisFormat %X",
    ]
    shown = sorted(range(len(plan)), key=lambda i: (int(plan.worker[i]), float(plan.start[i])))[:limit]
    last = -1
    for i in shown:
        j = int(plan.worker[i])
        if j != last:
            lines.append(f"    section {plan.workers.worker_id[j]}")
            last = j
        begin, end = round(plan.start[i] * 1000), round(plan.finish[i] * 1000)
        lines.append(f"    {plan.tasks.task_id[i].as_py()} : {begin}, {max(end, begin + 1)}")
    if len(plan) > limit:
        lines.append(f"    %% {len(plan) - limit} more sub-tasks not drawn")
    return "\n".join(lines)
