"""The columns of key and watermark of all rows, read when a run is planned; what is wrong in them is said, and where."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from partitioner.errors import DataError, listed, nearest
from partitioner.frames import decoded
from partitioner.model import Dataset
from partitioner.model.data import Ints
from partitioner.output.tracking import MARK, Tracking, repeated

READERS = 4
"""Threads that read at once: mostly they wait for a disk or a store."""

PIECE_BYTES = 8 << 20
"""Text, whose lines have no numbers before they are read, is cut into pieces of so many bytes, which then stay whole."""


PIECE_ROWS = 65_536
"""Rows of a piece at most for which a partial result is kept: fewer of them run again for a change, more are merged."""


@dataclass(frozen=True, slots=True, eq=False)
class Scan:
    """``table`` the key and watermark of every row in input order, named as in ``Tracking``; ``rows`` int64[fragments];
    ``digests`` of the keys and watermarks of every fragment; ``contents`` of every file."""

    table: pa.Table
    rows: Ints
    digests: tuple[str, ...]
    contents: Mapping[str, str]

    @classmethod
    def empty(cls) -> Scan:
        """Of no fragment."""
        return cls(pa.table({MARK: pa.nulls(0)}), np.zeros(0, np.int64), (), {})

    @property
    def first(self) -> Ints:
        """int64[fragments + 1]: how many rows come before each fragment."""
        return np.concatenate([[0], np.cumsum(self.rows)]).astype(np.int64)


def in_pieces(dataset: Dataset) -> Dataset:
    """The dataset with text cut into pieces, where a row is told by its number in one."""
    if dataset.divisible_by != "bytes":
        return dataset
    fragments = dataset.fragments.cut(-(-dataset.fragments.bytes // PIECE_BYTES))[0]
    return replace(dataset, fragments=fragments, divisible_by=None)


def in_small_pieces(dataset: Dataset) -> Dataset:
    """The dataset, ``in_pieces`` already, with fragments of many rows cut, where that can be done without reading."""
    fragments = dataset.fragments
    if dataset.divisible_by != "rows" or not bool((fragments.rows >= 0).all()):
        return dataset
    return replace(dataset, fragments=fragments.cut(-(-fragments.rows // PIECE_ROWS))[0])


def scanned(dataset: Dataset, tracking: Tracking) -> Scan:
    """Read the columns of key and watermark, and nothing else.

    Raises DataError for a column that is not there, a row without key or watermark, and a key that two rows have.
    """
    _check_columns(dataset, tracking)
    with ThreadPoolExecutor(READERS) as readers:
        tables = list(readers.map(lambda i: _read(dataset, i, tracking), range(len(dataset.fragments))))
    rows = np.array([table.num_rows for table in tables], np.int64)
    digests = tuple(map(digest_of, tables))
    known = [table for table in tables if table.num_rows]
    names = [*tracking.names, MARK]
    empty = pa.table({name: pa.nulls(0) for name in names})
    table = pa.concat_tables(known, promote_options="permissive") if known else empty
    scan = Scan(table, rows, digests, _contents(dataset, digests))
    if tracking.key and (pair := repeated(scan.table, tracking)) is not None:
        raise DataError(
            f"{row_name(dataset, scan, tracking, pair[1])} has the key of {row_name(dataset, scan, tracking, pair[0])}; a "
            "key is of one row. Name more columns with incremental.key, or leave the key out where rows are only added."
        )
    return scan


def row_name(dataset: Dataset, scan: Scan, tracking: Tracking, place: int) -> str:
    """How messages name a row: fragment, number in it, and its key."""
    i = int(np.searchsorted(scan.first, place, "right")) - 1
    return _row(dataset, i, place - int(scan.first[i]), scan.table.slice(place, 1), tracking)


def _row(dataset: Dataset, i: int, number: int, row: pa.Table, tracking: Tracking) -> str:
    values = [f"{column} = {row[name][0].as_py()!r}" for column, name in zip(tracking.key, tracking.names, strict=True)]
    about = f" ({', '.join(values)})" if values else ""
    return f"row {number} of {dataset.fragments[i].name}{about}"


def _check_columns(dataset: Dataset, tracking: Tracking) -> None:
    known = [] if dataset.schema is None else list(dataset.schema.names)
    for name in tracking.columns:
        if known and name not in known:
            what = "incremental.watermark" if name == tracking.watermark else "incremental.key"
            raise DataError(f"{what} names column {name!r}; there are {listed(known)}.{nearest(name, known)}")
        if known and dataset.schema is not None and pa.types.is_nested(dataset.schema.field(name).type):
            raise DataError(
                f"column {name!r} is a {dataset.schema.field(name).type}; keys and watermarks are single values, such as "
                "numbers, text or times."
            )


def _read(dataset: Dataset, i: int, tracking: Tracking) -> pa.Table:
    batches = list(dataset.source.read(dataset.fragments[i], tracking.columns))
    read = pa.Table.from_batches(batches) if batches else None
    if read is None or not read.num_rows:
        return pa.table({name: pa.nulls(0) for name in (*tracking.names, MARK)})
    columns = [decoded(read[name]) for name in (*tracking.key, tracking.watermark)]
    table = pa.table(dict(zip((*tracking.names, MARK), columns, strict=True)))
    for name, column in zip((*tracking.names, MARK), (*tracking.key, tracking.watermark), strict=True):
        missing = pc.is_null(table[name], nan_is_null=True)
        if pc.any(missing).as_py():
            number = pc.index(missing, True).as_py()
            raise DataError(
                f"{_row(dataset, i, number, table.slice(number, 1), tracking)} has no {column} (it is null); rows are told "
                f"by it. Give it a value, or leave such rows out with filter='{column} is not None'."
            )
    return table


def digest_of(table: pa.Table) -> str:
    """The same for equal rows, in whatever chunks they come."""
    held, sink = table.combine_chunks(), pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, held.schema.remove_metadata()) as writer:
        writer.write_table(held.replace_schema_metadata(None))
    return hashlib.sha256(sink.getvalue()).hexdigest()


def _contents(dataset: Dataset, digests: Sequence[str]) -> dict[str, str]:
    """Of every file, with and without rows."""
    found: dict[str, list[str]] = {path: [] for path in dataset.fragments.paths}
    for path, digest in zip(dataset.fragments.path_index.tolist(), digests, strict=True):
        found[dataset.fragments.paths[path]].append(digest)
    return {path: hashlib.sha256("".join(each).encode()).hexdigest() for path, each in found.items()}
