"""Rows into a Delta table by one transaction of its own, once per run whatever dies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from connectors.location import need
from partitioner.errors import DataError, OutputExists

APPLICATION = "batch-partitioner"


def there(url: str, options: Mapping[str, Any]) -> bool:
    """Whether a Delta table lies at ``url``."""
    found: bool = need("deltalake", "delta").DeltaTable.is_deltatable(url, dict(options) or None)
    return found


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
    if exists and mode != "overwrite":
        _check_types(
            url, delta.DeltaTable(url, storage_options=dict(options) or None).to_pyarrow_dataset().schema, schema
        )
    batches = pa.RecordBatchReader.from_batches(
        schema, (b for table in tables for b in table.cast(schema).to_batches())
    )
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
    except (delta.exceptions.DeltaError, ValueError) as error:
        raise DataError(
            f"the Delta table {url} does not take the rows: {str(error).partition(chr(10))[0]} They are kept in the run "
            "directory; mend the table or name another, and resume."
        ) from error


def _check_types(url: str, there: pa.Schema, schema: pa.Schema) -> None:
    """Delta casts what it appends, numbers to text too: only what widens is let through."""
    for field in schema:
        if field.name not in there.names:
            continue
        pair = [pa.schema([pa.field("x", kind)]) for kind in (there.field(field.name).type, field.type)]
        try:
            pa.unify_schemas(pair, promote_options="permissive")
        except (pa.ArrowTypeError, pa.ArrowInvalid):
            raise DataError(
                f"the Delta table {url} does not take the rows: its column {field.name!r} is {pair[0].types[0]}, and the "
                f"rows have {field.type}. They are kept in the run directory; mend the program, or name another table."
            ) from None
