"""What holds for each task by itself, and between a task and its predecessors."""

from __future__ import annotations

import numpy as np

from partitioner.model import Plan
from partitioner.model.data import Floats
from partitioner.model.tasks import Bools
from partitioner.placement.checks.violation import EXACT, MOST, Violation, name_of


def durations(plan: Plan) -> list[Violation]:
    """Every task lasts as long as it takes on its worker, and starts no earlier than its release."""
    tasks = plan.tasks
    expected = _expected(plan)
    lasting = plan.finish - plan.start
    wrong = ~(np.abs(lasting - expected) <= EXACT * np.maximum(np.abs(expected), plan.finish))
    found = [
        Violation(f"task {name_of(plan, i)} lasts {lasting[i]} s instead of {expected[i]} s", i)
        for i in np.flatnonzero(wrong)[:MOST].tolist()
    ]
    if float(plan.start.min()) < 0 or np.any(tasks.release > 0):
        release = np.maximum(tasks.release, 0.0)
        early = ~(plan.start >= release * (1 - EXACT))
        found += [
            Violation(f"task {name_of(plan, i)} starts at {plan.start[i]} before its release {tasks.release[i]}", i)
            for i in np.flatnonzero(early)[:MOST].tolist()
        ]
    return found


def _expected(plan: Plan) -> Floats:
    """float64[n]: seconds by the definition, per class where given, else seconds / speed."""
    tasks, workers = plan.tasks, plan.workers
    expected = tasks.seconds if np.all(workers.speed == 1) else tasks.seconds / workers.speed[plan.worker]
    for name, column in tasks.seconds_by_class.items():
        here = np.array([worker_class == name for worker_class in workers.worker_class])[plan.worker]
        expected = np.where(here, column, expected)
    return expected


def labels(plan: Plan) -> list[Violation]:
    """Every task runs on a worker with the labels it requires."""
    found = []
    for label, wanted in plan.tasks.requires.items():
        has: Bools = np.array([label in known for known in plan.workers.labels])
        found += [
            Violation(f"task {name_of(plan, i)} needs label {label!r}, its worker lacks it", i)
            for i in np.flatnonzero(wanted & ~has[plan.worker])[:MOST].tolist()
        ]
    return found


def hard_deadlines(plan: Plan) -> list[Violation]:
    """Deadlines that must hold do."""
    if plan.tasks.hard_deadline is None:
        return []
    late = plan.tasks.hard_deadline & (plan.finish > plan.tasks.deadline * (1 + EXACT))
    return [
        Violation(f"task {name_of(plan, i)} misses its hard deadline", i) for i in np.flatnonzero(late)[:MOST].tolist()
    ]


def dependencies(plan: Plan) -> list[Violation]:
    """A task starts when its predecessors, their delays and, between two workers, their transfers are over."""
    edges = plan.tasks.edges
    if not len(edges):
        return []
    ready = plan.finish[edges.source] + (edges.delay if len(edges.delay) else 0.0)
    if len(edges.bytes) and np.isfinite(plan.bandwidth):
        apart = plan.worker[edges.source] != plan.worker[edges.target]
        ready = ready + np.where(apart, np.nan_to_num(edges.bytes) / plan.bandwidth, 0.0)
    wrong = ~(plan.start[edges.target] >= ready - EXACT * np.abs(ready))
    return [
        Violation(
            f"task {name_of(plan, edges.target[e])} starts before {name_of(plan, edges.source[e])} and its delay are over",
            int(edges.target[e]),
        )
        for e in np.flatnonzero(wrong)[:MOST].tolist()
    ]
