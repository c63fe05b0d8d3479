"""The table of fragments names the data; a name may hold a secret, such as the signature of a URL."""

from __future__ import annotations

import io
from collections.abc import Callable

import pyarrow as pa
import pyarrow.parquet as pq

from partitioner.known_secrets import masked
from partitioner.security.sealing import is_sealed, seal, unseal


def parquet_bytes(table: pa.Table) -> bytes:
    """The table as a Parquet object."""
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    return buffer.getvalue()


def without_secrets(table: pa.Table, key: Callable[[], bytes]) -> bytes:
    """A table of fragments as a Parquet object; sealed where a path holds a secret, for a mask would name other data."""
    names = "\n".join(map(str, table["path"].unique().to_pylist()))
    data = parquet_bytes(table)
    return data if masked(names) == names else seal(data, key())


def readable(data: bytes, key: Callable[[], bytes], what: str) -> bytes:
    """What ``without_secrets`` was given to write. Raises Tampered, naming ``what``, for another key."""
    return unseal(data, key(), what) if is_sealed(data) else data
