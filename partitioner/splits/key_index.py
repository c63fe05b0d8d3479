"""Where the rows of each key are: one pass over one column of the data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from partitioner.errors import DataError, listed, nearest
from partitioner.frames import to_numpy
from partitioner.model import Dataset
from partitioner.model.data import Floats, Ints


@dataclass(frozen=True, slots=True, eq=False)
class KeyIndex:
    """k keys ranked by first appearance, and p (rank, fragment, rows) entries sorted by rank, then fragment.

    ``keys`` Arrow array of k values, null among them where the column has nulls; ``fragment`` and ``rows`` int64[p];
    ``seconds`` float64[p] what the rows of an entry cost, where the cost of each row is known. The entries of rank r are
    ``offsets[r]`` to ``offsets[r + 1]``. ``fragments`` is how many were read.
    """

    keys: pa.Array
    fragment: Ints
    rows: Ints
    offsets: Ints
    fragments: int
    seconds: Floats | None = None

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def rank(self) -> Ints:
        """int64[p], the key of every entry."""
        return np.repeat(np.arange(len(self)), np.diff(self.offsets))

    @property
    def rows_of_key(self) -> Ints:
        """int64[k]."""
        return self.summed(self.rows.astype(np.float64)).astype(np.int64)

    @property
    def rows_of_fragment(self) -> Ints:
        """int64[fragments]."""
        return np.bincount(self.fragment, self.rows, self.fragments).astype(np.int64)

    def summed(self, values: Floats) -> Floats:
        """Values of entries, float64[p], added up by key, float64[k]."""
        return np.add.reduceat(values, self.offsets[:-1]) if len(self) else np.empty(0)

    def shared(self, values: Floats) -> Floats:
        """Values of fragments, float64[fragments], shared out by rows and added up by key, float64[k]."""
        per_row = values / np.maximum(self.rows_of_fragment, 1)
        return self.summed(per_row[self.fragment] * self.rows)

    def before(self) -> Ints:
        """int64[p]: how many rows of its key come in earlier fragments."""
        ends = np.cumsum(self.rows)
        starts = ends - self.rows
        return starts - np.repeat(starts[self.offsets[:-1]], np.diff(self.offsets))


def index_keys(dataset: Dataset, column: str, record_seconds: Floats | None = None) -> KeyIndex:
    """Read ``column`` of every fragment, here, and nothing else. DataError where there is no such column.

    With ``record_seconds``, float64[rows] in input order, the index holds the ``seconds`` of every entry.
    """
    if dataset.schema is not None and column not in dataset.schema.names:
        known = list(dataset.schema.names)
        raise DataError(f"The key {column!r} is no column; there are {listed(known)}.{nearest(column, known)}")
    values: list[pa.Array] = []
    rows: list[Ints] = []
    seconds: list[Floats] = []
    seen: list[int] = []
    place = 0
    for i in range(len(dataset.fragments)):
        batches = [b.column(b.schema.names.index(column)) for b in _column(dataset, i, column)]
        if not batches:
            continue
        code, keys = _encoded(pa.chunked_array(batches))
        values.append(keys)
        rows.append(np.bincount(code, minlength=len(keys)).astype(np.int64))
        seen += [i] * len(keys)
        if record_seconds is not None:
            seconds.append(np.bincount(code, record_seconds[place : place + len(code)], len(keys)).astype(np.float64))
        place += len(code)
    return _index(values, rows, seconds, seen, len(dataset.fragments))


def _column(dataset: Dataset, i: int, column: str) -> Iterator[pa.RecordBatch]:
    return (b for b in dataset.source.read(dataset.fragments[i], [column]) if b.num_rows)


def _encoded(column: pa.ChunkedArray) -> tuple[Ints, pa.Array]:
    """Codes of the rows, and the values they stand for, by first appearance; null is a value."""
    coded = column.combine_chunks()
    coded = pa.concat_arrays(coded.chunks) if isinstance(coded, pa.ChunkedArray) else coded
    if isinstance(coded, pa.DictionaryArray):  # its dictionary may hold unused or repeated values
        coded = coded.dictionary_decode()
    coded = coded.dictionary_encode(null_encoding="encode")
    return to_numpy(coded.indices).astype(np.int64), coded.dictionary


def _index(
    values: list[pa.Array], rows: list[Ints], seconds: list[Floats], seen: list[int], fragments: int
) -> KeyIndex:
    if not values:
        nothing = np.empty(0, np.int64)
        return KeyIndex(pa.nulls(0), nothing, nothing, np.zeros(1, np.int64), fragments)
    rank, keys = _encoded(pa.chunked_array(values))
    order = np.argsort(rank, kind="stable")  # entries were found fragment by fragment
    offsets = np.concatenate([[0], np.cumsum(np.bincount(rank, minlength=len(keys)))]).astype(np.int64)
    return KeyIndex(
        keys,
        np.array(seen, np.int64)[order],
        np.concatenate(rows)[order],
        offsets,
        fragments,
        np.concatenate(seconds)[order] if seconds else None,
    )
