"""Footers of Parquet files: schema, rows and column bytes of every row group, checked against the dataset's."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from connectors.location import Options, open_file, reading, system
from connectors.systems import FileInfo
from partitioner.errors import DataError
from partitioner.frames import TORN, UNFIT
from partitioner.model.types import text_as_bytes

MAX_FEATURES = 64
"""Datasets with more columns than this get no feature per column; a projection brings them back."""


class Footer(NamedTuple):
    """One file: its schema, rows int64[groups], and uncompressed bytes int64[groups, len(names)] of the columns ``names``,
    summed over the columns, without names, where there are more than ``MAX_FEATURES``."""

    schema: pa.Schema
    rows: npt.NDArray[np.int64]
    names: list[str]
    bytes: npt.NDArray[np.int64]


class corrupt:
    """Turn pyarrow's complaints about content into DataError naming the file."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, FileNotFoundError | PermissionError):
            return
        if isinstance(error, TORN):
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


def metadata_of(info: FileInfo, options: Options) -> pq.FileMetaData:
    """The footer of a file; the last ones are kept, so that many row groups of one file parse it once."""
    return _metadata(info, _Unhashed(options))


@lru_cache(maxsize=16)
def _metadata(info: FileInfo, options: _Unhashed) -> pq.FileMetaData:
    with reading(info.path), corrupt(info.path), open_file(info, options.options) as file:
        return pq.read_metadata(file)


def group_digest(info: FileInfo, metadata: pq.FileMetaData, section: int, options: Options) -> str:
    """sha256 of the stored pages of one row group and of what they are decoded to; empty where the file has it no more."""
    if section >= metadata.num_row_groups:
        return ""
    group = metadata.row_group(section)
    digest = hashlib.sha256(f"{group.num_rows} {metadata.schema.to_arrow_schema()}".encode())
    store = system(info.path, options)
    for leaf in range(group.num_columns):
        column = group.column(leaf)
        offsets = (column.dictionary_page_offset, column.data_page_offset)
        start = min(offset for offset in offsets if offset)
        stop = start + column.total_compressed_size
        for at in range(start, stop, _HASHED):
            digest.update(store.read(info.path, at, min(at + _HASHED, stop)))
    return digest.hexdigest()


_HASHED = 4 << 20  # bytes held at a time


def read_footer(info: FileInfo, wanted: Sequence[str] | None, options: Options) -> Footer:
    """Rows and bytes of the ``wanted`` columns (None: all) of every row group; a column that it lacks has none."""
    with reading(info.path), corrupt(info.path), open_file(info, options) as file:
        metadata = pq.read_metadata(file)
    own = metadata.schema.to_arrow_schema()
    names = [name for name in own.names if wanted is None or name in wanted]
    if len(set(names)) < len(names):
        repeated = next(name for name in names if names.count(name) > 1)
        raise DataError(
            f"{info.path} has more than one column named {repeated!r}; rename them, or choose others by columns=."
        )
    count = metadata.num_row_groups
    groups = [metadata.row_group(i) for i in range(count)]
    rows = np.fromiter((g.num_rows for g in groups), np.int64, count)
    if len(names) <= MAX_FEATURES:
        return Footer(own, rows, names, _column_bytes(metadata, groups, names))
    if len(names) == len(own):
        return Footer(own, rows, [], np.fromiter((g.total_byte_size for g in groups), np.int64, count)[:, None])
    return Footer(own, rows, [], _column_bytes(metadata, groups, names).sum(axis=1, keepdims=True))


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


def united(footers: Sequence[Footer], paths: Sequence[str], wanted: Sequence[str] | None) -> pa.Schema:
    """One schema that holds every file's columns: the first file's, in its order, then what others have beyond it.

    Types widen by Arrow's rules (int32 beside int64, int beside double, all null beside anything); a column that some
    files lack is null there. Only ``wanted`` columns count. A file without rows, whose types may be those of no values,
    settles none where another has rows. DataError names the file and the column of two types that do
    not go together.
    """
    filled = [i for i, footer in enumerate(footers) if footer.rows.sum()] or range(len(footers))
    footers, paths = [footers[i] for i in filled], [paths[i] for i in filled]
    whole = footers[0].schema
    for footer, path in zip(footers[1:], paths[1:], strict=True):
        if footer.schema.equals(whole):
            continue
        whole = pa.schema([*whole, *(f for f in footer.schema if f.name not in whole.names)], whole.metadata)
        for i, field in enumerate(whole):
            if field.name not in footer.schema.names or (wanted is not None and field.name not in wanted):
                continue
            found = footer.schema.field(field.name).type
            if found != field.type:
                whole = whole.set(i, pa.field(field.name, _wider(field, found, path, footers[0].schema)))
    return whole


def _wider(field: pa.Field, found: pa.DataType, path: str, first: pa.Schema) -> pa.DataType:
    kinds = (kind.value_type if pa.types.is_dictionary(kind) else kind for kind in (field.type, found))
    pair = [pa.schema([pa.field("x", kind)]) for kind in kinds]
    try:
        wide = pa.unify_schemas(pair, promote_options="permissive").field("x").type
    except UNFIT:
        wide = None
    if wide is None or any(text_as_bytes(kind, wide) for kind in (field.type, found)):
        in_first = field.name in first.names and first.field(field.name).type == field.type
        before = "the first file of the dataset" if in_first else "the files before it together"
        raise DataError(
            f"{path} has column {field.name!r} as {found}, {before} as {field.type}. "
            "Rewrite one of them, or leave the column out with columns=."
        )
    return wide
