"""``grouped``: rows of one key stay together in one sub-task; hot groups are split only where the reducer can merge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, inf
from typing import Any

import numpy as np
import numpy.typing as npt

from partitioner.errors import ConfigError, DataError, InfeasiblePlan
from partitioner.model import Costs, Dataset, Limits, SubTasks
from partitioner.model.data import Ints
from partitioner.sizes import as_bytes
from partitioner.splits.base import Splitter
from partitioner.splits.keyed import KeyedSource, by_key, ranges_joined
from partitioner.splits.ordered import contiguous
from partitioner.splits.packed import longest_first
from partitioner.splits.pieces import Load, Packing, Pieces, no_sub_tasks, sub_tasks
from partitioner.splits.sizing import TOLERANCE, Size, cuts, most_pieces, refuse_oversized, size_of


@dataclass(frozen=True, slots=True)
class HotGroup:
    """A group larger than a sub-task: its ``seconds`` and ``memory_bytes``, and what an even sub-task has.

    ``unit`` is what the seconds really are, where a stand-in such as rows was used.
    """

    name: str
    seconds: float
    memory_bytes: float
    even_seconds: float
    split: bool
    unit: str = "seconds"

    def __str__(self) -> str:
        times = self.seconds / max(self.even_seconds, 1e-300)
        about = (
            f"Group {self.name} has {self.seconds:.6g} {self.unit}, {times:.3g} times an even sub-task "
            f"({self.even_seconds:.6g} {self.unit})"
        )
        if self.split:
            return f"{about}; it is split and its parts are merged."
        return (
            f"{about}, and stays whole: no run is shorter than that. "
            "It would be split with a reducer that merges parts of a group (count, mean, variance, by_key)."
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Groups:
    """g groups of the fragments: ``code`` int64[n] by first appearance, ``first`` fragment of each, int64[g]; seconds and
    memory float64[g]; which are hot."""

    code: Ints
    first: Ints
    load: Load
    hot: npt.NDArray[np.bool_]
    even: float


class Grouped(Splitter):
    """Whole groups per sub-task. ``key`` names a column of the data, or a feature of its fragments, or gives one value
    per fragment; without it every fragment is a group.

    Groups in input order are cut into contiguous ranges (exact, as ``ordered``); scattered ones are packed as ``packed``
    does. A group above an even share, or a limit, is hot: with ``split_hot`` (by default where ``limits.divisible``) it
    is cut by rows, else it stays whole, which ``hot_groups`` tells before the run. O(n log n).
    """

    name = "grouped"
    regroups = True

    def __init__(self, key: str | Sequence[Any] | None = None, split_hot: bool | None = None) -> None:
        self.keeps_groups = not split_hot
        self.key = key
        self.split_hot = split_hot

    def prepare(self, dataset: Dataset, costs: Costs | None = None) -> tuple[Dataset, Costs | None]:
        """The dataset seen by key, where the key is a column and no feature of fragments; reads that column."""
        if not isinstance(self.key, str) or self.key in dataset.fragments.features:
            return dataset, costs
        return by_key(dataset, self.key, costs)

    def split(self, dataset: Dataset, costs: Costs, limits: Limits) -> SubTasks:
        """Sub-tasks of whole groups. InfeasiblePlan for a group above ``allowed_mem`` that may not be split."""
        if len(dataset.fragments) == 0:
            return no_sub_tasks(dataset)
        size = size_of(dataset, costs, limits)
        groups = self._groups(dataset, costs, size)
        whole = Pieces.whole(dataset, costs)
        if self._may_split(limits):
            counts = np.where(groups.hot[groups.code], cuts(whole, size, most_pieces(dataset)), 1)
            pieces = Pieces.cut(dataset, costs, counts)
            refuse_oversized(pieces, size, limits, dataset)
        else:
            self._refuse_unsplit(dataset, groups, size, limits)
            pieces = whole
        in_runs = bool((np.diff(groups.code) >= 0).all())
        item = groups.code[pieces.origin]
        if self._may_split(limits) and groups.hot.any():
            item = _split_hot(groups, pieces, size, limits, in_runs)
        pack = contiguous if in_runs else longest_first
        labels = pack(_summed(pieces, item), size, limits).labels()[item]
        tasks = sub_tasks(pieces, Packing.of_labels(labels))
        tasks = tasks.with_columns(hot_groups=self._labels(dataset, groups, pieces.origin, labels))
        return ranges_joined(tasks, dataset.source) if isinstance(dataset.source, KeyedSource) else _together(tasks)

    def hot_groups(self, dataset: Dataset, costs: Costs, limits: Limits) -> list[HotGroup]:
        """The groups larger than a sub-task, largest first: to be told before the run."""
        if len(dataset.fragments) == 0:
            return []
        groups = self._groups(dataset, costs, size_of(dataset, costs, limits))
        found = [
            HotGroup(
                self._name(dataset, groups, int(g)),
                float(groups.load.seconds[g]),
                float(groups.load.memory_bytes[g]),
                groups.even,
                self._may_split(limits),
                costs.unit,
            )
            for g in np.flatnonzero(groups.hot)
        ]
        return sorted(found, key=lambda group: -group.seconds)

    def _may_split(self, limits: Limits) -> bool:
        return limits.divisible if self.split_hot is None else self.split_hot

    def _groups(self, dataset: Dataset, costs: Costs, size: Size) -> _Groups:
        code = _numbered(self._values(dataset))
        load = _summed(Pieces.whole(dataset, costs), code)
        even = float(load.seconds.sum()) / size.tasks
        hot = (load.seconds > min(even * (1 + TOLERANCE), size.seconds)) | (load.memory_bytes > size.memory_bytes)
        return _Groups(code, np.unique(code, return_index=True)[1], load, hot, even)

    def _values(self, dataset: Dataset) -> npt.NDArray[Any]:
        """The group of every fragment."""
        n = len(dataset.fragments)
        if self.key is None:
            return np.arange(n)
        if not isinstance(self.key, str):
            if len(self.key) != n:
                raise ConfigError(f"key gives {len(self.key)} groups for {n} fragments; give one per fragment.")
            if (groups := np.asarray(self.key)).ndim != 1:
                raise ConfigError(f"key gives lists as groups, such as {self.key[0]!r}; give one name per fragment.")
            return groups
        if self.key not in dataset.fragments.features:
            have = ", ".join(dataset.fragments.features) or "none"
            raise DataError(
                f"Fragments have no feature {self.key!r} (they have: {have}); to group by a column of the data, split "
                "what prepare() returns."
            )
        return dataset.fragments.features[self.key]

    def _refuse_unsplit(self, dataset: Dataset, groups: _Groups, size: Size, limits: Limits) -> None:
        over = np.flatnonzero(groups.load.memory_bytes > size.memory_bytes * (1 + 1e-9))
        if len(over):
            g = int(over[0])
            more = f" (and {len(over) - 1} more)" if len(over) > 1 else ""
            raise InfeasiblePlan(
                f"Group {self._name(dataset, groups, g)}{more} needs {as_bytes(groups.load.memory_bytes[g])}, above "
                f"allowed_mem = {as_bytes(limits.allowed_mem or 0.0)}, and may not be split because the reducer needs it "
                "whole. Raise allowed_mem, or use a reducer that merges parts of a group (count, mean, variance, by_key)."
            )

    def _name(self, dataset: Dataset, groups: _Groups, g: int) -> str:
        value = self._values(dataset)[groups.first[g]]
        if isinstance(dataset.source, KeyedSource) and self.key == dataset.source.column:
            return dataset.source.name_of(int(value))
        return f"{self.key if isinstance(self.key, str) else 'fragment'} = {np.asarray(value).item()!r}"

    def _labels(self, dataset: Dataset, groups: _Groups, origin: Ints, labels: Ints) -> tuple[str, ...]:
        """Per sub-task the hot groups it holds rows of; of the others nothing."""
        task, code = Packing.of_labels(labels).labels(), groups.code[origin]
        hot = groups.hot[code]
        if not hot.any():
            return ()
        names = [""] * (int(task.max()) + 1)
        for pair in np.unique(task[hot] * len(groups.hot) + code[hot]).tolist():
            k, g = divmod(pair, len(groups.hot))
            name = self._name(dataset, groups, g)
            names[k] = f"{names[k]}, {name}" if names[k] else name
        return tuple(names)


def _together(tasks: SubTasks) -> SubTasks:
    """The same with the fragments of each sub-task side by side, so that they count as one run and reach the program in
    one call, which scattered groups need."""
    assert tasks.fragments is not None
    index = tasks.fragment_index
    return tasks.with_columns(fragments=tasks.fragments.take(index), fragment_index=np.arange(len(index)))


def _numbered(values: npt.NDArray[Any]) -> Ints:
    """Values as numbers from 0, by first appearance."""
    import pandas as pd

    return np.asarray(pd.factorize(values, use_na_sentinel=False)[0], np.int64)


def _split_hot(groups: _Groups, pieces: Pieces, size: Size, limits: Limits, in_runs: bool) -> Ints:
    """What is packed as one: a group, or, of a hot one, every piece; where groups are scattered, about an even share."""
    code = groups.code[pieces.origin]
    part = np.arange(len(pieces)) if in_runs else np.zeros(len(pieces), np.int64)
    for g in [] if in_runs else np.flatnonzero(groups.hot).tolist():
        mine = np.flatnonzero(code == g)
        load = Load(pieces.seconds[mine], pieces.memory_bytes[mine], groups.load.summed)
        share = min(groups.even, size.seconds)
        wanted = max(ceil(load.seconds.sum() / share) if share > 0 else 1, 1)
        part[mine] = contiguous(load, Size(wanted, size.seconds, size.memory_bytes, inf), limits).labels()
    return _numbered(np.where(groups.hot[code], len(groups.hot) + part + code * len(pieces), code))


def _summed(pieces: Pieces, item: Ints) -> Load:
    """What the items weigh."""
    n = int(item.max()) + 1
    seconds = np.bincount(item, pieces.seconds, n).astype(np.float64)
    if pieces.costs.memory_combines == "sum":
        return Load(seconds, np.bincount(item, pieces.memory_bytes, n).astype(np.float64), True)
    memory = np.zeros(n)
    np.maximum.at(memory, item, pieces.memory_bytes)
    return Load(seconds, memory, False)
