"""Rows into an Iceberg table by one transaction of its own, once per run whatever dies."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa

from connectors.location import need
from connectors.table_types import exactly, plain, wanted
from partitioner.errors import ConfigError, DataError, OutputExists

RUN = "batch-partitioner.run-id"
"""The property of a snapshot that names the run which made it."""

SCHEME = "iceberg://"


def there(url: str, catalog: Mapping[str, Any]) -> bool:
    """Whether the catalogue has the table. ConfigError for a catalogue that cannot be opened."""
    name = _name(url)
    found: bool = _catalog(catalog).table_exists(name)
    return found


def columns(url: str, catalog: Mapping[str, Any]) -> pa.Schema | None:
    """The columns of the table; None where there is none."""
    return _columns(_catalog(catalog), _name(url))


def _columns(opened: Any, name: str) -> pa.Schema | None:
    from pyiceberg.io.pyarrow import schema_to_pyarrow

    if not opened.table_exists(name):
        return None
    return schema_to_pyarrow(opened.load_table(name).schema(), include_field_ids=False)


def write(
    url: str, tables: Iterator[pa.Table], schema: pa.Schema, mode: str, run_id: str, catalog: Mapping[str, Any]
) -> None:
    """Append, or replace what is there (``mode="overwrite"``), in one transaction whose snapshots carry the run's id.

    Where a snapshot has the id, the rows are there and nothing is done. Raises OutputExists where the table is there and
    ``mode`` is ``error`` or ``resume``, DataError where its schema does not take the rows.
    """
    name, opened = _name(url), _catalog(catalog)
    exists = opened.table_exists(name)
    types = _types(opened, name, schema)
    if not exists:
        opened.create_namespace_if_not_exists(name.rpartition(".")[0])
        opened.create_table(name, types)
    table = opened.load_table(name)
    if any(
        s.summary is not None and s.summary.additional_properties.get(RUN) == run_id for s in table.metadata.snapshots
    ):
        return
    if exists and mode in ("error", "resume") and table.metadata.snapshots:
        raise OutputExists(
            f"the Iceberg table {name} is there; give mode='append' or mode='overwrite', or another name."
        )
    mine = {RUN: run_id}
    try:
        with warnings.catch_warnings(), table.transaction() as transaction:
            warnings.filterwarnings("ignore", "Delete operation did not match any records")  # the table was empty
            if not _fits(types, _columns(opened, name)):
                with transaction.update_schema() as update:  # further columns are null in the rows that are there
                    update.union_by_name(types)
            step = transaction.overwrite if mode == "overwrite" and table.metadata.snapshots else transaction.append
            for rows in _joined(exactly(f"the Iceberg table {name}", tables, types), types):
                step(rows, snapshot_properties=mine)
                step = transaction.append
    except (ValueError, pa.ArrowException) as error:
        raise DataError(
            f"the Iceberg table {name} does not take the rows: {str(error).partition(chr(10))[0]} They are kept in the run "
            "directory; mend the table or name another, and resume."
        ) from error


def check(url: str, schema: pa.Schema, catalog: Mapping[str, Any]) -> None:
    """Raise DataError for a type that Iceberg does not have, or that the columns of the table have no place for."""
    _types(_catalog(catalog), _name(url), schema)


def _fits(types: pa.Schema, known: pa.Schema | None) -> bool:
    """Whether a table with the columns ``known`` has a place for all of ``types``."""
    return known is not None and all(f.name in known.names and known.field(f.name).type == f.type for f in types)


def _types(opened: Any, name: str, schema: pa.Schema) -> pa.Schema:
    """The types in which rows are written: those of the table where it is there."""
    from pyiceberg.io.pyarrow import UnsupportedPyArrowTypeException, visit_pyarrow
    from pyiceberg.io.pyarrow import _ConvertToIcebergWithoutIDs as Conversion

    types = plain(schema, null=True)
    try:
        visit_pyarrow(types, Conversion())
    except (UnsupportedPyArrowTypeException, TypeError, ValueError) as error:
        raise DataError(
            f"the Iceberg table {name} does not take the rows: {str(error).partition(chr(10))[0]}. Convert that column."
        ) from error
    known = _columns(opened, name)
    if known is None:
        return types
    return plain(wanted(f"the Iceberg table {name}", known, plain(schema)), null=True)  # what is null fits any column


APPENDED_BYTES = 256 << 20
"""Rows that become one snapshot: every snapshot costs the readers of the table a manifest."""


def _joined(tables: Iterator[pa.Table], schema: pa.Schema) -> Iterator[pa.Table]:
    """The rows in few pieces; one piece at least, so that a run without rows replaces too, and leaves its id."""
    held = [schema.empty_table()]
    for table in tables:
        held.append(table.cast(schema))
        if sum(t.nbytes for t in held) > APPENDED_BYTES:
            yield pa.concat_tables(held)
            held = []
    if held:
        yield pa.concat_tables(held)


def _name(url: str) -> str:
    name = url.removeprefix(SCHEME)
    if "." not in name:
        raise ConfigError(f"output {url!r} names no namespace; write iceberg://namespace.table.")
    return name


def _catalog(properties: Mapping[str, Any]) -> Any:
    need("pyiceberg", "iceberg")
    from pyiceberg.catalog import load_catalog
    from pyiceberg.exceptions import NotInstalledError

    if not properties:
        raise ConfigError("an Iceberg output needs its catalogue: catalog={'name': ..., 'type': 'sql', 'uri': ...}.")
    try:
        return load_catalog(**{"name": "default", **{k: str(v) for k, v in properties.items()}})
    except (ValueError, NotInstalledError) as error:
        raise ConfigError(f"the Iceberg catalogue cannot be opened: {error}") from error
