"""A Gantt picture of a plan as SVG: one band per worker, tasks that run at once stacked in lanes."""

from __future__ import annotations

import heapq
from html import escape

import numpy as np

from partitioner.model import Plan

_WIDTH, _LANE, _LEFT, _TOP = 900, 16, 140, 24
_MOST_WORKERS, _MOST_BARS = 60, 4000
_COLOURS = ("#4878a8", "#e49444", "#5fa052", "#c7524f", "#8567a8", "#8a6a5a", "#d07fb0", "#7f7f7f")


def to_svg(plan: Plan) -> str:
    """SVG text of at most 60 workers and 4,000 bars; what is left out is said below the chart."""
    used = np.unique(plan.worker)[:_MOST_WORKERS].tolist()
    scale = _WIDTH / plan.makespan if plan.makespan > 0 else 1.0
    parts: list[str] = []
    y, drawn = _TOP, 0
    for j in used:
        mine = np.flatnonzero(plan.worker == j)
        mine = mine[np.argsort(plan.start[mine], kind="stable")]
        lanes = _lanes(plan, mine.tolist())
        name = escape(plan.workers.worker_id[j])
        parts.append(f'<text x="{_LEFT - 6}" y="{y + 12}" text-anchor="end">{name}</text>')
        for i, lane in zip(mine.tolist(), lanes, strict=True):
            if drawn == _MOST_BARS:
                break
            parts.append(_bar(plan, i, y + lane * _LANE, scale))
            drawn += 1
        y += (max(lanes, default=0) + 1) * _LANE + 4
    bound = _LEFT + plan.lower_bound * scale
    parts.append(f'<line x1="{bound:.1f}" y1="{_TOP}" x2="{bound:.1f}" y2="{y}" stroke="#000" stroke-dasharray="4 3"/>')
    note = "" if drawn == len(plan) else f" ({len(plan) - drawn} more sub-tasks not drawn)"
    title = f"makespan {plan.makespan:.5g} s, lower bound (dashed) {plan.lower_bound:.5g} s{note}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_LEFT + _WIDTH + 10}" height="{y + 10}" '
        f'font-family="system-ui,sans-serif" font-size="11"><text x="{_LEFT}" y="14">{title}</text>{"".join(parts)}</svg>'
    )


def _bar(plan: Plan, i: int, y: float, scale: float) -> str:
    x, width = _LEFT + plan.start[i] * scale, max((plan.finish[i] - plan.start[i]) * scale, 0.5)
    name = escape(str(plan.tasks.task_id[i].as_py()))
    return (
        f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="{_LANE - 2}" fill="{_COLOURS[i % len(_COLOURS)]}">'
        f"<title>{name}: {plan.start[i]:.5g} to {plan.finish[i]:.5g} s</title></rect>"
    )


def _lanes(plan: Plan, tasks: list[int]) -> list[int]:
    """The first lane that is free for each task; tasks come sorted by start."""
    free: list[int] = []
    busy: list[tuple[float, int]] = []
    lanes = []
    for i in tasks:
        while busy and busy[0][0] <= plan.start[i] + 1e-9:
            heapq.heappush(free, heapq.heappop(busy)[1])
        lane = heapq.heappop(free) if free else len(busy)
        heapq.heappush(busy, (float(plan.finish[i]), lane))
        lanes.append(lane)
    return lanes
