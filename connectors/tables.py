"""Folders that are tables: their log says which files count, so that reading all of them would give rows of the past."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

from connectors.listing import glob_base
from connectors.location import Options, absolute, planning, system
from partitioner.errors import DataError

_MARKS = {"_delta_log": "delta", ".hoodie": "hudi"}
_ICEBERG = re.compile(r"\.metadata\.json(\.gz)?$")
_STORES = ("s3", "gs", "az", "abfss")
LOOKED_AT = 16
"""Folders of a list of paths that are looked at."""

_LEVELS = 4
"""How many folders above the one given are looked at: a table's partition folders are data too."""


def table_at(path: str | os.PathLike[str], options: Options | None) -> tuple[str, str] | None:
    """The kind of table (``delta``, ``iceberg``, ``hudi``) in whose folder ``path`` is, and that folder."""
    whole = absolute(path)
    at = glob_base(whole)
    if "://" in at and at.partition("://")[0] not in _STORES:
        return None
    for _ in range(_LEVELS):
        if at.count("/") < (3 if "://" in at else 1):
            return None
        kind = _kind(at, options)
        if kind is not None:
            return kind, at
        at = at.rpartition("/")[0]
    return None


def refuse_tables(paths: Sequence[str], options: Options | None) -> None:
    """Raise DataError where some of the paths are files of a table, which are not all live."""
    for folder in list(dict.fromkeys(glob_base(path) for path in paths))[:LOOKED_AT]:
        found = table_at(folder, options)
        if found is not None:
            kind, home = found
            how = "read it with Spark and give the DataFrame" if kind == "hudi" else f"give the folder {home} itself"
            raise DataError(
                f"{folder} lies in the {kind.capitalize()} table {home}, whose files are not all live: reading them would "
                f"give rows that were overwritten or deleted. To read the table, {how}."
            )


def _kind(folder: str, options: Options | None) -> str | None:
    if "://" not in folder:
        for mark, kind in _MARKS.items():
            if os.path.isdir(f"{folder}/{mark}"):
                return kind
        metadata = f"{folder}/metadata"
        names: Sequence[str] = os.listdir(metadata) if os.path.isdir(metadata) else ()
        return "iceberg" if any(_ICEBERG.search(name) for name in names) else None
    for mark, kind in _MARKS.items():
        if _holds(f"{folder}/{mark}", "", options):
            return kind
    return "iceberg" if _holds(f"{folder}/metadata", r"\.metadata\.json(\.gz)?$", options) else None


def _holds(folder: str, pattern: str, options: Options | None) -> bool:
    with planning(folder):
        try:
            return any(re.search(pattern, info.path) for info in system(folder, options).walk(folder, deep=False))
        except (FileNotFoundError, NotADirectoryError):
            return False
