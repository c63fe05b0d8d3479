"""Columns that lie in directory names: ``year=2024/country=de/part-0.parquet``, as Spark, Hive and Dask write them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import unquote

import pyarrow as pa

from connectors.listing import glob_base
from connectors.systems import FileInfo
from partitioner.errors import DataError
from partitioner.model.folders import NULL


def partition_of(path: str, roots: Sequence[str]) -> dict[str, str]:
    """Key to text of every ``key=value`` directory between the input given and the file.

    ``roots`` are the directories, globs or files given: ``data`` counts every directory below it, ``data/year=2024/*``
    none, because what a user names is not data.
    """
    for root in roots:
        base = glob_base(root)
        if path.startswith(f"{base}/"):
            parts = path[len(base) + 1 :].split("/")[:-1]
            pairs = (part.partition("=") for part in parts)
            return {unquote(key): unquote(value) for key, sign, value in pairs if sign and key}
    return {}


def partition_schema(files: Sequence[FileInfo], roots: Sequence[str]) -> pa.Schema:
    """The partition columns of all files: int64 where every value is a whole number, else string.

    Raises DataError naming a file whose directories have other keys than the first one's.
    """
    values = [partition_of(info.path, roots) for info in files]
    keys = list(values[0])
    for info, own in zip(files, values, strict=True):
        if list(own) != keys:
            raise DataError(
                f"{info.path} lies in partition directories {list(own)}, {files[0].path} in {keys}. Files of one dataset "
                "need the same ones: give the files that match."
            )
    return pa.schema([pa.field(key, _type_of({own[key] for own in values})) for key in keys])


def add_partition(batch: pa.RecordBatch, own: Mapping[str, str], schema: pa.Schema) -> pa.RecordBatch:
    """``batch`` with the partition columns of ``schema`` put in, all columns in its order."""
    arrays = [
        _constant(own[field.name], field.type, batch.num_rows) if field.name in own else batch[field.name]
        for field in schema
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema) if arrays else batch.select([])


def _type_of(values: set[str]) -> pa.DataType:
    known = values - {NULL}
    whole = known and all(v.removeprefix("-").isdecimal() and str(int(v)) == v for v in known)
    return pa.int64() if whole and all(abs(int(v)) < 2**63 for v in known) else pa.string()


def _constant(text: str, kind: pa.DataType, length: int) -> pa.Array:
    value = None if text == NULL else int(text) if kind == pa.int64() else text
    return pa.array([value], kind).take(pa.array([0] * length, pa.int64()))
