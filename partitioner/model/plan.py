"""A plan: who runs what and when, how long it takes, and how far that can be from the best possible."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import log1p, sqrt
from typing import Any

import numpy as np

from partitioner.model.data import Codes, Floats, Ints
from partitioner.model.explanation import NINETY, Explanation
from partitioner.model.tasks import SubTasks
from partitioner.model.workers import Workers
from partitioner.sizes import counted


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Plan:
    """Assignments of n sub-tasks to m workers, with the figures that back them.

    ``worker`` int32[n] index into ``workers``; ``start`` and ``finish`` float64[n] seconds from the start of the run;
    ``makespan`` seconds; ``lower_bound`` seconds no plan can beat; ``gap`` = makespan / lower_bound - 1 (0 when both are 0);
    ``utilization`` in [0, 1]; ``value`` of the ``objective``; ``planning_seconds`` is left out of every comparison of
    plans. ``about``: what backs the figures. ``devices``: the GPUs of one worker, numbered from 0, that each task (by
    index) holds from start to finish, where the algorithm chose them; ``bandwidth``: bytes per second between two
    workers that the bytes of edges were planned with.
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
    about: Explanation = field(default_factory=Explanation)
    devices: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    bandwidth: float = float("inf")

    def __len__(self) -> int:
        return len(self.worker)

    @property
    def unit(self) -> str:
        """Of makespan, bound, starts and finishes: ``s``, or what costs count that are no time, such as ``rows``."""
        return "s" if self.about.cost is None or self.about.cost.unit == "seconds" else self.about.cost.unit

    def __repr__(self) -> str:
        unit = self.unit
        return (
            f"<Plan of {counted(len(self), 'sub-task')} on {counted(len(self.workers), 'worker')} by {self.algorithm}: "
            f"makespan {self.makespan:.4g} {unit}, lower bound {self.lower_bound:.4g} {unit}, gap {self.gap:.2%}>"
        )

    @property
    def proven_optimal(self) -> bool:
        """Whether the makespan meets its lower bound."""
        return self.gap <= 1e-9

    @property
    def process_bytes(self) -> float:
        """What of every sub-task's memory demand its process holds in any case; 0 where that is not known apart."""
        about = self.about.cost.details.get("process memory") if self.about.cost is not None else None
        if not isinstance(about, Mapping):
            return 0.0
        resident, slots = about["resident"], about["slots"]
        return resident / slots if isinstance(resident, int | float) and isinstance(slots, int | float) else 0.0

    @property
    def doubt(self) -> float:
        """Standard deviation of log(actual / predicted) of all the work, as its cost model tells; 0 where it does not."""
        told = self.about.cost.details.get("work") if self.about.cost is not None else None
        if not isinstance(told, Mapping):
            return 0.0
        seconds, high = told.get("seconds"), told.get("high")
        if not isinstance(seconds, int | float) or not isinstance(high, int | float) or not 0 < seconds <= high:
            return 0.0
        relative = (high / seconds - 1) / NINETY
        return sqrt(log1p(relative * relative))

    @property
    def interval(self) -> tuple[float, float]:
        """Seconds between which the last sub-task ends nine times in ten, as far as sub-tasks scatter in most runs and as
        far as the cost model knows the work.

        Worked out when asked. Where costs are no seconds it is in their unit, and says as little of time as they do.
        """
        found = _shown("interval").interval(self)
        return found.low, found.high

    @property
    def reasons(self) -> Mapping[str, Any]:
        """``about`` as one flat mapping, for reading by people; code reads ``about``."""
        facts: Mapping[str, Any] = _shown("facts").flat(self)
        return facts

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

    def to_mermaid(self, chart: str = "gantt") -> str:
        """The plan as a Mermaid chart: ``gantt``, or ``flow`` for its stages. ConfigError for any other."""
        text: str = _shown("mermaid").to_mermaid(self, chart)
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
