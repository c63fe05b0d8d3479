"""What sub-tasks demand of a worker, in a form that is quick to ask one by one.

Few kinds of demand stand behind many sub-tasks, so whether a worker can hold a kind is worked out once. Memory, which
differs from sub-task to sub-task and grows after deaths, is kept apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isnan
from typing import Any

import numpy as np

from partitioner.model import SubTasks, Worker
from partitioner.model.data import Floats

SLACK = 1e-9
"""Relative, as in placement, so that ten tenths of a core fit into one."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One combination of demands other than memory; ``barred`` worker classes cannot run it."""

    cpus: float
    gpus: float
    gpu_memory_bytes: float
    resources: Mapping[str, float]
    requires: frozenset[str]
    barred: frozenset[str]

    @property
    def uses_gpu(self) -> bool:
        """Whether it needs a device, or memory on one."""
        return self.gpus > 0 or self.gpu_memory_bytes > 0

    @property
    def devices(self) -> int:
        """How many GPUs it is given: one for a fraction."""
        return max(1, round(self.gpus))

    @property
    def device_share(self) -> float:
        """The share that it takes of each."""
        return self.gpus if self.gpus < 1 else 1.0

    def runs_on(self, worker: Worker) -> bool:
        """Whether the worker, empty and with memory enough, could run it."""
        return (
            self.cpus <= worker.cpus * (1 + SLACK)
            and (not self.uses_gpu or self._has_gpus(worker))
            and all(worker.resources.get(k, 0.0) * (1 + SLACK) >= v for k, v in self.resources.items())
            and self.requires <= worker.labels
            and worker.worker_class not in self.barred
        )

    def share_of(self, worker: Worker) -> float:
        """The largest share of anything but memory that it takes of a worker that can hold it."""
        shares = [self.cpus / worker.cpus if worker.cpus else 0.0, self.gpus / worker.gpus if self.gpus else 0.0]
        shares += [v / worker.resources[k] for k, v in self.resources.items() if v]
        return max(shares)

    def _has_gpus(self, worker: Worker) -> bool:
        return self.devices <= worker.gpus + SLACK and self.gpu_memory_bytes <= worker.gpu_memory_bytes * (1 + SLACK)


@dataclass(slots=True)
class Demands:
    """``kind`` of every sub-task, the ``kinds`` there are, and ``memory`` bytes of each sub-task."""

    kind: list[int]
    kinds: list[Kind]
    memory: list[float]

    def holds(self, worker: Worker, task: int) -> bool:
        """Whether the worker, empty, could run the sub-task."""
        return self.kinds[self.kind[task]].runs_on(worker) and self.memory[task] <= worker.memory_bytes * (1 + SLACK)

    @classmethod
    def of(cls, tasks: SubTasks) -> Demands:
        """From the columns of n sub-tasks; O(n log n)."""
        columns: list[Any] = [tasks.cpus, tasks.gpus, tasks.gpu_memory_bytes, *tasks.resources.values()]
        columns += list(tasks.requires.values()) + [np.isnan(v) for v in tasks.seconds_by_class.values()]
        code = np.zeros(len(tasks), np.int64)
        for values in columns:
            if not len(values) or (values == values[0]).all():
                continue
            distinct, inverse = np.unique(values, return_inverse=True)
            if len(distinct) > 1:
                code = np.unique(code * len(distinct) + inverse, return_inverse=True)[1]
        examples = np.unique(code, return_index=True)[1]
        kinds = [_kind(tasks, i) for i in examples.tolist()]
        return cls(code.tolist(), kinds, listed(tasks.memory_bytes))


def listed(column: Floats) -> list[float]:
    """The values. Where most are the first one they are one object: what is committed takes no time, and 24 bytes each."""
    others = np.flatnonzero(column != column[:1]) if len(column) else np.empty(0, np.int64)
    if not len(column) or len(others) > len(column) // 2:
        return list(column.tolist())
    values = [float(column[0])] * len(column)
    for i, value in zip(others.tolist(), column[others].tolist(), strict=True):
        values[i] = value
    return values


def _kind(tasks: SubTasks, i: int) -> Kind:
    return Kind(
        cpus=float(tasks.cpus[i]),
        gpus=float(tasks.gpus[i]),
        gpu_memory_bytes=float(tasks.gpu_memory_bytes[i]),
        resources={k: float(v[i]) for k, v in tasks.resources.items()},
        requires=frozenset(k for k, v in tasks.requires.items() if v[i]),
        barred=frozenset(k for k, v in tasks.seconds_by_class.items() if isnan(v[i])),
    )
