"""``stratified``: for training, sub-tasks that hold every class in the same proportion."""

from __future__ import annotations

from dataclasses import replace
from math import ceil

import numpy as np

from partitioner.errors import ConfigError, InfeasiblePlan
from partitioner.model import Costs, Dataset, Fragment, Fragments, Limits, SubTasks
from partitioner.model.data import Ints
from partitioner.sizes import as_bytes
from partitioner.splits.base import Splitter
from partitioner.splits.pieces import no_sub_tasks
from partitioner.splits.sizing import size_of
from partitioner.splits.strata import StratifiedSource, by_strata


class Stratified(Splitter):
    """K sub-tasks, each with floor or ceil of n / K rows of every class of n rows, and equal in rows but for one.

    ``label`` is the column of the class. Where rows of some files cost more than those of others, sub-tasks are equal in
    cost only as far as such rows are spread evenly. O(tasks x classes).
    """

    name = "stratified"
    regroups = True

    def __init__(self, label: str = "label") -> None:
        self.label = label

    def prepare(self, dataset: Dataset, costs: Costs | None = None) -> tuple[Dataset, Costs | None]:
        """The dataset as one fragment that can be cut into stratified slices; reads the label column."""
        if isinstance(dataset.source, StratifiedSource):
            return dataset, costs
        return by_strata(dataset, self.label, costs)

    def split(self, dataset: Dataset, costs: Costs, limits: Limits) -> SubTasks:
        """Equal slices, as many as the limits ask for."""
        source = dataset.source
        if not isinstance(source, StratifiedSource):
            raise ConfigError("stratified splits what its prepare() returns; call that first.")
        if len(dataset.fragments) == 0:
            return no_sub_tasks(dataset)
        return _slices(dataset, costs, _rows_of_slices(source, costs, limits))


def _rows_of_slices(source: StratifiedSource, costs: Costs, limits: Limits) -> Ints:
    """Rows of each slice for the least number of equal slices, from what is wanted on, that keep within the limits."""
    total = int(source.index.rows.sum())
    # One row each is how finely the rows can be dealt.
    size = size_of(
        Dataset(source, Fragments.of([Fragment(0, "", -1, 0, total, total, 0)]), None, "rows"), costs, limits
    )
    count, most = size.tasks, int(min(size.max_tasks, total))
    while True:
        rows = np.asarray(source.rows_of_slices(count).sum(axis=1), np.int64)
        share = float(rows.max()) / total
        memory = float(costs.memory_bytes[0]) * (share if costs.memory_combines == "sum" else 1.0)
        seconds = float(costs.seconds[0]) * share
        too_large, too_long = memory > size.memory_bytes * (1 + 1e-9), seconds > size.seconds * (1 + 1e-9)
        if not too_large and (not too_long or count >= most):
            return rows
        if count >= most:
            raise InfeasiblePlan(
                f"Stratified by {source.column!r} into {count} sub-tasks, the most there can be, the largest needs "
                f"{as_bytes(memory)}, above allowed_mem = {as_bytes(limits.allowed_mem or 0.0)}. Raise allowed_mem or "
                "max_tasks."
            )
        count = min(max(count + 1, ceil(count * 1.02)), most)


def _slices(dataset: Dataset, costs: Costs, rows: Ints) -> SubTasks:
    n = len(rows)
    share = rows / rows.sum()
    of_memory = share if costs.memory_combines == "sum" else np.ones(n)
    edges = np.concatenate([[0.0], np.cumsum(share)])
    fragments = replace(
        dataset.fragments.take(np.zeros(n, np.int64)),
        section=np.full(n, n, np.int32),
        start=np.arange(n),
        stop=np.arange(1, n + 1),
        rows=rows,
        bytes=np.diff(np.rint(float(dataset.fragments.bytes[0]) * edges)).astype(np.int64),
        features={k: v[0] * share for k, v in dataset.fragments.features.items()},
    )
    return SubTasks.build(
        costs.fixed_seconds + costs.seconds[0] * share,
        memory_bytes=costs.fixed_memory_bytes + costs.memory_bytes[0] * of_memory,
        seconds_by_class={name: costs.fixed_seconds + v[0] * share for name, v in costs.seconds_by_class.items()},
        fragments=fragments,
        offsets=np.arange(n + 1),
        fragment_index=np.arange(n),
    )
