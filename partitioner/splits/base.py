"""The contract of a splitter."""

from __future__ import annotations

from typing import Protocol

from partitioner.model import Costs, Dataset, Limits, SubTasks


class Splitter(Protocol):
    """Cuts and packs fragments into sub-tasks. Pure and deterministic."""

    name: str

    def split(self, dataset: Dataset, costs: Costs, limits: Limits) -> SubTasks:
        """Sub-tasks that hold every fragment's rows exactly once, within ``limits``.

        ``SubTasks.fragments`` may be finer than ``dataset.fragments`` where the connector can cut.
        Raises InfeasiblePlan naming the fragment, its size and the limit, where it cannot be cut and breaks one.
        """
        ...
