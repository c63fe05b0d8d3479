"""Parquet files: fragments are row groups, described from footers alone, cut by rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from connectors.file_source import FileSource, narrowed, projected
from connectors.footers import MAX_FEATURES, Footer, corrupt, group_digest, metadata_of, read_footer, united
from connectors.hive import add_partition, partition_of, partition_schema
from connectors.listing import in_threads
from connectors.location import open_file, reading, say
from connectors.row_groups import read_rows
from connectors.systems import FileInfo
from connectors.tables import refuse_tables
from partitioner.casting import Misfit, cast_into
from partitioner.errors import DataError
from partitioner.model import Dataset, Fragment, Fragments
from partitioner.model.data import Ints
from partitioner.model.folders import NULL


@dataclass(frozen=True, slots=True)
class ParquetSource(FileSource):
    """Row groups of Parquet files, with rows, bytes and ``bytes:<column>`` of each from metadata.

    Bytes are uncompressed and of the selected columns only. Where files differ, types widen and columns that some
    lack are null there (``connectors.footers.united``); ``schema`` is then what ``describe`` settled. ``key=value``
    directories below the path given become columns, see ``connectors.hive``; their types are settled by ``describe``
    (``partitions``).
    """

    partitions: pa.Schema | None = None
    schema: pa.Schema | None = None

    name: ClassVar[str] = "parquet"
    extensions: ClassVar[tuple[str, ...]] = (".parquet", ".parq", ".pq")

    def describe(self) -> Dataset:
        """One fragment per row group that has rows, in file order.

        Raises DataError naming the file that is missing, corrupt, or of other types, or the missing column.
        """
        files = self.files()
        if self.remote:
            refuse_tables(self.paths, self.storage_options)
        footers = in_threads(lambda info: read_footer(info, self.columns, self.storage_options), files, self.remote)
        paths = [info.path for info in files]
        own = united(footers, paths, self.columns) if self.schema is None else self.schema
        told = partition_schema(files, self.paths)
        lying = [f for f in told if f.name not in own.names]
        schema = projected(pa.schema([*own, *lying], own.metadata), self.columns, files[0].path)
        stored = pa.schema([f for f in schema if f.name in own.names])
        source = self if not len(told) else replace(self, partitions=pa.schema(lying))
        if any(not _alike(f.schema, stored, self.columns is None) for f in footers):
            source = replace(source, schema=own)
            _say_what_is_lacking(stored, footers, paths)
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
        known = own if self.schema is None else self.schema
        wanted = narrowed(columns, self.columns, info.path)
        schema = projected(pa.schema([*known, *(self.partitions or ())], own.metadata), wanted, info.path)
        stored = [name for name in schema.names if name in own.names]
        lying = {key: text for key, text in lying.items() if key not in own.names}
        with reading(info.path), corrupt(info.path):
            for batch in read_rows(info, metadata, fragment, stored, self.storage_options):
                if self.schema is not None:
                    batch = fitted(batch, pa.schema([f for f in schema if f.name not in lying]), info.path)
                    stored = batch.schema.names
                yield add_partition(batch, lying, schema) if lying else batch.select(stored)

    def tells_sections(self) -> bool:
        """On disks: of an object store every byte would be fetched a second time."""
        return not self.remote

    def section_content(self, fragment: Fragment) -> str:
        """The digest of a row group as it is stored, with its columns and their types."""
        info = self.stat(fragment.path)
        metadata = metadata_of(info, self.storage_options)
        with reading(info.path), corrupt(info.path):
            return group_digest(info, metadata, fragment.section, self.storage_options)

    def matching(self, fragments: Fragments, condition: Any) -> Ints:
        """Row groups whose statistics, and files whose partition folders, do not rule the condition out."""
        kept = {}
        for path in dict.fromkeys(fragments.paths[i] for i in fragments.path_index):
            kept[path] = _groups(self.stat(path), self, condition)
        pairs = zip(fragments.path_index.tolist(), fragments.section.tolist(), strict=True)
        return np.array(
            [i for i, (path, section) in enumerate(pairs) if section in kept[fragments.paths[path]]], np.int64
        )


def _groups(info: FileInfo, source: ParquetSource, condition: Any) -> set[int]:
    """The numbers of the row groups of one file that may match."""
    import pyarrow.dataset as ds

    lying = partition_of(info.path, source.paths)
    with reading(info.path), corrupt(info.path), open_file(info, source.storage_options) as file:
        own = pq.read_schema(file) if source.schema is None else source.schema
        kinds = source.partitions or pa.schema([])
        place: Any = ds.scalar(True)
        for name, text in lying.items():
            if name in kinds.names and text != NULL:
                place = place & (ds.field(name) == pa.scalar(text).cast(kinds.field(name).type))
        file.seek(0)
        part = ds.ParquetFileFormat().make_fragment(file, partition_expression=place)
        whole = pa.schema([*own, *(f for f in kinds if f.name not in own.names)])
        return {group.id for group in part.subset(filter=condition, schema=whole).row_groups}


def _alike(own: pa.Schema, stored: pa.Schema, whole: bool) -> bool:
    """Whether a file can be read as it is: the columns wanted with their types, and in their order where all are."""
    if whole and own.names != stored.names:
        return False
    return all(field.name in own.names and own.field(field.name).type == field.type for field in stored)


def _say_what_is_lacking(stored: pa.Schema, footers: list[Footer], paths: list[str]) -> None:
    for name in stored.names:
        without = [path for path, footer in zip(paths, footers, strict=True) if name not in footer.schema.names]
        if without:
            more = f" and of {len(without) - 1} more files" if len(without) > 1 else ""
            say(f"column {name!r} is null in the rows of {without[0]}{more}: it is not there")


def fitted(batch: pa.RecordBatch, schema: pa.Schema, path: str) -> pa.RecordBatch:
    """``batch`` with exactly the columns of ``schema``: cast, null where the file lacks one. DataError for a value lost."""
    try:
        return cast_into(batch, schema)
    except Misfit as error:
        raise DataError(
            f"{path}: column {error.column!r} does not fit into {error.wanted}, which the files have together: "
            f"{error.why}. Rewrite the file, or leave the column out with columns=."
        ) from error


def _fragments(files: list[FileInfo], footers: list[Footer], stored: pa.Schema) -> Fragments:
    """Columns of all row groups that have rows."""
    groups = [len(f.rows) for f in footers]
    rows = np.concatenate([f.rows for f in footers])
    names = [name for name in stored.names if len(stored.names) <= MAX_FEATURES]
    sizes = np.concatenate([_in_order(f, names) for f in footers])
    filled = rows > 0
    section = np.concatenate([np.arange(n, dtype=np.int32) for n in groups])
    return Fragments(
        paths=tuple(info.path for info in files),
        path_index=np.repeat(np.arange(len(files), dtype=np.int32), groups)[filled],
        section=section[filled],
        start=np.zeros(int(filled.sum()), np.int64),
        stop=rows[filled],
        rows=rows[filled],
        bytes=sizes.sum(axis=1)[filled],
        features={f"bytes:{c}": sizes[filled, j].astype(np.float64) for j, c in enumerate(names)},
    )


def _in_order(footer: Footer, names: list[str]) -> npt.NDArray[np.int64]:
    """int64[groups, max(names, 1)]: bytes of the dataset's columns, 0 for one the file lacks; one total without names."""
    if not names or not footer.names:
        total = footer.bytes.sum(axis=1, keepdims=True)
        return np.hstack([total, np.zeros((len(total), max(len(names) - 1, 0)), np.int64)])
    place = {name: j for j, name in enumerate(footer.names)}
    nothing = np.zeros(len(footer.rows), np.int64)
    return np.stack([footer.bytes[:, place[n]] if n in place else nothing for n in names], axis=1)
