"""Decoding one row group piece by piece: a later piece goes on where the last one of this thread ended.

Parquet is decoded from the beginning of a row group. Without this, every piece of a large row group would decode all the
pieces before it again; with it, pieces read in order by one worker decode each row once.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from connectors.file_source import BATCH_ROWS
from connectors.location import Options, open_file
from connectors.systems import FileInfo
from partitioner.errors import DataError
from partitioner.model import Fragment

BATCH_BYTES = 32 << 20
"""Uncompressed bytes of a record batch at most, by the row group's average row."""

_kept = threading.local()


class _RowGroup:
    """An open row group; rows before ``at`` are decoded and gone, ``_held`` begins there."""

    def __init__(self, key: Any, file: pa.NativeFile, batches: Iterator[pa.RecordBatch]) -> None:
        self.key, self.at = key, 0
        self._file, self._batches = file, batches
        self._held: pa.RecordBatch | None = None

    def between(self, start: int, stop: int) -> Iterator[pa.RecordBatch]:
        """Rows ``[start, stop)``; ``start`` is not before ``at``."""
        while self.at < stop:
            batch = self._held if self._held is not None else next(self._batches, None)
            if batch is None:
                return
            low, high = max(start - self.at, 0), min(stop - self.at, batch.num_rows)
            self._held = batch.slice(high) if high < batch.num_rows else None
            self.at += high
            if low < high:
                yield batch.slice(low, high - low)

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


def read_rows(
    info: FileInfo, metadata: pq.FileMetaData, fragment: Fragment, columns: list[str], options: Options
) -> Iterator[pa.RecordBatch]:
    """Rows ``[start, stop)`` of the fragment's row group, decoding ``columns`` only, in the file's order of columns.

    Raises DataError where the file no longer has these rows, and pyarrow's errors for what is corrupt.
    """
    size = _batch_rows(metadata, fragment)
    # The process is part of the key: a fork inherits what its parent keeps.
    key = (os.getpid(), info, fragment.section, tuple(columns))
    kept: _RowGroup | None = _kept.__dict__.pop("row_group", None)
    if kept is not None and (kept.key != key or kept.at > fragment.start):
        kept.close()
        kept = None
    group = kept or _open(key, columns, size, metadata, options)
    whole = False
    try:
        yield from group.between(fragment.start, fragment.stop)
        whole = True
    finally:
        if whole and group.at < metadata.row_group(fragment.section).num_rows:
            _kept.row_group = group
        else:
            group.close()


def _open(key: Any, columns: list[str], size: int, metadata: pq.FileMetaData, options: Options) -> _RowGroup:
    _, info, section, _ = key
    file = open_file(info, options)
    parquet = pq.ParquetFile(file, metadata=metadata, pre_buffer=True)
    return _RowGroup(key, file, parquet.iter_batches(size, [section], columns, use_threads=False))


def _batch_rows(metadata: pq.FileMetaData, fragment: Fragment) -> int:
    """Rows to decode at a time: bounded in rows and bytes, and not far beyond a small piece of a row group."""
    group = metadata.row_group(fragment.section) if fragment.section < metadata.num_row_groups else None
    if group is None or fragment.stop > group.num_rows:
        raise DataError(f"{fragment.name} is no longer there: the file has changed since it was planned. Plan again.")
    by_bytes: int = BATCH_BYTES // max(group.total_byte_size // group.num_rows, 1)
    return max(min(BATCH_ROWS, by_bytes, max(fragment.stop - fragment.start, 1024)), 1)
