"""Identical sub-tasks run once: same fragments, same costs and demands, hence the same result."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from partitioner.model import SubTasks
from partitioner.model.data import Ints
from partitioner.placement.subset import take_tasks


@dataclass(frozen=True, slots=True, eq=False)
class Collapsed:
    """``tasks`` without duplicates; ``representative`` int64[n] says which of them stands for each original task."""

    tasks: SubTasks
    representative: Ints


def run_once(tasks: SubTasks) -> Collapsed:
    """Merge sub-tasks that read the same fragments in the same order with the same demands; the first keeps its id.

    Program and parameters are those of the run, so they are equal by construction. Tasks without fragments, or with
    different releases, deadlines, priorities or dependencies, are never merged. O(n + total fragments).
    """
    n = len(tasks)
    if tasks.fragments is None or not n:
        return Collapsed(tasks, np.arange(n, dtype=np.int64))
    touched = set(tasks.edges.source.tolist()) | set(tasks.edges.target.tolist())
    first: dict[object, int] = {}
    representative = np.empty(n, np.int64)
    for i in range(n):
        key = i if i in touched else _identity(tasks, i)
        representative[i] = first.setdefault(key, i)
    kept = np.unique(representative)
    if len(kept) == n:
        return Collapsed(tasks, representative)
    return Collapsed(take_tasks(tasks, kept), np.searchsorted(kept, representative))


def _identity(tasks: SubTasks, i: int) -> tuple[object, ...]:
    """Everything that makes the result and the demands of task i."""
    columns = (
        tasks.seconds,
        tasks.memory_bytes,
        tasks.cpus,
        tasks.gpus,
        tasks.gpu_memory_bytes,
        tasks.priority,
        tasks.deadline,
        tasks.release,
        *tasks.seconds_by_class.values(),
        *tasks.resources.values(),
    )
    labels = tuple(bool(column[i]) for column in tasks.requires.values())
    host = tasks.preferred_host[i] if tasks.preferred_host else ""
    return (tasks.fragments_of(i).tobytes(), np.array([c[i] for c in columns]).tobytes(), labels, host)
