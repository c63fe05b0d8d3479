"""A folder of files, each one row: its path, its content as text or bytes, and its size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import pyarrow as pa

from connectors.file_source import FileSource, narrowed, one_row_each, projected
from connectors.location import reading, system
from partitioner.errors import ConfigError, DataError, clause, nearest
from partitioner.model import Dataset, Fragment

CONTENTS = {"text": pa.large_string(), "bytes": pa.large_binary(), "none": None}


@dataclass(frozen=True, slots=True)
class FilesSource(FileSource):
    """Every file a row and a fragment of its own, so that a splitter balances them by size.

    Columns ``path`` (absolute, or the URL), ``text`` or ``bytes`` as ``content`` says (``"none"``: neither, the function
    opens the file itself) and ``size`` in bytes. ``encoding`` and ``errors`` (``"strict"``, ``"replace"``,
    ``"ignore"``) are Python's. Content is read only where that column is wanted.
    """

    content: str = "text"
    encoding: str = "utf-8"
    errors: str = "strict"

    name: ClassVar[str] = "files"

    def __post_init__(self) -> None:
        FileSource.__post_init__(self)
        if self.content not in CONTENTS:
            known = list(CONTENTS)
            raise ConfigError(f"content {self.content!r} is none of {', '.join(known)}.{nearest(self.content, known)}")

    @property
    def schema(self) -> pa.Schema:
        """The columns before projection."""
        kind = CONTENTS[self.content]
        middle = [] if kind is None else [pa.field(self.content, kind)]
        return pa.schema([pa.field("path", pa.string()), *middle, pa.field("size", pa.int64())])

    def describe(self) -> Dataset:
        """One fragment of one row per file, sorted by path, from one listing; no file is opened."""
        return Dataset(self, one_row_each(self.files()), projected(self.schema, self.columns, self.paths[0]), None)

    def read(self, fragment: Fragment, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """The one row. Raises DataError for a missing column, a file that is gone, and text that does not decode."""
        schema = projected(self.schema, narrowed(columns, self.columns, fragment.path), fragment.path)
        info = self.stat(fragment.path)
        row: dict[str, object] = {"path": info.path, "size": info.size}
        if self.content in schema.names:
            with reading(info.path):
                data = system(info.path, self.storage_options).read(info.path, 0, info.size)
            row[self.content] = self._decoded(data, info.path) if self.content == "text" else data
        # One column always, so that an empty projection still counts the row.
        kept = schema if len(schema) else self.schema
        batch = pa.RecordBatch.from_pylist([{name: row.get(name) for name in kept.names}], kept)
        yield batch.select(schema.names)

    def _decoded(self, data: bytes, path: str) -> str:
        try:
            return data.decode(self.encoding, self.errors)
        except UnicodeDecodeError as error:
            raise DataError(
                f"{path} is not {self.encoding} text: {error.reason} at byte {error.start}. Give its encoding=, "
                'errors="replace" to mark what does not decode, or content="bytes".'
            ) from error
        except LookupError as error:
            raise ConfigError(
                f"No encoding {self.encoding!r}, or no errors={self.errors!r}: {clause(error)}. Write them as "
                "bytes.decode takes them, such as encoding='utf-8', errors='replace'."
            ) from error
