"""A plan: who runs what and when, how long it takes, and how far that can be from the best possible."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from partitioner.model.data import Codes, Floats, Ints
from partitioner.model.tasks import SubTasks
from partitioner.model.workers import Workers


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """Assignments of n sub-tasks to m workers, with the figures that back them.

    ``worker`` int32[n] index into ``workers``; ``start`` and ``finish`` float64[n] seconds from the start of the run;
    ``makespan`` seconds; ``lower_bound`` seconds no plan can beat; ``gap`` = makespan / lower_bound - 1 (0 when both are 0);
    ``utilization`` in [0, 1]; ``value`` of the ``objective``; ``reasons`` says which bound is the largest, who won the
    portfolio and other figures worth telling; ``planning_seconds`` is left out of every comparison of plans.
    """

    tasks: SubTasks
    workers: Workers
    worker: Codes
    start: Floats
    finish: Floats
    makespan: float
    lower_bound: float
    gap: float
    utilization: float
    objective: str
    value: float
    algorithm: str
    seed: int = 0
    planning_seconds: float = 0.0
    reasons: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.worker)

    @property
    def order(self) -> Ints:
        """int64[n]: the rank of each sub-task on its worker, by start, then by index."""
        by_worker = np.lexsort((np.arange(len(self)), self.start, self.worker))
        counts = np.bincount(self.worker, minlength=len(self.workers)) if len(self) else np.zeros(1, np.int64)
        rank = np.empty(len(self), np.int64)
        rank[by_worker] = np.arange(len(self)) - np.repeat(np.cumsum(counts) - counts, counts)
        return rank

    def explain(self, limit: int = 20) -> str:
        """Text for a person: cost source, bound and gap, and for the first ``limit`` assignments the reason."""
        text: str = _shown("views").explain(self, limit)
        return text

    def to_mermaid(self) -> str:
        """The plan as a Mermaid gantt chart."""
        text: str = _shown("mermaid").plan_to_mermaid(self)
        return text

    def to_json(self) -> dict[str, Any]:
        """Plain values: figures and ``assignments`` of task_id, worker_id, start, finish, order."""
        values: dict[str, Any] = _shown("views").to_json(self)
        return values

    def _repr_html_(self) -> str:
        text: str = _shown("views").to_html(self)
        return text


def _shown(by: str) -> Any:
    """The one door to how plans are shown: a value knows no layer above it, so it is opened by name, when asked."""
    return importlib.import_module(f"partitioner.placement.explain.{by}")
