"""A dataset seen by the weight of its rows: fragments are stretches of rows of like weight, from wherever these lie.

The rows stay where they are. Fragments are taken together, as they come, into *reaches* of so many bytes, and the rows of
a reach are ordered by weight: within some ten thousand rows each finds others like it, and nobody reads more than a reach.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from partitioner.model import Costs, Dataset, Fragment, Fragments, SubTasks
from partitioner.model.data import Codes, Floats, Ints
from partitioner.model.source import Source


@dataclass(frozen=True, slots=True, eq=False)
class WeightIndex:
    """Where the rows of each reach stood, ordered by weight.

    ``first`` int64[r + 1]: the fragments of reach k of the dataset are ``first[k]`` to ``first[k + 1]``; ``rows`` int64[n]
    of every fragment; ``order[k]`` int32: the rows of reach k, by their place in it, heaviest first in even reaches and
    last in odd ones, so that neighbours are alike; ``together[k]`` bool: whether a row stays with the one before it.
    ``weights`` float64 of all rows of the dataset, in input order; dropped where workers get it.
    """

    first: Ints
    rows: Ints
    order: tuple[Codes, ...]
    together: tuple[npt.NDArray[np.bool_], ...] = ()
    weights: Floats | None = None

    @property
    def base(self) -> Ints:
        """int64[r + 1], how many rows of the dataset come before each reach."""
        before = np.zeros(len(self.rows) + 1, np.int64)
        np.cumsum(self.rows, out=before[1:])
        base: Ints = before[self.first]
        return base

    def places(self, reach: int, start: int, stop: int) -> Ints:
        """Where in the dataset the rows of ranks ``start`` to ``stop`` of a reach stood, in the order of their ranks."""
        found: Ints = np.add(self.base[reach], self.order[reach][start:stop], dtype=np.int64)
        return found

    def everywhere(self) -> Ints:
        """int64[rows]: the places of all rows, in the order of reaches and ranks."""
        found = [self.places(k, 0, len(order)) for k, order in enumerate(self.order)]
        return np.concatenate(found) if found else np.empty(0, np.int64)


class Kept:
    """Decoded fragments of this process, ``most_bytes`` at most; travels empty.

    Those of other reaches make room, those of the same do not: sub-tasks of a reach read all its fragments in turn, and
    dropping the one read longest ago would drop the one that is wanted next.
    """

    def __init__(self, most_bytes: float) -> None:
        self.most_bytes = most_bytes
        self._tables: dict[tuple[int, Any], pa.Table] = {}
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[Any, ...]:
        return Kept, (self.most_bytes,)

    def get(self, reach: int, key: Any, make: Callable[[], pa.Table]) -> pa.Table:
        """The table of ``key``, made where it is not kept."""
        with self._lock:  # threads of a process want the same fragments at once
            if (reach, key) in self._tables:
                return self._tables[reach, key]
            table = make()
            for other in [at for at in self._tables if at[0] != reach]:
                if self._bytes() + table.nbytes <= self.most_bytes:
                    break
                del self._tables[other]
            if self._bytes() + table.nbytes <= self.most_bytes:
                self._tables[reach, key] = table
            return table

    def _bytes(self) -> int:
        return sum(table.nbytes for table in self._tables.values())


@dataclass(frozen=True, slots=True, eq=False)
class WeighedSource(Source):
    """Reads ``inner`` by weight: a fragment is the rows of ranks ``start`` to ``stop`` of reach ``section``.

    A read opens the fragments of the inner source with rows of that stretch, and no other, with the columns asked for.
    """

    inner: Source
    fragments: Fragments
    index: WeightIndex
    kept: Kept = field(default_factory=lambda: Kept(0))

    name: ClassVar[str] = "weighed"

    def narrowed(self) -> bool:
        """As the inner source."""
        return self.inner.narrowed()

    def describe(self) -> Dataset:
        """One fragment per stretch of rows that may not be parted; see ``stretches``."""
        return replace(stretches(Dataset(self.inner, self.fragments), self)[0], source=self)

    def read(self, fragment: Fragment, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """The rows of a stretch, in the order of their ranks."""
        reach, index = fragment.section, self.index
        places = index.order[reach][fragment.start : fragment.stop].astype(np.int64)
        inner = range(int(index.first[reach]), int(index.first[reach + 1]))
        ends = np.cumsum(index.rows[inner.start : inner.stop])
        ascending = np.argsort(places, kind="stable")
        owner = np.searchsorted(ends, places[ascending], "right")
        parts = []
        for k in np.unique(owner).tolist():
            table = self._table(reach, inner[k], columns)
            mine = places[ascending[owner == k]] - (int(ends[k]) - int(index.rows[inner[k]]))
            parts.append(table.take(pa.array(mine)))
        if parts:
            back = np.empty(len(places), np.int64)
            back[ascending] = np.arange(len(places))
            yield from pa.concat_tables(parts).take(pa.array(back)).combine_chunks().to_batches()

    def _table(self, reach: int, i: int, columns: Sequence[str] | None) -> pa.Table:
        def made() -> pa.Table:
            return pa.Table.from_batches(list(self.inner.read(self.fragments[i], columns)))

        return self.kept.get(reach, (i, None if columns is None else tuple(columns)), made)

    def places(self, fragment: Fragment) -> Ints:
        """Where the rows stood in the input."""
        return self.index.places(fragment.section, fragment.start, fragment.stop)

    def fingerprint(self, fragment: Fragment) -> str:
        """Of all files behind the inner source: any of them may hold rows of any weight."""
        return sha256(repr(sorted(self.fingerprints().items())).encode()).hexdigest()

    def contents(self) -> dict[str, str]:
        """Those of the inner source."""
        return self.inner.contents()

    def fingerprints(self) -> dict[str, str]:
        """Those of the inner source."""
        return self.inner.fingerprints()


MOST_STRETCHES = 65_536
"""Stretches of a reach at most: single rows where it has no more."""


def stretches(dataset: Dataset, source: WeighedSource, costs: Costs | None = None) -> tuple[Dataset, Costs | None]:
    """The dataset with a fragment per stretch, and its costs: of each row where they are known, else by its weight.

    Rows that stay together are one stretch; others are joined only where there are more than ``MOST_STRETCHES``.
    """
    index, fragments = source.index, dataset.fragments
    unit, start, stop = _stretches(index)
    at = index.everywhere()
    share = _shares(index)
    owner = np.repeat(np.arange(len(fragments)), index.rows)
    cuts = (index.base[unit] + start).astype(np.int64)

    def summed(values: Floats) -> Floats:
        return np.add.reduceat(values, cuts) if len(cuts) else np.empty(0)

    def shared(values: Floats) -> Floats:
        return summed((values[owner] * share)[at])

    finer = Fragments(
        paths=("rows by weight",) if len(unit) else (),
        path_index=np.zeros(len(unit), np.int32),
        section=unit.astype(np.int32),
        start=start,
        stop=stop,
        rows=stop - start,
        bytes=np.diff(np.rint(np.cumsum(shared(fragments.bytes.astype(np.float64)))), prepend=0).astype(np.int64),
        features={name: shared(values) for name, values in fragments.features.items()},
    )
    made = Dataset(source, finer, dataset.schema, "rows")
    return made, None if costs is None else _costs(
        costs, shared, summed, _seconds_of_rows(costs, index, owner, share)[at]
    )


def _costs(
    costs: Costs,
    shared: Callable[[Floats], Floats],
    summed: Callable[[Floats], Floats],
    rows: Floats,
) -> Costs:
    memory = shared(costs.memory_bytes)
    if costs.memory_combines == "max":  # a fragment is read whole, whichever of its rows are wanted
        memory = np.full(len(memory), costs.memory_bytes.max(initial=0.0))
    low, high = costs.seconds_low, costs.seconds_high
    return replace(
        costs,
        seconds=summed(rows),
        memory_bytes=memory,
        seconds_low=None if low is None else shared(low),
        seconds_high=None if high is None else shared(high),
        seconds_by_class={name: shared(values) for name, values in costs.seconds_by_class.items()},
        record_seconds=rows,
    )


def _seconds_of_rows(costs: Costs, index: WeightIndex, owner: Ints, share: Floats) -> Floats:
    """float64[rows] in input order: as the cost model knows them, else the seconds of fragments shared out by weight.

    A cost that is no time (rows, bytes) stands in for what nobody said; here the weight says it, for all rows together.
    """
    if costs.record_seconds is not None:
        return costs.record_seconds
    weights = index.weights
    if costs.unit != "seconds" and weights is not None and weights.sum() > 0:
        return weights * (float(costs.seconds.sum()) / float(weights.sum()))
    spread: Floats = costs.seconds[owner] * share
    return spread


def _shares(index: WeightIndex) -> Floats:
    """float64[rows] in input order: the part of its fragment that each row is, by weight; equal where nothing weighs."""
    owner = np.repeat(np.arange(len(index.rows)), index.rows)
    even = (1.0 / np.maximum(index.rows, 1))[owner]
    if index.weights is None:
        return even
    total = np.bincount(owner, index.weights, len(index.rows))
    return np.where(total[owner] > 0, index.weights / np.where(total > 0, total, 1.0)[owner], even)


def _stretches(index: WeightIndex) -> tuple[Ints, Ints, Ints]:
    """Reach, first rank and end of every stretch."""
    units, starts, stops = [], [], []
    for k, order in enumerate(index.order):
        if not len(order):
            continue
        step = -(-len(order) // MOST_STRETCHES)
        begins = np.arange(0, len(order), step) if not index.together else np.flatnonzero(~index.together[k])
        starts.append(begins)
        stops.append(np.append(begins[1:], len(order)))
        units.append(np.full(len(begins), k))
    if not starts:
        nothing = np.empty(0, np.int64)
        return nothing, nothing, nothing
    return np.concatenate(units), np.concatenate(starts), np.concatenate(stops)


def joined(tasks: SubTasks) -> SubTasks:
    """The same sub-tasks with neighbouring stretches of a reach as one fragment each, so that a read serves them all."""
    fragments, index = tasks.fragments, tasks.fragment_index
    if fragments is None or len(index) == 0:
        return tasks
    held = fragments.take(index)
    joins = np.zeros(len(index), bool)
    joins[1:] = (held.section[1:] == held.section[:-1]) & (held.start[1:] == held.stop[:-1])
    joins[tasks.offsets[1:-1]] = False
    first = np.flatnonzero(~joins)
    last = np.append(first[1:], len(index)) - 1
    made = replace(
        held.take(first),
        stop=held.stop[last],
        rows=np.add.reduceat(held.rows, first),
        bytes=np.add.reduceat(held.bytes, first),
        features={name: np.add.reduceat(values, first) for name, values in held.features.items()},
    )
    offsets = np.append(np.cumsum(~joins)[tasks.offsets[:-1]] - 1, len(first))
    return tasks.with_columns(fragments=made, offsets=offsets, fragment_index=np.arange(len(first)))
