"""A dataset seen by key: fragments are the rows of one key, or of a range of keys, instead of ranges of a file.

The rows stay where they are. A read opens the fragments of the underlying source that hold the keys asked for and keeps
their rows: no shuffle, at the price that a fragment with rows of several sub-tasks is read by each of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from partitioner.model import Costs, Dataset, Fragment, Fragments, SubTasks
from partitioner.model.source import Source
from partitioner.splits.key_index import KeyIndex, index_keys


@dataclass(frozen=True, slots=True, eq=False)
class KeyedSource(Source):
    """Reads ``inner`` by ``column``; ``fragments`` are those of ``inner``, ``index`` says which hold which keys.

    A fragment with ``section`` r >= 0 is rows ``start`` to ``stop`` of the key of rank r, counted in input order; one with
    ``section`` -1 is every row of the keys of ranks ``start`` to ``stop``.
    """

    inner: Source
    column: str
    fragments: Fragments
    index: KeyIndex

    name: ClassVar[str] = "keyed"

    def narrowed(self) -> bool:
        """As the inner source."""
        return self.inner.narrowed()

    def describe(self) -> Dataset:
        """One fragment per key, with the feature ``column``, its rank."""
        rows = self.index.rows_of_key
        n = len(rows)
        size = self.index.shared(self.fragments.bytes.astype(np.float64))
        features = {k: self.index.shared(v) for k, v in self.fragments.features.items()}
        fragments = Fragments(
            paths=(f"key {self.column}",) if n else (),
            path_index=np.zeros(n, np.int32),
            section=np.arange(n, dtype=np.int32),
            start=np.zeros(n, np.int64),
            stop=rows,
            rows=rows,
            bytes=np.rint(size).astype(np.int64),
            features={**features, self.column: np.arange(n, dtype=np.float64)},
        )
        return Dataset(self, fragments, None, "rows")

    def read(self, fragment: Fragment, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """The rows of a key, a part of them, or of a range of keys, in input order."""
        one = fragment.section >= 0
        low, high = (fragment.section, fragment.section + 1) if one else (fragment.start, fragment.stop)
        wanted = self.index.keys.slice(low, high - low)
        place = 0  # of the next row among those of the one key
        for i in self._holding(low, high):
            if one:
                entry = slice(self.index.offsets[low], self.index.offsets[low + 1])
                here = int(self.index.rows[entry][self.index.fragment[entry] == i][0])
                if place + here <= fragment.start or place >= fragment.stop:
                    place += here
                    continue
            for rows in self._rows(i, wanted, columns):
                kept = rows
                if one:
                    first = max(fragment.start - place, 0)
                    kept = rows.slice(first, max(min(fragment.stop - place, rows.num_rows) - first, 0))
                    place += rows.num_rows
                if kept.num_rows:
                    yield kept

    def fingerprint(self, fragment: Fragment) -> str:
        """Of all files behind the underlying source: any of them may hold rows of any key."""
        return sha256(repr(sorted(self.fingerprints().items())).encode()).hexdigest()

    def contents(self) -> dict[str, str]:
        """Those of the source within."""
        return self.inner.contents()

    def fingerprints(self) -> dict[str, str]:
        """Those of the underlying source."""
        return self.inner.fingerprints()

    def name_of(self, rank: int) -> str:
        """How messages name the key."""
        return f"{self.column} = {self.index.keys[int(rank)].as_py()!r}"

    def _holding(self, low: int, high: int) -> list[int]:
        """Underlying fragments with rows of the keys of ranks ``low`` to ``high``, ascending."""
        held = self.index.fragment[self.index.offsets[low] : self.index.offsets[high]]
        found: list[int] = np.unique(held).tolist()
        return found

    def _rows(self, i: int, wanted: pa.Array, columns: Sequence[str] | None) -> Iterator[pa.RecordBatch]:
        """Rows of underlying fragment ``i`` whose key is among ``wanted``."""
        extra = columns is not None and self.column not in columns
        names = [*columns, self.column] if columns is not None and extra else columns
        for batch in self.inner.read(self.fragments[i], names):
            key = batch.column(batch.schema.names.index(self.column))
            kept = batch.filter(pc.is_valid(pc.index_in(key, value_set=wanted)))
            yield kept.select(list(columns)) if columns is not None else kept


def by_key(dataset: Dataset, column: str, costs: Costs | None = None) -> tuple[Dataset, Costs | None]:
    """``dataset`` and its costs seen by the keys in ``column``: reads that column once, here.

    Seconds are those of the rows where the cost model knows them; else seconds and bytes of a fragment are shared out
    evenly over its rows.
    """
    index = index_keys(dataset, column, None if costs is None else costs.record_seconds)
    keyed = replace(KeyedSource(dataset.source, column, dataset.fragments, index).describe(), schema=dataset.schema)
    return keyed, None if costs is None else shared_costs(costs, index)


def shared_costs(costs: Costs, index: KeyIndex) -> Costs:
    """Costs of fragments as costs of keys."""
    low, high = costs.seconds_low, costs.seconds_high
    memory = index.shared(costs.memory_bytes)
    if costs.memory_combines == "max" and len(index):  # a fragment is read whole, whichever of its keys is wanted
        memory = np.maximum.reduceat(costs.memory_bytes[index.fragment], index.offsets[:-1])
    return replace(
        costs,
        seconds=index.shared(costs.seconds) if index.seconds is None else index.summed(index.seconds),
        memory_bytes=memory,
        seconds_low=None if low is None else index.shared(low),
        seconds_high=None if high is None else index.shared(high),
        seconds_by_class={name: index.shared(values) for name, values in costs.seconds_by_class.items()},
        record_seconds=None,
    )


def ranges_joined(tasks: SubTasks, source: KeyedSource) -> SubTasks:
    """The same sub-tasks with whole keys of neighbouring ranks as one range each, so that a read serves many keys."""
    fragments, index = tasks.fragments, tasks.fragment_index
    if fragments is None or len(index) == 0:
        return tasks
    section, start, stop = (getattr(fragments, c)[index] for c in ("section", "start", "stop"))
    whole = (start == 0) & (stop == source.index.rows_of_key[section])
    joins = np.zeros(len(index), bool)
    joins[1:] = whole[1:] & whole[:-1] & (np.diff(section) == 1)
    joins[tasks.offsets[1:-1]] = False
    first = np.flatnonzero(~joins)
    last = np.append(first[1:], len(index)) - 1
    several = last > first
    held = fragments.take(index)
    joined = replace(
        held.take(first),
        section=np.where(several, -1, section[first]).astype(np.int32),
        start=np.where(several, section[first], start[first]),
        stop=np.where(several, section[last] + 1, stop[first]),
        rows=np.add.reduceat(held.rows, first),
        bytes=np.add.reduceat(held.bytes, first),
        features={name: np.add.reduceat(values, first) for name, values in held.features.items()},
    )
    # Fragments are listed by key; a task's own stay ascending because its keys were.
    order = np.argsort(section[first].astype(np.int64) * 2**31 + np.minimum(start[first], 2**31 - 1), kind="stable")
    position = np.empty(len(first), np.int64)
    position[order] = np.arange(len(first))
    offsets = np.append(np.cumsum(~joins)[tasks.offsets[:-1]] - 1, len(first))
    return tasks.with_columns(fragments=joined.take(order), offsets=offsets, fragment_index=position)
