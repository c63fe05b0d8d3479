"""Parquet files: fragments are row groups, described from footers alone, cut by rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pyarrow as pa

from connectors.file_source import FileSource, narrowed, projected
from connectors.footers import MAX_FEATURES, Footer, corrupt, metadata_of, read_footer
from connectors.hive import add_partition, partition_of, partition_schema
from connectors.listing import in_threads
from connectors.location import reading
from connectors.row_groups import read_rows
from connectors.systems import FileInfo
from partitioner.model import Dataset, Fragment, Fragments


@dataclass(frozen=True, slots=True)
class ParquetSource(FileSource):
    """Row groups of Parquet files, with rows, bytes and ``bytes:<column>`` of each from metadata.

    Bytes are uncompressed and of the selected columns only. All files must have the first one's columns, in any order,
    with the same types. ``key=value`` directories below the path given become columns, see ``connectors.hive``; their
    types are settled by ``describe`` (``partitions``).
    """

    partitions: pa.Schema | None = None

    name: ClassVar[str] = "parquet"
    extensions: ClassVar[tuple[str, ...]] = (".parquet", ".parq", ".pq")

    def describe(self) -> Dataset:
        """One fragment per row group that has rows, in file order.

        Raises DataError naming the file that is missing, corrupt, or of another schema, or the missing column.
        """
        files = self.files()
        options, whole = self.storage_options, self.columns is None
        own = metadata_of(files[0], options).schema.to_arrow_schema()
        lying = [f for f in partition_schema(files, self.paths) if f.name not in own.names]
        schema = projected(pa.schema([*own, *lying], own.metadata), self.columns, files[0].path)
        stored = pa.schema([f for f in schema if f.name in own.names])
        footers = in_threads(lambda info: read_footer(info, stored, whole, options), files, self.remote)
        source = self if not lying else replace(self, partitions=pa.schema(lying))
        if whole and any(f.schema.names != stored.names for f in footers):
            source = replace(source, columns=schema.names)
        return Dataset(source, _fragments(files, footers, stored), schema, "rows")

    def read(self, fragment: Fragment, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """Rows ``[start, stop)`` of the fragment's row group, decoding only the selected columns.

        Rows of the row group before ``start`` are decoded too, and dropped, unless the last read of this thread ended
        there or before (``connectors.row_groups``). Raises DataError for a missing column or
        a file that is gone, corrupt or changed.
        """
        lying = partition_of(fragment.path, self.paths)
        if lying and self.partitions is None:
            yield from self.describe().source.read(fragment, columns)
            return
        info = self.stat(fragment.path)
        metadata = metadata_of(info, self.storage_options)
        own = metadata.schema.to_arrow_schema()
        wanted = narrowed(columns, self.columns, info.path)
        schema = projected(pa.schema([*own, *(self.partitions or ())], own.metadata), wanted, info.path)
        stored = [name for name in schema.names if name in own.names]
        lying = {key: text for key, text in lying.items() if key not in own.names}
        with reading(info.path), corrupt(info.path):
            for batch in read_rows(info, metadata, fragment, stored, self.storage_options):
                yield add_partition(batch, lying, schema) if lying else batch.select(stored)


def _fragments(files: list[FileInfo], footers: list[Footer], stored: pa.Schema) -> Fragments:
    """Columns of all row groups that have rows."""
    groups = [len(f.rows) for f in footers]
    rows = np.concatenate([f.rows for f in footers])
    sizes = np.concatenate([f.bytes for f in footers])
    filled = rows > 0
    unit = np.concatenate([np.arange(n, dtype=np.int32) for n in groups])
    named = stored.names if len(stored.names) <= MAX_FEATURES else []
    return Fragments(
        paths=tuple(info.path for info in files),
        path_index=np.repeat(np.arange(len(files), dtype=np.int32), groups)[filled],
        unit=unit[filled],
        start=np.zeros(int(filled.sum()), np.int64),
        stop=rows[filled],
        rows=rows[filled],
        bytes=sizes.sum(axis=1)[filled],
        features={f"bytes:{c}": sizes[filled, j].astype(np.float64) for j, c in enumerate(named)},
    )
