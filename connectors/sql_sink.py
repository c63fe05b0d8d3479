"""Rows into a table of a database by one transaction, once per run whatever dies."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from typing import Any

import pyarrow as pa

from connectors.databases import database, quoted, shown
from connectors.location import need
from partitioner.errors import ConfigError, DataError, OutputExists

RUNS = "_partitioner_runs"
"""The table beside the output whose primary key is the id of a run: its row and those of the run are one transaction."""


def parted(url: str) -> tuple[str, str]:
    """Database and table of ``postgresql://host/database#table``. ConfigError without a table, or with a password."""
    place, _, table = url.partition("#")
    database(place)
    if not table:
        raise ConfigError(f"output {shown(place, '<table>')} names no table; write it after a '#'.")
    if ":" in place.partition("://")[2].rpartition("@")[0]:
        raise ConfigError(
            f"output {shown(place, table)} holds a password, which would be written down with the run; give it by "
            "PGPASSWORD or ~/.pgpass on the driver."
        )
    return place, table


def there(url: str, _: Mapping[str, Any]) -> bool:
    """Whether the table exists. DataError where the database does not answer."""
    place, table = parted(url)
    with closing(_open(place)) as connection:
        return _exists(connection, table)


def write(url: str, tables: Iterator[pa.Table], schema: pa.Schema, mode: str, run_id: str) -> None:
    """Append, or replace the rows that are there (``mode="overwrite"``), in one transaction with the run's id.

    Where the id is there, the rows are, and nothing is done. Raises OutputExists where the table exists and
    ``mode`` is ``error`` or ``resume``, DataError with what the database says where it does not take the rows.
    """
    place, table = parted(url)
    try:
        with closing(_open(place)) as connection:
            _INSERTS[place.partition("://")[0]](connection, tables, schema, table, mode, run_id)
    except (OutputExists, ConfigError, DataError):
        raise
    except Exception as error:  # every driver has its own classes
        raise DataError(
            f"{shown(place, table)} does not take the rows: {str(error).strip().partition(chr(10))[0]}. They are kept in "
            "the run directory; mend the table or name another, and resume."
        ) from error


def _open(place: str) -> Any:
    scheme, _, path = place.partition("://")
    try:
        if scheme == "sqlite":
            import sqlite3

            return sqlite3.connect(path, isolation_level=None)
        if scheme == "duckdb":
            return need("duckdb", "sql").connect(path)
        return need("adbc_driver_postgresql.dbapi", "sql").connect(place)
    except ConfigError:
        raise
    except Exception as error:  # every driver has its own classes
        raise DataError(f"cannot connect to {shown(place, '')}: {str(error).strip().partition(chr(10))[0]}") from None


def _do(connection: Any, statement: str, values: tuple[Any, ...] = ()) -> None:
    with closing(connection.cursor()) as cursor:
        cursor.execute(statement, values) if values else cursor.execute(statement)


def _found(connection: Any, query: str, values: tuple[Any, ...] = ()) -> bool:
    with closing(connection.cursor()) as cursor:
        cursor.execute(query, values) if values else cursor.execute(query)
        return cursor.fetchone() is not None


def _exists(connection: Any, table: str) -> bool:
    """Asked of the catalogue of tables, since a failed query would end a transaction."""
    schema, _, name = table.rpartition(".")
    literal = name.replace("'", "''")
    if type(connection).__module__.startswith("sqlite3"):
        return _found(connection, f"SELECT 1 FROM sqlite_master WHERE name = '{literal}'")
    among = f" AND table_schema = '{schema.replace(chr(39), chr(39) * 2)}'" if schema else ""
    return _found(connection, f"SELECT 1 FROM information_schema.tables WHERE table_name = '{literal}'{among}")


def _begun(connection: Any, table: str, mode: str, run_id: str) -> bool:
    """Whether the rows are still to be written, within the transaction. ``run_id`` holds letters, digits and dashes only."""
    _do(connection, f"CREATE TABLE IF NOT EXISTS {RUNS} (run_id VARCHAR(200) PRIMARY KEY)")
    literal = run_id.replace("'", "''")
    if _found(connection, f"SELECT 1 FROM {RUNS} WHERE run_id = '{literal}'"):
        return False
    _do(connection, f"INSERT INTO {RUNS} VALUES ('{literal}')")
    if _exists(connection, table):
        if mode in ("error", "resume"):
            raise OutputExists(f"table {table} is there; give mode='append' or mode='overwrite', or name another.")
        if mode == "overwrite":
            _do(connection, f"DELETE FROM {quoted(table)}")
    return True


def _sqlite(connection: Any, tables: Iterator[pa.Table], schema: pa.Schema, table: str, mode: str, run_id: str) -> None:
    connection.execute("BEGIN IMMEDIATE")
    if _begun(connection, table, mode, run_id):
        columns = ", ".join(f"{quoted(f.name)} {_affinity(f.type)}" for f in schema)
        connection.execute(f"CREATE TABLE IF NOT EXISTS {quoted(table)} ({columns})")
        names, marks = ", ".join(quoted(f.name) for f in schema), ", ".join("?" * len(schema))
        for rows in tables:
            values = zip(*(rows[name].to_pylist() for name in schema.names), strict=True)
            connection.executemany(f"INSERT INTO {quoted(table)} ({names}) VALUES ({marks})", values)
    connection.execute("COMMIT")


def _affinity(kind: pa.DataType) -> str:
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        return "INTEGER"
    if pa.types.is_floating(kind):
        return "REAL"
    return "BLOB" if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) else "TEXT"


def _duckdb(connection: Any, tables: Iterator[pa.Table], schema: pa.Schema, table: str, mode: str, run_id: str) -> None:
    connection.execute("BEGIN")
    if _begun(connection, table, mode, run_id):
        connection.register("_partitioner_rows", schema.empty_table())
        connection.execute(f"CREATE TABLE IF NOT EXISTS {quoted(table)} AS SELECT * FROM _partitioner_rows")
        for rows in tables:
            connection.register("_partitioner_rows", rows.cast(schema))
            connection.execute(f"INSERT INTO {quoted(table)} BY NAME SELECT * FROM _partitioner_rows")
    connection.execute("COMMIT")


def _postgres(
    connection: Any, tables: Iterator[pa.Table], schema: pa.Schema, table: str, mode: str, run_id: str
) -> None:
    """By COPY, which is what ADBC's ingestion does."""
    home, _, name = table.rpartition(".")
    if _begun(connection, table, mode, run_id):
        batches = (batch for rows in tables for batch in rows.cast(schema).to_batches())
        reader = pa.RecordBatchReader.from_batches(schema, batches)
        with closing(connection.cursor()) as cursor:
            cursor.adbc_ingest(name, reader, mode="create_append", db_schema_name=home or None)
    connection.commit()


_INSERTS: Mapping[str, Callable[..., None]] = {
    "duckdb": _duckdb,
    "postgres": _postgres,
    "postgresql": _postgres,
    "sqlite": _sqlite,
}
