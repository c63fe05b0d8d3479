"""Plans and flows as Mermaid text, which GitHub, notebooks and most wikis draw."""

from __future__ import annotations

import re
from itertools import pairwise

import numpy as np

from partitioner.errors import ConfigError, nearest
from partitioner.model.plan import Plan

STAGES = ("dataset", "cost", "split", "place", "execute", "reduce", "report")


def flow_to_mermaid(details: dict[str, str] | None = None) -> str:
    """The seven stages as a flow chart; ``details`` adds a line to the stages it names."""
    known = details or {}
    lines = ["flowchart LR"]
    for stage in STAGES:
        text = f"{stage}<br/>{_plain(known[stage])}" if stage in known else stage
        lines.append(f'    {stage}["{text}"]')
    lines += [f"    {a} --> {b}" for a, b in pairwise(STAGES)]
    return "\n".join(lines)


def to_mermaid(plan: Plan, chart: str) -> str:
    """The chart of that name."""
    if chart not in ("gantt", "flow"):
        raise ConfigError(f"No chart named {chart!r}; there are gantt and flow.{nearest(chart, ['gantt', 'flow'])}")
    return plan_to_mermaid(plan) if chart == "gantt" else flow_to_mermaid(stages_of(plan))


def stages_of(plan: Plan) -> dict[str, str]:
    """What a plan knows about the stages before it."""
    bounded = f"makespan {plan.makespan:.4g} - gap {plan.gap:.2%}"
    known = {"split": f"{len(plan)} sub-tasks", "place": f"{plan.algorithm} - {bounded}"}
    if plan.about.cost is not None:
        known["cost"] = f"{plan.about.cost.source} in {plan.about.cost.unit}"
    known["execute"] = f"{len(plan.workers)} workers"
    return known


def plan_to_mermaid(plan: Plan, limit: int = 200) -> str:
    """A Mermaid gantt chart: one section per worker, one bar per sub-task, at most ``limit`` bars of at least 1 ms."""
    lines = [
        "gantt",
        f"    title {plan.algorithm}, makespan {plan.makespan:.4g} s",
        "    dateFormat x",
        "    axisFormat %X",
    ]
    last = -1
    for i in np.lexsort((plan.start, plan.worker))[:limit].tolist():
        j = int(plan.worker[i])
        if j != last:
            lines.append(f"    section {_plain(plan.workers.worker_id[j])}")
            last = j
        begin, end = round(plan.start[i] * 1000), round(plan.finish[i] * 1000)
        lines.append(f"    {_plain(str(plan.tasks.task_id[i].as_py()))} : {begin}, {max(end, begin + 1)}")
    if len(plan) > limit:
        lines.append(f"    %% {len(plan) - limit} more sub-tasks not drawn")
    return "\n".join(lines)


def _plain(text: str) -> str:
    """Without the characters that end a Mermaid token."""
    return re.sub(r"[:;,#\"\n\[\]{}]", " ", text).strip() or "-"
