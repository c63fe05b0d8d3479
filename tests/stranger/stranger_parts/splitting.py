"""A splitter."""

import numpy as np

from partitioner.errors import InfeasiblePlan
from partitioner.model import Costs, Dataset, Limits, SubTasks
from partitioner.splits.base import Splitter
from partitioner.splits.pieces import Load, Packing
from partitioner.splits.sizing import Size, split_whole_or_cut


class NextFit(Splitter):
    """Fragments in input order; a new sub-task begins where the next fragment does not fit."""

    name = "next_fit"

    def split(self, dataset: Dataset, costs: Costs, limits: Limits) -> SubTasks:
        def pack(load: Load, size: Size) -> Packing:
            return next_fit(load, size)

        return split_whole_or_cut(dataset, costs, limits, pack, pack)


def next_fit(load: Load, size: Size) -> Packing:
    share = max(float(load.weights.sum()) / size.tasks, float(load.weights.max()))
    room = size.memory_bytes if load.summed else np.inf
    while True:
        labels = _labels(load, min(share, size.seconds), room)
        if labels[-1] + 1 <= size.max_tasks:
            return Packing.of_labels(labels)
        if share > load.weights.sum():
            raise InfeasiblePlan(
                f"{labels[-1] + 1} sub-tasks are needed, above max_tasks = {size.max_tasks}; raise it."
            )
        share *= 1.2


def _labels(load: Load, share: float, room: float) -> np.ndarray:
    labels, task, seconds, memory = np.zeros(len(load), np.int64), 0, 0.0, 0.0
    for i, (weight, held) in enumerate(zip(load.weights, load.memory_bytes, strict=True)):
        if i and (seconds + weight > share * (1 + 1e-9) or memory + held > room * (1 + 1e-9)):
            task, seconds, memory = task + 1, 0.0, 0.0
        seconds, memory, labels[i] = seconds + weight, memory + held, task
    return labels
