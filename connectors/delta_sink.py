"""Rows into a Delta table by one transaction of its own, once per run whatever dies."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from connectors.location import need
from connectors.table_types import Held, exactly, plain, wanted
from partitioner.errors import ConfigError, DataError, OutputExists, shortened

APPLICATION = "batch-partitioner"


_UNFIT = re.compile(r"[\[\]^|\\]|%[0-9A-Fa-f]{2}")
"""What deltalake takes for parts of a URL in the path of a local folder."""


def there(url: str, options: Mapping[str, Any]) -> bool:
    """Whether a Delta table lies at ``url``. ConfigError for a local path that deltalake cannot write to."""
    if "://" not in url and (unfit := _UNFIT.search(url)):
        raise ConfigError(f"output {url}: deltalake takes no {unfit[0]!r} in the path of a table; name another folder.")
    delta = need("deltalake", "delta")
    try:
        found: bool = delta.DeltaTable.is_deltatable(url, dict(options) or None)
    except (OSError, delta.exceptions.DeltaError) as error:
        raise DataError(
            f"cannot reach {url} for the Delta table: {_said(error)}. Check the path, endpoint and credentials."
        ) from error
    return found


def _said(error: Exception) -> str:
    """What deltalake says in several lines, without their colours and arrows."""
    plain = re.sub(r"\x1b\[[0-9;]*m|↳", "", str(error)).partition("\n   0: ")[0]
    return shortened(" ".join(plain.split()), 300).rstrip(".")


def columns(url: str, options: Mapping[str, Any]) -> pa.Schema | None:
    """The columns of the table; None where there is none."""
    if not there(url, options):
        return None
    table = need("deltalake", "delta").DeltaTable(url, storage_options=dict(options) or None)
    schema: pa.Schema = table.to_pyarrow_dataset().schema
    return schema


def write(
    url: str,
    tables: Iterator[pa.Table],
    schema: pa.Schema,
    mode: str,
    run_id: str,
    partition_by: Sequence[str] = (),
    options: Mapping[str, Any] = {},
) -> None:
    """Append, or replace what is there (``mode="overwrite"``), in one commit that carries the run's id.

    The id is a Delta application transaction: where the table's log has it, the rows are there and nothing is done. Raises
    OutputExists where a table is there and ``mode`` is ``error`` or ``resume``, DataError where the table's schema does
    not take the rows.
    """
    delta = need("deltalake", "delta")
    application = f"{APPLICATION}:{run_id}"
    exists = there(url, options)
    if (
        exists
        and delta.DeltaTable(url, storage_options=dict(options) or None).transaction_version(application) is not None
    ):
        return
    if exists and mode in ("error", "resume"):
        raise OutputExists(f"a Delta table is at {url}; give mode='append' or mode='overwrite', or name another place.")
    types = _types(url, schema, mode, options)
    held = Held(exactly(f"the Delta table {url}", tables, types))
    batches = pa.RecordBatchReader.from_batches(types, held.batches())
    once = delta.CommitProperties(
        custom_metadata={"run_id": run_id}, app_transactions=[delta.Transaction(application, version=1)]
    )
    try:
        delta.write_deltalake(
            url,
            batches,
            mode="overwrite" if mode == "overwrite" else "append",
            schema_mode="overwrite" if mode == "overwrite" else "merge" if exists else None,
            partition_by=list(partition_by) or None,
            storage_options=dict(options) or None,
            commit_properties=once,
        )
    except Exception as error:  # deltalake raises plain ones too
        if held.error is not None:
            raise held.error from None
        raise DataError(
            f"the Delta table {url} does not take the rows: {_said(error)}. They are kept in the run "
            "directory; mend the table or name another, and resume."
        ) from error


def check(url: str, schema: pa.Schema, options: Mapping[str, Any], mode: str = "append") -> None:
    """Raise DataError for a type that Delta does not have, or that the columns of the table have no place for."""
    delta = need("deltalake", "delta")
    types = _types(url, schema, mode, options)
    for field in types:
        try:
            delta.Schema.from_arrow(pa.schema([field]))
        except Exception as error:  # deltalake raises plain ones too
            raise DataError(
                f"the Delta table {url} does not take the rows: column {field.name!r} is {field.type}: {_said(error)}. "
                "Convert it in the program."
            ) from error


def _types(url: str, schema: pa.Schema, mode: str, options: Mapping[str, Any]) -> pa.Schema:
    """The types in which rows are written: those of the table where it stays, which casts numbers to text otherwise."""
    types = plain(schema, uuid=False)
    known = None if mode == "overwrite" else columns(url, options)
    return types if known is None else wanted(f"the Delta table {url}", known, types)
