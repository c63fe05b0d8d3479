"""No sub-task is run on hope: its predicted peak memory fits the worker it is to run on, or the plan is refused."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from partitioner.errors import InfeasiblePlan
from partitioner.model import SubTasks, Workers
from partitioner.model.data import Codes, Ints


def shortfalls(tasks: SubTasks, workers: Workers, worker: Codes | None = None, headroom: float = 0.0) -> Ints:
    """int64[k]: sub-tasks whose predicted peak exceeds the memory of their worker less the share ``headroom``.

    ``worker`` int32[n] says where each is placed; without it a sub-task falls short where it fits no worker that is eligible
    by its labels.
    """
    usable = workers.memory_bytes * (1.0 - headroom)
    limit = usable[worker] if worker is not None else _best_eligible(tasks, workers, usable)
    return np.flatnonzero(tasks.memory_bytes > limit)


def guarantee(
    tasks: SubTasks, workers: Workers, worker: Codes | None = None, headroom: float = 0.0, quantile: float | None = None
) -> None:
    """Raise InfeasiblePlan naming the worst sub-task, its predicted peak, the limit and the remedy; else nothing."""
    short = shortfalls(tasks, workers, worker, headroom)
    if not len(short):
        return
    i = int(short[np.argmax(tasks.memory_bytes[short])])
    where = workers.worker_id[worker[i]] if worker is not None else "the largest worker that may run it"
    usable = workers.memory_bytes * (1.0 - headroom)
    limit = float(usable[worker[i]] if worker is not None else _best_eligible(tasks, workers, usable)[i])
    at = "" if quantile is None else f" (quantile {quantile:g})"
    raise InfeasiblePlan(
        f"sub-task {tasks.task_id[i].as_py()} is predicted to need {tasks.memory_bytes[i] / 1e6:.0f} MB at its peak{at}, "
        f"and {where} has {limit / 1e6:.0f} MB; {len(short)} of {len(tasks)} sub-tasks exceed their limit. "
        f"Set allowed_mem to at most {limit / 1e6:.0f}MB so that they are cut smaller, or give workers more memory."
    )


def _best_eligible(tasks: SubTasks, workers: Workers, usable: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """float64[n]: the most memory among the workers that have the labels a sub-task requires, 0 where there is none."""
    n = len(tasks)
    if not len(workers):
        return np.zeros(n)
    if not tasks.requires:
        return np.full(n, float(usable.max()))
    limit = np.zeros(n)
    for j in range(len(workers)):
        allowed = np.ones(n, np.bool_)
        for label, needed in tasks.requires.items():
            allowed &= ~needed | (label in workers.labels[j])
        limit = np.where(allowed, np.maximum(limit, usable[j]), limit)
    return limit
