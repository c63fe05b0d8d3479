"""Parquet files: fragments are row groups, described from footers alone, cut by rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from connectors.file_source import BATCH_ROWS, FileSource, narrowed, projected
from connectors.listing import in_threads
from connectors.location import Options, open_file, reading
from connectors.systems import FileInfo
from partitioner.errors import DataError
from partitioner.model import Dataset, Fragment, Fragments

MAX_FEATURES = 64
"""Datasets with more columns than this get no feature per column; a projection brings them back."""

BATCH_BYTES = 32 << 20
"""Uncompressed bytes of a record batch at most, by the row group's average row."""


class _Footer(NamedTuple):
    """One file: its schema, rows int64[groups], and uncompressed bytes int64[groups, columns],
    summed over the columns where there are more than ``MAX_FEATURES``."""

    schema: pa.Schema
    rows: npt.NDArray[np.int64]
    bytes: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ParquetSource(FileSource):
    """Row groups of Parquet files, with rows, bytes and ``bytes:<column>`` of each from metadata.

    Bytes are uncompressed and of the selected columns only. All files must have the first one's columns, in any order,
    with the same types.
    """

    name: ClassVar[str] = "parquet"
    extensions: ClassVar[tuple[str, ...]] = (".parquet", ".parq", ".pq")

    def describe(self) -> Dataset:
        """One fragment per row group that has rows, in file order.

        Raises DataError naming the file that is missing, corrupt, or of another schema, or the missing column.
        """
        files = self.files()
        schema = projected(_schema(files[0], self.storage_options), self.columns, files[0].path)
        footers = in_threads(
            lambda info: _footer(info, schema, self.columns is None, self.storage_options), files, self.remote
        )
        groups = [len(f.rows) for f in footers]
        rows = np.concatenate([f.rows for f in footers])
        sizes = np.concatenate([f.bytes for f in footers])
        filled = rows > 0
        unit = np.concatenate([np.arange(n, dtype=np.int32) for n in groups])
        named = schema.names if len(schema.names) <= MAX_FEATURES else []
        fragments = Fragments(
            paths=tuple(info.path for info in files),
            path_index=np.repeat(np.arange(len(files), dtype=np.int32), groups)[filled],
            unit=unit[filled],
            start=np.zeros(int(filled.sum()), np.int64),
            stop=rows[filled],
            rows=rows[filled],
            bytes=sizes.sum(axis=1)[filled],
            features={f"bytes:{c}": sizes[filled, j].astype(np.float64) for j, c in enumerate(named)},
        )
        ordered = all(f.schema.names == schema.names for f in footers)
        source = self if ordered or self.columns is not None else replace(self, columns=schema.names)
        return Dataset(source, fragments, schema, "rows")

    def read(self, fragment: Fragment, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """Rows ``[start, stop)`` of the fragment's row group, decoding only the selected columns.

        Raises DataError for a missing column or a file that is gone or corrupt.
        """
        wanted = narrowed(columns, self.columns, fragment.path)
        info = self.stat(fragment.path)
        metadata = _metadata(info, _Unhashed(self.storage_options))
        schema = projected(metadata.schema.to_arrow_schema(), wanted, info.path)
        with reading(info.path), _corrupt(info.path), open_file(info, self.storage_options) as file:
            parquet = pq.ParquetFile(file, metadata=metadata, pre_buffer=True)
            size = _batch_rows(metadata, fragment)
            batches = parquet.iter_batches(size, [fragment.unit], schema.names, use_threads=False)
            yield from _between(batches, fragment.start, fragment.stop, schema.names)


def _batch_rows(metadata: pq.FileMetaData, fragment: Fragment) -> int:
    """Rows to decode at a time: bounded in rows and bytes, and not far beyond a small piece of a row group.

    Raises DataError where the file no longer has the fragment's rows.
    """
    group = metadata.row_group(fragment.unit) if fragment.unit < metadata.num_row_groups else None
    if group is None or fragment.stop > group.num_rows:
        raise DataError(f"{fragment.name} is no longer there: the file has changed since it was planned. Plan again.")
    by_bytes: int = BATCH_BYTES // max(group.total_byte_size // group.num_rows, 1)
    return max(min(BATCH_ROWS, by_bytes, max(fragment.stop - fragment.start, 1024)), 1)


def _between(batches: Iterator[pa.RecordBatch], start: int, stop: int, names: list[str]) -> Iterator[pa.RecordBatch]:
    """Rows ``[start, stop)`` of a sequence of batches, columns in the order asked."""
    at = 0
    for batch in batches:
        low, high = max(start - at, 0), min(stop - at, batch.num_rows)
        if low < high:
            yield batch.slice(low, high - low).select(names)
        at += batch.num_rows
        if at >= stop:
            return


class _corrupt:
    """Turn pyarrow's complaints about content into DataError naming the file."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, FileNotFoundError | PermissionError):
            return
        if isinstance(error, pa.ArrowException | OSError):
            raise DataError(
                f"Cannot read {self.path} as Parquet: {str(error).partition(chr(10))[0]} "
                "Restore or remove that file, or name the good ones by a glob."
            ) from error


class _Unhashed:
    """Options beside a cache key: equal to any other, because the path and tag already tell files apart."""

    def __init__(self, options: Options) -> None:
        self.options = options

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Unhashed)

    def __hash__(self) -> int:
        return 0


@lru_cache(maxsize=16)
def _metadata(info: FileInfo, options: _Unhashed) -> pq.FileMetaData:
    """The footer of a file; the last ones are kept, so that many row groups of one file parse it once."""
    with reading(info.path), _corrupt(info.path), open_file(info, options.options) as file:
        return pq.read_metadata(file)


def _schema(info: FileInfo, options: Options) -> pa.Schema:
    return _metadata(info, _Unhashed(options)).schema.to_arrow_schema()


def _footer(info: FileInfo, schema: pa.Schema, whole: bool, options: Options) -> _Footer:
    """Rows and selected column bytes of every row group, checked against the dataset's ``schema``."""
    with reading(info.path), _corrupt(info.path), open_file(info, options) as file:
        metadata = pq.read_metadata(file)
    own = metadata.schema.to_arrow_schema()
    _check_schema(own, schema, whole, info.path)
    count = metadata.num_row_groups
    groups = [metadata.row_group(i) for i in range(count)]
    rows = np.fromiter((g.num_rows for g in groups), np.int64, count)
    if len(schema.names) <= MAX_FEATURES:
        return _Footer(own, rows, _column_bytes(metadata, groups, schema.names))
    if len(schema) == len(own):
        return _Footer(own, rows, np.fromiter((g.total_byte_size for g in groups), np.int64, count)[:, None])
    return _Footer(own, rows, _column_bytes(metadata, groups, schema.names).sum(axis=1, keepdims=True))


def _column_bytes(metadata: pq.FileMetaData, groups: list[Any], names: list[str]) -> npt.NDArray[np.int64]:
    """int64[groups, names]: uncompressed bytes, leaves of nested columns summed."""
    place = {name: j for j, name in enumerate(names)}
    leaves = []
    for leaf in range(metadata.num_columns):
        path = metadata.schema.column(leaf).path
        top = path if path in place else path.partition(".")[0]
        if top in place:
            leaves.append((leaf, place[top]))
    sizes = np.zeros((len(groups), len(names)), np.int64)
    for i, group in enumerate(groups):
        for leaf, j in leaves:
            sizes[i, j] += group.column(leaf).total_uncompressed_size
    return sizes


def _check_schema(own: pa.Schema, schema: pa.Schema, whole: bool, path: str) -> None:
    """``own`` has every field of ``schema`` with its type, and, where the ``whole`` schema is asked, no more."""
    extra = [name for name in own.names if name not in schema.names]
    if whole and extra:
        raise DataError(
            f"{path} has column {extra[0]!r}, which the first file of the dataset lacks. Files of one dataset need the "
            "same columns: select common ones with columns=, or give the files that match."
        )
    for field in schema:
        if field.name not in own.names:
            raise DataError(
                f"{path} has no column {field.name!r}, which the first file of the dataset has. Files of one dataset "
                "need the same columns: select common ones with columns=, or give the files that match."
            )
        found = own.field(field.name).type
        if found != field.type:
            raise DataError(
                f"{path} has column {field.name!r} as {found}, the first file of the dataset as {field.type}. "
                "Rewrite one of them, or leave the column out with columns=."
            )
