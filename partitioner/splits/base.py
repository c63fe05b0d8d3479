"""The contract of a splitter: ``split``, and hooks that do nothing unless a splitter needs them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from partitioner.model import Costs, Dataset, Limits, SubTasks


class Splitter(ABC):
    """Cuts and packs fragments into sub-tasks. Pure and deterministic; ``name`` is its registered name.

    ``keeps_groups``: a sub-task holds whole groups that the program relies on, so that its rows must not be parted.
    ``own_demands``: its sub-tasks say how many cores and GPUs they use; by default ``task_cpus`` and ``task_gpus`` do.
    ``reorders``: neighbouring rows go to different sub-tasks, and its source says of each where it stood
    (``Source.places``), so that the output can be put back in order row by row.
    ``regroups``: rows come together by a value that they share, so that one of them does not run without the others.
    """

    name: str = ""
    keeps_groups: bool = False
    own_demands: bool = False
    reorders: bool = False
    regroups: bool = False

    def bind(self, weight: Any) -> Splitter:
        """The splitter for one run, whose rows have this ``weight`` (a column, expression or function; None: not said)."""
        return self

    @abstractmethod
    def split(self, dataset: Dataset, costs: Costs, limits: Limits) -> SubTasks:
        """Sub-tasks that hold every fragment's rows exactly once, within ``limits``.

        ``SubTasks.fragments`` may be finer than ``dataset.fragments`` where the connector can cut.
        Raises InfeasiblePlan naming the fragment, its size and the limit, where it cannot be cut and breaks one.
        """

    def prepare(self, dataset: Dataset, costs: Costs | None = None) -> tuple[Dataset, Costs | None]:
        """The dataset in units this splitter can split (keys, classes), and ``costs`` in these units.

        For a splitter that needs more than fragments: its dataset has a source of its own, which is what workers read
        from. May read a column through ``dataset.source``. Doing it twice gives the same. The default changes nothing.
        """
        return dataset, costs

    def hot_groups(self, dataset: Dataset, costs: Costs, limits: Limits) -> Sequence[Any]:
        """Groups larger than a sub-task, largest first, to be told before the run; their ``str`` is a sentence."""
        return ()
