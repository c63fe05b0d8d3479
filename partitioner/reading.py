"""What a job reads beside its dataset, by the same connectors and stores: a whole table, or the bytes of a file."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from partitioner import registry
from partitioner.errors import DataError, Tampered
from partitioner.security.sealing import SIGNATURE, check_signed, sign
from partitioner.storage import Directory


def read_table(dataset: Any, columns: Sequence[str] | None = None) -> pa.Table:
    """All rows of a dataset, in input order, in memory; ``dataset`` as for ``run``, ``columns`` None for all.

    Raises DataError where the input is missing, corrupt or lacks a column.
    """
    source = registry.import_ours("connectors.resolve").resolve(dataset)
    described = source.describe()
    parts = (described.fragments[i] for i in range(len(described.fragments)))
    batches = [batch for fragment in parts for batch in source.read(fragment, columns)]
    schema = described.schema
    if schema is not None and columns is not None:
        schema = pa.schema([schema.field(name) for name in columns if name in schema.names])
    return pa.Table.from_batches(batches, None if batches else schema or pa.schema([]))


def read_bytes(url: str) -> bytes:
    """The bytes of one file, by path or URL of any store that a run directory may be in. Raises FileNotFoundError."""
    folder, _, name = url.rpartition("/")
    return Directory(folder or ".").get(name)


def load_result(url: str) -> Any:
    """What a run with a reducer left in its output (``result.pkl``), or any pickle that ``partitioner sign`` signed.

    Raises Tampered where the file is not signed by this user, before anything of it is loaded, and FileNotFoundError
    where it is missing.
    """
    data = read_bytes(url)
    while True:
        try:
            signature = read_bytes(f"{url}{SIGNATURE}")
        except FileNotFoundError:
            signature = b""
        try:
            check_signed(data, signature, url)
        except Tampered:
            before, data = data, read_bytes(url)
            if data == before:  # else a new version took its place, with its signature
                raise
        else:
            return pickle.loads(data)


def sign_file(url: str) -> str:
    """Write the signature beside a file that the caller trusts; its place."""
    folder, _, name = url.rpartition("/")
    try:
        data = read_bytes(url)
    except FileNotFoundError as error:
        raise DataError(f"{error}; give the path of a pickled model.") from error
    Directory(folder or ".").put(f"{name}{SIGNATURE}", sign(data))
    return f"{url}{SIGNATURE}"
