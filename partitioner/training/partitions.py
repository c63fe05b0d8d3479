"""The partitions of a plan, for training that a library of its own spreads over the workers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from partitioner import registry
from partitioner.errors import ConfigError
from partitioner.model import Fragments, Plan, Source


@dataclass(frozen=True, slots=True, eq=False)
class Partition:
    """The rows of one sub-task: they are read where ``table`` is called, and this travels to workers.

    ``worker`` is the name of the worker where the plan puts it.
    """

    worker: str
    source: Source
    fragments: Fragments

    def table(self) -> pa.Table:
        """All rows, in input order."""
        batches = [b for i in range(len(self.fragments)) for b in self.source.read(self.fragments[i], None)]
        return pa.Table.from_batches(batches, None if batches else self.source.describe().schema)


def partitions(plan: Plan, dataset: Any) -> list[Partition]:
    """One for each sub-task of a ``plan`` of this ``dataset``. Raises ConfigError where its sub-tasks have no rows."""
    held = plan.tasks.fragments
    if held is None:
        raise ConfigError(
            "the plan is of tables of tasks and workers, which have no rows; make one with pt.plan(dataset)."
        )
    source: Source = registry.import_ours("connectors.resolve").resolve(dataset)
    names = [plan.workers.worker_id[int(j)] for j in plan.worker]
    return [Partition(name, source, held.take(plan.tasks.fragments_of(i))) for i, name in enumerate(names)]
