"""Folders that are named by a column and its value, ``key=value``, as Hive, Spark and Dask name them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import pyarrow as pa

NULL = "__HIVE_DEFAULT_PARTITION__"

LONGEST = 255
"""Bytes of a name on the file systems of Linux, macOS and Windows; a name is ASCII here."""


def key_folder(name: str, value: Any) -> str:
    """The folder of the rows that have ``value`` in column ``name``."""
    return f"{quote(name, safe='')}={NULL if value is None else quote(str(value), safe=' ')}"


def check_lengths(rows: pa.RecordBatch, by: Sequence[str]) -> None:
    """Raises ValueError where no file system has a folder for a row: at its sub-task, not when all is computed."""
    for name in by:
        at = rows.schema.get_field_index(name)
        if at < 0 or not _is_text(rows.schema.field(at).type):
            continue
        for value in set(rows.column(at).to_pylist()):
            if len(key_folder(name, value)) > LONGEST:
                shown = str(value)
                raise ValueError(
                    f"the program returned {shown[:40]!r}... ({len(shown)} characters) for {name!r}, by which partition_by "
                    f"names folders, and a name ends at {LONGEST} bytes; shorten the value, or leave {name!r} out of "
                    "partition_by."
                )


def _is_text(kind: pa.DataType) -> bool:
    """Numbers and times are short, and nothing else names folders."""
    return "string" in str(kind) and not pa.types.is_nested(kind)
