"""What all sources of files have in common: paths, projection, storage options and fingerprints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from connectors.content import contents
from connectors.listing import Paths, as_paths, expand, within
from connectors.location import absolute, reading, system
from connectors.systems import FileInfo
from partitioner.errors import DataError, listed, nearest
from partitioner.model import Fragment, Fragments
from partitioner.model.data import Floats
from partitioner.model.naming import column_names
from partitioner.model.source import Source

BATCH_ROWS = 65_536
"""Rows of a record batch at most."""


@dataclass(frozen=True, slots=True)
class FileSource(Source):
    """Files by path, directory, glob or a list of those; a value that any worker can rebuild.

    ``path`` as given, kept absolute; ``columns`` the dataset is limited to, None for all; ``storage_options`` as in
    ``connectors.location``, never shown; ``left_out`` files and folders that a directory or glob does not mean.
    """

    path: Paths
    columns: Sequence[str] | None = None
    storage_options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    left_out: Sequence[str] = field(default=(), repr=False, kw_only=True)

    name: ClassVar[str] = ""
    extensions: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", as_paths(self.path))
        if self.columns is not None:
            object.__setattr__(self, "columns", column_names(self.columns))
        object.__setattr__(self, "left_out", tuple(map(absolute, self.left_out)))

    @property
    def paths(self) -> tuple[str, ...]:
        """The absolute paths, directories, globs and URLs given."""
        return self.path  # type: ignore[return-value]

    @property
    def remote(self) -> bool:
        """Whether any path is a URL."""
        return any("://" in path for path in self.paths)

    def files(self) -> list[FileInfo]:
        """The files meant, in input order. Raises DataError where there are none."""
        return expand(self.paths, self.extensions, self.storage_options, self.left_out)

    def without(self, place: str) -> FileSource | None:
        """The same paths, of which directories and globs do not mean what lies at ``place``, by whatever links."""
        found = [within(path, absolute(place)) for path in self.paths]
        if any(there == path.rstrip("/") for there, path in zip(found, self.paths, strict=True)):
            return None
        more = [there for there in found if there is not None]
        return replace(self, left_out=(*self.left_out, *more)) if more else self

    def stat(self, path: str) -> FileInfo:
        """One file, now. Raises DataError where it is gone."""
        with reading(path):
            return system(path, self.storage_options).stat(path)

    def fingerprint(self, fragment: Fragment) -> str:
        """Size and modification time, or ETag, of the file behind ``fragment``."""
        return self.stat(fragment.path).tag

    def fingerprints(self) -> dict[str, str]:
        """Path to fingerprint of every file of the dataset, from one listing."""
        return {info.path: info.tag for info in self.files()}

    def contents(self) -> dict[str, str]:
        """Path to what tells the content of every file apart, see ``connectors.content``."""
        return contents(self.files(), self.storage_options)


def projected(schema: pa.Schema, columns: Sequence[str] | None, path: str) -> pa.Schema:
    """``schema`` limited to ``columns``, in their order. Raises DataError naming what is missing and what is near."""
    if columns is None:
        return schema
    for column in columns:
        if column not in schema.names:
            known = schema.names
            raise DataError(f"No column {column!r} in {path}; there are {listed(known)}.{nearest(column, known)}")
    return pa.schema([schema.field(column) for column in columns])


def narrowed(wanted: Sequence[str] | None, allowed: Sequence[str] | None, path: str) -> Sequence[str] | None:
    """The columns of one read: ``wanted``, which must lie within the source's own ``columns`` where it has any."""
    if wanted is not None and allowed is not None:
        for column in wanted:
            if column not in allowed:
                raise DataError(
                    f"No column {column!r} in {path} as limited to columns={list(allowed)}."
                    f"{nearest(column, list(allowed))}"
                )
    return allowed if wanted is None else wanted


def one_row_each(files: Sequence[FileInfo], **features: Floats) -> Fragments:
    """A fragment of one row for every file, with ``features`` float64[files] each."""
    n = len(files)
    return Fragments(
        paths=tuple(info.path for info in files),
        path_index=np.arange(n, dtype=np.int32),
        section=np.full(n, -1, np.int32),
        start=np.zeros(n, np.int64),
        stop=np.ones(n, np.int64),
        rows=np.ones(n, np.int64),
        bytes=np.fromiter((info.size for info in files), np.int64, n),
        features=features,
    )
