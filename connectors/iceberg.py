"""An Iceberg table: the files of one snapshot, read as pyiceberg does, with the rows that deletes leave."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from connectors.file_source import BATCH_ROWS, narrowed, projected
from connectors.location import absolute, need, system
from partitioner.errors import ConfigError, DataError, clause
from partitioner.model import Dataset, Fragment, Fragments
from partitioner.model.naming import column_names
from partitioner.model.source import Source

SCHEME = "iceberg://"


@dataclass(frozen=True, slots=True)
class IcebergSource(Source):
    """The table at ``path``: its folder, one of its ``metadata.json`` files, or its name in ``catalog``.

    ``version`` is a snapshot id (the newest by default, and then the same for the whole run). ``catalog`` are the
    properties of a pyiceberg catalogue and its name, such as ``{"name": "prod", "type": "sql", "uri": ...}``. Positional and
    equality deletes are honoured as far as pyiceberg does, which refuses what it cannot. Files are read whole.
    """

    path: str
    columns: Sequence[str] | None = None
    version: int | None = None
    catalog: Mapping[str, str] = field(default_factory=dict, repr=False)
    storage_options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    metadata: str = ""

    name: ClassVar[str] = "iceberg"

    def __post_init__(self) -> None:
        object.__setattr__(self, "columns", column_names(self.columns))
        if self.version is not None and type(self.version) is not int:
            raise ConfigError(f"version is {self.version!r}; of an Iceberg table it is the id of a snapshot, a number.")
        if os.fspath(self.path).startswith(SCHEME):  # as for an output
            object.__setattr__(self, "path", os.fspath(self.path).removeprefix(SCHEME))
            if not self.catalog:
                raise ConfigError(
                    f"{SCHEME}{self.path} is found in a catalogue: catalog={{'type': 'sql', 'uri': ...}}."
                )
        if not self.catalog:
            object.__setattr__(self, "path", absolute(os.fspath(self.path)))

    def describe(self) -> Dataset:
        """One fragment per data file, with its rows where no deletes lie on it, from the manifests alone."""
        need("pyiceberg", "iceberg")
        source = self._pinned()
        table, tasks = source._table(), source._tasks()
        rows = np.array([-1 if t.delete_files else t.file.record_count for t in tasks], np.int64)
        n = len(tasks)
        fragments = Fragments(
            paths=tuple(t.file.file_path for t in tasks),
            path_index=np.arange(n, dtype=np.int32),
            section=np.full(n, -1, np.int32),
            start=np.zeros(n, np.int64),
            stop=np.array([t.file.file_size_in_bytes for t in tasks], np.int64),
            rows=rows,
            bytes=np.array([t.file.file_size_in_bytes for t in tasks], np.int64),
        )
        schema = projected(_arrow(table.scan(snapshot_id=source.version).projection()), self.columns, self.path)
        return Dataset(source, fragments, schema, None)

    def read(self, fragment: Fragment, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """The rows of one data file that are live in the snapshot."""
        need("pyiceberg", "iceberg")
        from pyiceberg.io.pyarrow import ArrowScan

        source = self._pinned()
        wanted = narrowed(columns, self.columns, fragment.path)
        scan = source._table().scan(snapshot_id=source.version)
        schema = projected(_arrow(scan.projection()), wanted, fragment.path)
        task = next((t for t in source._tasks() if t.file.file_path == fragment.path), None)
        if task is None:
            raise DataError(f"{fragment.path} is no longer in the Iceberg table {self.path}; plan again.")
        # Reading no column at all would lose the count of rows.
        asked = list(schema.names) or [scan.projection().fields[0].name]
        projection = scan.projection().select(*asked)
        reader = ArrowScan(scan.table_metadata, scan.io, projection, scan.row_filter)
        for batch in reader.to_record_batches([task]):
            for start in range(0, batch.num_rows, BATCH_ROWS):
                part = batch.slice(start, BATCH_ROWS).select(schema.names)
                yield part.cast(schema) if len(schema) else part

    def fingerprints(self) -> dict[str, str]:
        """Every data file, which never changes, with the table's snapshot under its path."""
        source = self._pinned()
        return {
            self.path: f"snapshot {source.version}",
            **{t.file.file_path: f"live {t.file.file_path}" for t in source._tasks()},
        }

    def _pinned(self) -> IcebergSource:
        """This source with the metadata file and the snapshot of now."""
        if self.metadata:
            return self
        source = replace(self, metadata=self._metadata_file())
        table = source._table()
        known = [s.snapshot_id for s in table.metadata.snapshots]
        if self.version is not None and self.version not in known:
            raise DataError(f"The Iceberg table {self.path} has no snapshot {self.version}; it has {known}.")
        now = table.current_snapshot()
        return replace(source, version=self.version if self.version is not None else now and now.snapshot_id)

    def _metadata_file(self) -> str:
        if self.catalog:
            from pyiceberg.catalog import load_catalog
            from pyiceberg.exceptions import NoSuchNamespaceError, NoSuchTableError, NotInstalledError

            try:
                named = {"name": "default", **self.catalog}
                return str(load_catalog(**named).load_table(self.path).metadata_location)
            except (NoSuchTableError, NoSuchNamespaceError) as error:
                raise DataError(f"The catalogue has no Iceberg table {self.path!r}: {clause(error)}.") from error
            except (ValueError, NotInstalledError) as error:
                raise ConfigError(f"the Iceberg catalogue cannot be opened: {clause(error)}.") from error
        if self.path.endswith(".metadata.json"):
            return self.path
        found = [i.path for i in system(self.path, self.storage_options).walk(f"{self.path}/metadata", deep=False)]
        kept = [p for p in found if p.endswith(".metadata.json")]
        if not kept:
            raise DataError(
                f"{self.path} holds no Iceberg table: there is no metadata/*.metadata.json. Name the folder of one."
            )
        return max(kept, key=_number)

    def _table(self) -> Any:
        return _opened(self.metadata, tuple(sorted((k, str(v)) for k, v in self.storage_options.items())))

    def _tasks(self) -> list[Any]:
        return _planned(
            self.metadata, self.version, tuple(sorted((k, str(v)) for k, v in self.storage_options.items()))
        )


def _number(path: str) -> tuple[int, str]:
    """``00012-<uuid>.metadata.json`` and ``v12.metadata.json`` by their number."""
    digits = path.rpartition("/")[2].removeprefix("v").partition("-")[0].partition(".")[0]
    return (int(digits) if digits.isdecimal() else -1, path)


def _arrow(schema: Any) -> pa.Schema:
    from pyiceberg.io.pyarrow import schema_to_pyarrow

    found: pa.Schema = schema_to_pyarrow(schema, include_field_ids=False)
    return found


@lru_cache(maxsize=8)
def _opened(metadata: str, options: tuple[tuple[str, str], ...]) -> Any:
    from pyiceberg.table import StaticTable

    try:
        return StaticTable.from_metadata(metadata, dict(options))
    except (OSError, ValueError) as error:
        raise DataError(
            f"Cannot read the Iceberg metadata {metadata}: {str(error).partition(chr(10))[0]}. Restore that file."
        ) from error


@lru_cache(maxsize=8)
def _planned(metadata: str, version: int | None, options: tuple[tuple[str, str], ...]) -> list[Any]:
    """The scan tasks of a snapshot, by path."""
    try:
        tasks = list(_opened(metadata, options).scan(snapshot_id=version).plan_files()) if version is not None else []
    except OSError as error:  # a list of files that the metadata names
        raise DataError(
            f"Cannot read the Iceberg table of {metadata}: {str(error).partition(chr(10))[0]}. Restore the file, or name a "
            "snapshot that does not need it with version=."
        ) from error
    except (ValueError, NotImplementedError) as error:
        raise DataError(
            f"Cannot read the Iceberg table of {metadata}: {clause(error)}. Compact it, then plan again."
        ) from error
    return sorted(tasks, key=lambda task: task.file.file_path)
