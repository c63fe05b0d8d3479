"""Pieces: fragments, whole or cut, with what each costs; and the sub-tasks that a packing of them makes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from partitioner.model import Costs, Dataset, Fragments, SubTasks
from partitioner.model.data import Floats, Ints


@dataclass(frozen=True, slots=True, eq=False)
class Load:
    """What n things to pack weigh: ``seconds`` and ``memory_bytes`` float64[n]; ``summed`` where memory adds up."""

    seconds: Floats
    memory_bytes: Floats
    summed: bool

    def __len__(self) -> int:
        return len(self.seconds)

    @property
    def weights(self) -> Floats:
        """What parts are balanced by: seconds, or, where nothing costs anything, one each."""
        return self.seconds if self.seconds.any() else np.ones(len(self))

    def capped(self, seconds: float) -> Load:
        """The same where nothing is longer than ``seconds``: what is fills a part by itself, and the others stay even."""
        if not (self.seconds > seconds).any():
            return self
        return replace(self, seconds=np.minimum(self.seconds, seconds))


@dataclass(frozen=True, slots=True, eq=False)
class Pieces:
    """n pieces in input order; ``origin`` int64[n] is the dataset's fragment each came from.

    ``seconds`` and ``memory_bytes`` float64[n], ``seconds_by_class`` likewise, without the fixed parts in ``costs``.
    """

    fragments: Fragments
    origin: Ints
    seconds: Floats
    memory_bytes: Floats
    seconds_by_class: Mapping[str, Floats]
    costs: Costs

    @classmethod
    def whole(cls, dataset: Dataset, costs: Costs) -> Pieces:
        """Every fragment as it is."""
        origin = np.arange(len(dataset.fragments))
        return cls(dataset.fragments, origin, costs.seconds, costs.memory_bytes, costs.seconds_by_class, costs)

    @classmethod
    def cut(cls, dataset: Dataset, costs: Costs, counts: Ints) -> Pieces:
        """Fragment i in ``counts[i]`` near-equal ranges; costs are shared out by range length.

        Where the cost model looked at every row (``costs.record_seconds``), a piece costs what its rows do.
        """
        finer, origin = dataset.fragments.cut(counts)
        length = dataset.fragments.stop - dataset.fragments.start
        share = np.where(counts[origin] > 1, (finer.stop - finer.start) / np.maximum(length[origin], 1), 1.0)
        seconds = costs.seconds[origin] * share
        if costs.record_seconds is not None and dataset.divisible_by == "rows":
            sums = np.concatenate([[0.0], np.cumsum(costs.record_seconds)])
            first = (np.cumsum(length) - length)[origin] + finer.start - dataset.fragments.start[origin]
            seconds = np.where(counts[origin] > 1, sums[first + finer.stop - finer.start] - sums[first], seconds)
        by_class = {name: values[origin] * share for name, values in costs.seconds_by_class.items()}
        return cls(finer, origin, seconds, costs.memory_bytes[origin] * share, by_class, costs)

    def __len__(self) -> int:
        return len(self.origin)

    @property
    def load(self) -> Load:
        """What the pieces weigh."""
        return Load(self.seconds, self.memory_bytes, self.costs.memory_combines == "sum")


@dataclass(frozen=True, slots=True, eq=False)
class Packing:
    """Which pieces make which sub-task: those of task k are ``order[offsets[k]:offsets[k + 1]]``, ascending, at least one.

    ``order`` None stands for 0, 1, ..., n - 1.
    """

    offsets: Ints
    order: Ints | None = None

    @classmethod
    def of_labels(cls, labels: Ints) -> Packing:
        """From the task number of every piece; tasks are renumbered by their first piece, empty ones dropped."""
        used, first, code = np.unique(labels, return_index=True, return_inverse=True)
        rank = np.empty(len(used), np.int64)
        rank[np.argsort(first)] = np.arange(len(used))
        codes = rank[code]
        offsets = np.concatenate([[0], np.cumsum(np.bincount(codes, minlength=len(used)))])
        return cls(offsets.astype(np.int64), np.argsort(codes, kind="stable"))

    def labels(self) -> Ints:
        """The task number of every piece."""
        tasks = np.repeat(np.arange(len(self.offsets) - 1), np.diff(self.offsets))
        if self.order is None:
            return tasks
        labels = np.empty(len(tasks), np.int64)
        labels[self.order] = tasks
        return labels

    def arranged(self, values: Floats) -> Floats:
        """``values`` of the pieces in packing order."""
        return values if self.order is None else values[self.order]

    def sums(self, values: Floats) -> Floats:
        """The sum of ``values`` over the pieces of each task."""
        return np.add.reduceat(self.arranged(values), self.offsets[:-1])

    def largest(self, values: Floats) -> Floats:
        """The largest of ``values`` over the pieces of each task."""
        return np.maximum.reduceat(self.arranged(values), self.offsets[:-1])


def sub_tasks(pieces: Pieces, packing: Packing) -> SubTasks:
    """The sub-tasks of a packing: seconds and memory with the fixed parts, neighbours of one fragment joined again."""
    costs = pieces.costs
    combine = packing.sums if costs.memory_combines == "sum" else packing.largest
    by_class = {name: costs.fixed_seconds + packing.sums(v) for name, v in pieces.seconds_by_class.items()}
    fragments, offsets, index = _joined(pieces, packing)
    return SubTasks.build(
        costs.fixed_seconds + packing.sums(pieces.seconds),
        memory_bytes=costs.fixed_memory_bytes + combine(pieces.memory_bytes),
        seconds_by_class=by_class,
        fragments=fragments,
        offsets=offsets,
        fragment_index=index,
    )


def no_sub_tasks(dataset: Dataset) -> SubTasks:
    """What an empty dataset is split into."""
    return SubTasks.build([], fragments=dataset.fragments)


def _joined(pieces: Pieces, packing: Packing) -> tuple[Fragments, Ints, Ints]:
    """Fragments, offsets and fragment index of the packing, with consecutive cuts of one fragment in one task joined."""
    order = packing.order if packing.order is not None else np.arange(len(pieces))
    if len(pieces) == 0 or len(pieces) == pieces.origin[-1] + 1:  # nothing was cut
        return pieces.fragments, packing.offsets, order
    joins = np.zeros(len(order), bool)
    joins[1:] = (np.diff(order) == 1) & (np.diff(pieces.origin[order]) == 0)
    joins[packing.offsets[1:-1]] = False
    run_of = np.cumsum(~joins) - 1
    starts = np.flatnonzero(~joins)
    offsets = np.append(run_of[packing.offsets[:-1]], len(starts))
    first = order[starts]
    last = order[np.append(starts[1:], len(order)) - 1]
    by_input = np.argsort(first)
    index = np.empty(len(starts), np.int64)
    index[by_input] = np.arange(len(starts))
    return _merged(pieces.fragments, first[by_input], last[by_input]), offsets, index


def _merged(fragments: Fragments, first: Ints, last: Ints) -> Fragments:
    """Runs of neighbouring fragments ``first[k]`` to ``last[k]``, in input order and without holes, as one each."""
    rows = np.add.reduceat(fragments.rows, first)
    return replace(
        fragments.take(first),
        stop=fragments.stop[last],
        rows=np.where(fragments.rows[first] < 0, -1, rows),
        bytes=np.add.reduceat(fragments.bytes, first),
        features={name: np.add.reduceat(values, first) for name, values in fragments.features.items()},
    )
