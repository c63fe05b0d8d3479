"""A Delta table: the live files of one version, read as Delta's own reader does, described from the log alone."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import pyarrow as pa

from connectors.location import absolute, need
from connectors.pyarrow_dataset import ArrowDatasetSource
from partitioner.errors import ConfigError, DataError
from partitioner.model import Dataset, Fragment
from partitioner.model.source import Source


@dataclass(frozen=True, slots=True)
class DeltaSource(Source):
    """The table at ``path`` as of ``version`` (the newest by default, and then the same for the whole run).

    Overwritten, deleted and compacted files are not read; columns that a file lacks are null and narrower types are cast,
    as the table's schema says. A table that needs a reader's feature which deltalake does not have for Arrow (deletion
    vectors, column mapping) is refused. ``storage_options`` are deltalake's.
    """

    path: str
    columns: Sequence[str] | None = None
    version: int | None = None
    storage_options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    files: ArrowDatasetSource | None = field(default=None, repr=False)

    name: ClassVar[str] = "delta"

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", absolute(os.fspath(self.path)))
        if self.version is not None and (type(self.version) is not int or self.version < 0):
            raise ConfigError(f"version is {self.version!r}; of a Delta table it is a number from 0 on, such as 3.")

    def describe(self) -> Dataset:
        """The row groups of the live files. DataError naming the table, and what about it cannot be read."""
        source = self if self.files is not None else self._opened()
        assert source.files is not None, "it was opened"
        inner = source.files.describe()
        return Dataset(source, inner.fragments, inner.schema, inner.divisible_by)

    def read(self, fragment: Fragment, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """Rows of one row group, with the table's schema."""
        source = self if self.files is not None else self._opened()
        assert source.files is not None, "it was opened"
        return source.files.read(fragment, columns)

    def fingerprints(self) -> dict[str, str]:
        """Every live file, which never changes, with the table's version under its path."""
        source = self if self.files is not None else self._opened()
        assert source.files is not None, "it was opened"
        live = {part.path: f"live {part.path}" for part in source.files.dataset.get_fragments()}
        return {self.path: f"version {source.version}", **live}

    def fingerprint(self, fragment: Fragment) -> str:
        """Of one live file: those of a table are written once."""
        return self.fingerprints().get(fragment.path, "")

    def _opened(self) -> DeltaSource:
        need("deltalake", "delta")
        from deltalake import DeltaTable
        from deltalake.exceptions import DeltaError

        options = {k: str(v) for k, v in self.storage_options.items()} or None
        try:
            table = DeltaTable(self.path, version=self.version, storage_options=options)
            self._refuse(table)
            live = table.to_pyarrow_dataset()
        except DeltaError as error:
            asked = "" if self.version is None else f" at version {self.version}"
            raise DataError(
                f"Cannot read the Delta table {self.path}{asked}: {str(error).partition(chr(10))[0]}. Restore its log, or "
                "name a version that is whole with version=."
            ) from error
        return replace(self, version=table.version(), files=ArrowDatasetSource(live, self.columns))

    def _refuse(self, table: Any) -> None:
        mapping = table.metadata().configuration.get("delta.columnMapping.mode", "none")
        features = set(table.protocol().reader_features or ())
        if mapping != "none":
            raise DataError(
                f"The Delta table {self.path} maps column names (mode {mapping}), which this reader does not; "
                "rewrite it without, or read it with Spark and give the DataFrame."
            )
        if "deletionVectors" in features and table.deletion_vectors().read_all().num_rows:
            raise DataError(
                f"The Delta table {self.path} has deletion vectors, which this reader does not honour; "
                "purge them (REORG TABLE ... APPLY (PURGE)), or read it with Spark and give the DataFrame."
            )
