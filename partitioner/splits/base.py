"""The contract of a splitter, and of one that must see the dataset its own way first."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

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


@runtime_checkable
class Preparing(Protocol):
    """A splitter that needs more than fragments (keys, classes) and so describes the dataset anew."""

    def prepare(self, dataset: Dataset, costs: Costs | None = None) -> tuple[Dataset, Costs | None]:
        """The dataset, with a source of its own, in units this splitter can split, and ``costs`` in these units.

        The source returned is what workers read from. May read a column through ``dataset.source``. Doing it twice gives
        the same.
        """
        ...


def prepared(splitter: Splitter, dataset: Dataset, costs: Costs | None = None) -> tuple[Dataset, Costs | None]:
    """What ``splitter.split`` shall be given: the same unless the splitter is ``Preparing``."""
    return splitter.prepare(dataset, costs) if isinstance(splitter, Preparing) else (dataset, costs)
