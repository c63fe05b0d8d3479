"""``by_weight``: rows of like weight together, across fragments, for models that pad a batch to its longest row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from partitioner.costs.formulas.row_weight import RowWeight
from partitioner.errors import ConfigError, DataError, listed, nearest
from partitioner.frames import to_numpy
from partitioner.model import Costs, Dataset, Limits, SubTasks
from partitioner.model.data import Floats, Ints
from partitioner.sizes import parse_bytes
from partitioner.splits.base import Splitter
from partitioner.splits.ordered import contiguous
from partitioner.splits.pieces import Pieces, no_sub_tasks, sub_tasks
from partitioner.splits.sizing import TOLERANCE, cuts, most_pieces, refuse_oversized, size_of
from partitioner.splits.weighed import Kept, WeighedSource, WeightIndex, joined, stretches

REACH = "32MB"
"""Of input that rows are brought together across, where it does not say: ten thousand texts find others like them,
and a sub-task that wants rows from all of it has it decoded in a fraction of a second."""

KEEP = "128MB"
"""Of decoded input that a process keeps for its next sub-tasks, where it does not say; beside what is predicted of them,
within the fifth of a worker's memory that no plan uses."""


READERS = 4
"""Threads that read the columns of weight and prefix when a run is planned: mostly they wait for a disk or a store."""


class ByWeight(Splitter):
    """Sub-tasks of rows of like weight, heaviest first, from all fragments within ``reach`` bytes of each other.

    ``weight`` of a row as for batches, by default the run's: a column, an expression such as ``"len(text)"``, or a function
    of a record batch. ``prefix`` names a column whose equal values stay side by side in one sub-task, unless they are more
    than it can hold, with ``prefix_length`` only so many characters (or items) of it: a model server computes them once.
    ``keep`` bytes of decoded input are kept by each process, for its next sub-tasks want rows of the same fragments.

    Planning reads the columns of weight and prefix once, here; a plan holds 4 bytes per row. Costs of fragments are shared
    out by weight where the cost model did not look at every row. O(n log n).
    """

    name = "by_weight"
    reorders = True

    def __init__(
        self,
        weight: str | Callable[[pa.RecordBatch], Any] | None = None,
        prefix: str | None = None,
        prefix_length: int | None = None,
        reach: Any = REACH,
        keep: Any = KEEP,
    ) -> None:
        if prefix_length is not None and (prefix is None or not prefix_length >= 1):
            raise ConfigError(f"prefix_length = {prefix_length} is how much of prefix= counts: give both, at least 1.")
        self.weight = None if weight is None else RowWeight(weight)
        self.prefix, self.prefix_length = prefix, prefix_length
        self.reach, self.keep = parse_bytes(reach), parse_bytes(keep)
        if not self.reach > 0 or not self.keep >= 0:
            raise ConfigError(f"reach = {reach!r}, keep = {keep!r}; these are bytes, reach above 0, such as '64MB'.")

    def bind(self, weight: Any) -> ByWeight:
        """With the run's weight where this has none of its own. ConfigError where there is neither."""
        if self.weight is not None:
            return self
        if weight is None:
            raise ConfigError(
                "split 'by_weight' needs a weight of rows: give weight= a column, an expression such as 'len(text)', or a "
                "function, or write {split: by_weight, weight: ...}."
            )
        return ByWeight(weight, self.prefix, self.prefix_length, self.reach, self.keep)

    def prepare(self, dataset: Dataset, costs: Costs | None = None) -> tuple[Dataset, Costs | None]:
        """The dataset as stretches of rows by weight; reads the columns of weight and prefix."""
        if isinstance(dataset.source, WeighedSource):
            return dataset, costs
        index = self._indexed(dataset)
        kept = Kept(self.keep)
        seen = WeighedSource(dataset.source, dataset.fragments, index, kept)
        made, finer = stretches(dataset, seen, costs)
        light = replace(seen, index=replace(index, weights=None, together=()))
        return replace(made, source=light), finer

    def split(self, dataset: Dataset, costs: Costs, limits: Limits) -> SubTasks:
        """Contiguous ranges by weight; stretches that stay together are cut only where one is larger than a sub-task."""
        if len(dataset.fragments) == 0:
            return no_sub_tasks(dataset)
        size = size_of(dataset, costs, limits)
        whole = Pieces.whole(dataset, costs)
        even = float(whole.load.weights.sum()) / size.tasks
        large = whole.load.weights > min(even * (1 + TOLERANCE), size.seconds)
        large |= whole.memory_bytes > size.memory_bytes
        pieces = Pieces.cut(dataset, costs, np.where(large, cuts(whole, size, most_pieces(dataset)), 1))
        refuse_oversized(pieces, size, limits, dataset)
        return joined(sub_tasks(pieces, contiguous(pieces.load, size, limits)))

    def _indexed(self, dataset: Dataset) -> WeightIndex:
        with ThreadPoolExecutor(READERS) as readers:
            read = list(readers.map(lambda i: self._read(dataset, i), range(len(dataset.fragments))))
        spans = _reaches(dataset.fragments.bytes, self.reach)
        order, together = [], []
        for k, (a, b) in enumerate(spans):
            weights = np.concatenate([w for w, _ in read[a:b]])
            ranks, stays = _ordered(weights, [p for _, p in read[a:b]])
            order.append((ranks if k % 2 == 0 else ranks[::-1]).astype(np.int32))
            together.append(stays if k % 2 == 0 else np.append(False, stays[:0:-1]))
        weights = np.concatenate([w for w, _ in read]) if read else np.empty(0)
        rows = np.array([len(w) for w, _ in read], np.int64)
        starts = np.array([a for a, _ in spans] + [len(read)], np.int64)
        groups = tuple(together) if self.prefix is not None else ()
        return WeightIndex(starts, rows, tuple(order), groups, weights)

    def _read(self, dataset: Dataset, i: int) -> tuple[Floats, pa.ChunkedArray | None]:
        """Weights, and prefixes where they count, of the rows of one fragment."""
        assert self.weight is not None, "bound to a weight"
        wanted = None
        if self.weight.columns:
            wanted = list(dict.fromkeys([*self.weight.columns, *((self.prefix,) if self.prefix else ())]))
            self._check(dataset, wanted)
        batches = list(dataset.source.read(dataset.fragments[i], wanted))
        weights = [self.weight.of(batch) for batch in batches]
        found = np.concatenate(weights) if weights else np.empty(0)
        if self.prefix is None:
            return found, None
        parts = [self._prefixes(batch.column(batch.schema.names.index(self.prefix))) for batch in batches]
        return found, pa.chunked_array(parts) if parts else None

    def _check(self, dataset: Dataset, wanted: Sequence[str]) -> None:
        known = [] if dataset.schema is None else list(dataset.schema.names)
        for name in wanted:
            if known and name not in known:
                what = "prefix" if name == self.prefix else "weight"
                raise DataError(f"{what} reads column {name!r}; there are {listed(known)}.{nearest(name, known)}")

    def _prefixes(self, column: pa.Array) -> pa.Array:
        if self.prefix_length is None:
            return column
        kind = column.type
        if pa.types.is_list(kind) or pa.types.is_large_list(kind):
            heads = pc.list_slice(column, 0, self.prefix_length)
            return pa.array([None if v is None else repr(v) for v in heads.to_pylist()], pa.string())
        return pc.utf8_slice_codeunits(column, 0, self.prefix_length)


def _reaches(sizes: Ints, most: float) -> list[tuple[int, int]]:
    """First and end of every reach: fragments as they come, of ``most`` bytes together or one alone."""
    first, held = [0], 0.0
    for i, size in enumerate(sizes.tolist()):
        if held and held + size > most:
            first.append(i)
            held = 0.0
        held += size
    return list(pairwise([*first, len(sizes)])) if len(sizes) else []


def _ordered(weights: Floats, prefixes: Sequence[pa.ChunkedArray | None]) -> tuple[Ints, Any]:
    """Rows heaviest first, and whether each stays with the one before it: those of one prefix, by their heaviest row."""
    chunks = [chunk for found in prefixes if found is not None for chunk in found.chunks]
    if not chunks:
        return np.argsort(-weights, kind="stable"), np.zeros(len(weights), bool)
    coded = pa.concat_arrays([pa.array(c.to_pylist()) if isinstance(c, pa.DictionaryArray) else c for c in chunks])
    group = to_numpy(coded.dictionary_encode(null_encoding="encode").indices).astype(np.int64)
    heaviest = np.zeros(int(group.max(initial=-1)) + 1)
    np.maximum.at(heaviest, group, weights)
    order = np.lexsort((np.arange(len(weights)), -weights, group, -heaviest[group]))
    return order, np.append(False, np.diff(group[order]) == 0)[: len(order)]
