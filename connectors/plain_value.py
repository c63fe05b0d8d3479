"""One large binary value of a Parquet file where it lies: not a byte of it is copied.

A page that is neither compressed nor encoded by a dictionary holds the value as its length, 4 bytes, and its bytes, at the
end of the page. A file with one such value is mapped, and the value is a view of the map.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from partitioner.storage import Directory, read_parquet

LONGEST_HEADER = 512
"""Bytes of a page before its value at most: a header without statistics has some 30."""


def file_bytes(place: Directory, name: str) -> pa.Buffer:
    """The bytes of a file, on a local disk where they lie. Raises FileNotFoundError."""
    if place.local_path is None:
        return pa.py_buffer(place.view(name))
    with pa.memory_map(str(place.local_path / name)) as file:
        return file.read_buffer()


def values_of(data: pa.Buffer, rows: Sequence[int]) -> tuple[pa.RecordBatch, list[pa.Buffer]]:
    """All rows of a file of one column of large binaries, and the values of some ``rows``.

    Raises ArrowInvalid, OSError, KeyError or IndexError for what is torn or has no such row.
    """
    metadata = pq.read_metadata(pa.BufferReader(data))
    schema = metadata.schema.to_arrow_schema().remove_metadata()
    found = _in_place(data, metadata)
    if found is not None and list(rows) == [0]:
        offsets = pa.py_buffer(np.array([0, found.size], np.int64))
        column = pa.Array.from_buffers(pa.large_binary(), 1, [None, offsets, found])
        return pa.RecordBatch.from_arrays([column], schema=schema), [found]
    batch = read_parquet(data).replace_schema_metadata(None).combine_chunks().to_batches()[0]
    return batch, [value_at(batch.column(0), row) for row in rows]


def _in_place(data: pa.Buffer, metadata: Any) -> pa.Buffer | None:
    """The only value of a plain file, None where it is not such a file."""
    if (metadata.num_rows, metadata.num_columns, metadata.num_row_groups) != (1, 1, 1):
        return None
    chunk = metadata.row_group(0).column(0)
    if chunk.compression != "UNCOMPRESSED" or chunk.has_dictionary_page:
        return None
    begin, end = chunk.data_page_offset, chunk.data_page_offset + chunk.total_compressed_size
    head = data.slice(begin, min(LONGEST_HEADER, end - begin)).to_pybytes()
    for at in range(len(head) - 3):
        if int.from_bytes(head[at : at + 4], "little") == end - begin - at - 4:
            return data.slice(begin + at + 4, end - begin - at - 4)
    return None


def value_at(column: pa.Array, row: int) -> pa.Buffer:
    """One value of a column of large binaries, where it lies."""
    if not 0 <= row < len(column):
        raise IndexError(f"there is no row {row} among {len(column)}")
    _, offsets, data = column.buffers()
    start, end = np.frombuffer(offsets, np.int64)[column.offset + row : column.offset + row + 2].tolist()
    return data.slice(start, end - start)


class Hashing:
    """A write-only file that hands what it gets to ``update``, such as that of a digest, and keeps nothing."""

    closed = False

    def __init__(self, update: Callable[[Any], object]) -> None:
        self._update = update

    def write(self, data: Any) -> int:
        """Into the digest."""
        self._update(data)
        return len(data)

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        """Nothing is held open."""

    def writable(self) -> bool:
        """It is."""
        return True

    def readable(self) -> bool:
        """It is not."""
        return False

    def seekable(self) -> bool:
        """It is not."""
        return False
