"""A dataset seen in slices that all hold the classes of a label in the same proportions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from partitioner.errors import DataError
from partitioner.frames import to_numpy
from partitioner.model import Costs, Dataset, Fragment, Fragments
from partitioner.model.data import Floats, Ints
from partitioner.model.source import Source
from partitioner.splits.key_index import KeyIndex, index_keys


@dataclass(frozen=True, slots=True, eq=False)
class StratifiedSource(Source):
    """Reads ``inner`` in slices; ``fragments`` are those of ``inner``, ``index`` knows the rows of every class.

    A fragment with ``section`` K is slices ``start`` to ``stop`` of K. The rows, put in order of class, are dealt to K
    slices in turn, as scikit-learn's ``StratifiedKFold`` deals them: of a class with n rows a slice gets n / K, rounded
    down or up, and all slices are equal but for one row. Which rows: class by class, earlier slices hold earlier rows.
    """

    inner: Source
    column: str
    fragments: Fragments
    index: KeyIndex

    name: ClassVar[str] = "stratified"

    def narrowed(self) -> bool:
        """As the inner source."""
        return self.inner.narrowed()

    def describe(self) -> Dataset:
        """One fragment that is everything."""
        rows, size = int(self.index.rows.sum()), int(self.fragments.bytes.sum())
        whole = Fragment(0, f"strata of {self.column}", 1, 0, 1, rows, size)
        return Dataset(self, Fragments.of([whole] if rows else []))

    def bounds(self, slices: int, points: Ints) -> Ints:
        """int64[points, classes]: how many rows of each class the first ``points`` of ``slices`` slices hold."""
        edges = np.concatenate([[0], np.cumsum(self.index.rows_of_key)])
        dealt = edges // slices * points[:, None] + np.minimum(edges % slices, points[:, None])
        return np.asarray(np.diff(dealt, axis=1), np.int64)

    def rows_of_slices(self, slices: int) -> Ints:
        """int64[slices, classes]: how many rows of each class each slice holds."""
        return np.asarray(np.diff(self.bounds(slices, np.arange(slices + 1)), axis=0), np.int64)

    def read(self, fragment: Fragment, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """The rows of a slice, in input order."""
        low, high = self.bounds(fragment.section, np.array([fragment.start, fragment.stop]))
        rank, before, index = self.index.rank, self.index.before(), self.index
        wanted = (before < high[rank]) & (before + index.rows > low[rank])
        for i in np.unique(index.fragment[wanted]).tolist():
            at = np.zeros(len(index), np.int64)
            here = index.fragment == i
            at[rank[here]] = before[here]
            yield from self._rows(i, at, low, high, columns)

    def fingerprint(self, fragment: Fragment) -> str:
        """Of all files behind the underlying source, since any may hold rows of any slice."""
        return repr(sorted(self.fingerprints().items()))

    def contents(self) -> dict[str, str]:
        """Those of the source within."""
        return self.inner.contents()

    def fingerprints(self) -> dict[str, str]:
        """Those of the underlying source."""
        return self.inner.fingerprints()

    def _rows(self, i: int, at: Ints, low: Ints, high: Ints, columns: Sequence[str] | None) -> Iterator[pa.RecordBatch]:
        """Rows of underlying fragment ``i`` within the bounds; ``at`` counts the rows of each class before it."""
        extra = columns is not None and self.column not in columns
        names = [*columns, self.column] if columns is not None and extra else columns
        for batch in self.inner.read(self.fragments[i], names):
            if not batch.num_rows:
                continue
            label = batch.column(batch.schema.names.index(self.column))
            known = pc.index_in(label, value_set=self.index.keys)
            if known.null_count:
                new = label.filter(known.is_null())[0].as_py()
                raise DataError(
                    f"column {self.column!r} holds {new!r}, which was not there when the run was planned; "
                    "the input changed, start a new run"
                )
            code = to_numpy(known).astype(np.int64)
            place = at[code] + _nth_of_its_kind(code)
            at += np.bincount(code, minlength=len(at))
            kept = batch.filter(pa.array((place >= low[code]) & (place < high[code])))
            if kept.num_rows:
                yield kept.select(list(columns)) if columns is not None else kept


def _nth_of_its_kind(code: Ints) -> Ints:
    """For each entry how many equal ones come before it."""
    order = np.argsort(code, kind="stable")
    ordered = code[order]
    first = np.searchsorted(ordered, ordered, "left")
    nth = np.empty(len(code), np.int64)
    nth[order] = np.arange(len(code)) - first
    return nth


def by_strata(dataset: Dataset, column: str, costs: Costs | None = None) -> tuple[Dataset, Costs | None]:
    """``dataset`` and its costs as one fragment that can be cut into stratified slices; reads ``column`` once, here."""
    index = index_keys(dataset, column)
    source = StratifiedSource(dataset.source, column, dataset.fragments, index)
    seen = replace(source.describe(), schema=dataset.schema)
    if costs is None:
        return seen, None

    def total(values: Floats) -> Floats:
        return values.sum(keepdims=True) if len(seen.fragments) else np.empty(0)

    def memory(values: Floats) -> Floats:
        return total(values) if costs.memory_combines == "sum" else values.max(keepdims=True, initial=0.0)

    whole = replace(
        costs,
        seconds=total(costs.seconds),
        memory_bytes=memory(costs.memory_bytes)[: len(seen.fragments)],
        seconds_low=None if costs.seconds_low is None else total(costs.seconds_low),
        seconds_high=None if costs.seconds_high is None else total(costs.seconds_high),
        seconds_by_class={name: total(values) for name, values in costs.seconds_by_class.items()},
        record_seconds=None,
    )
    return seen, whole
