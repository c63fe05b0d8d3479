"""Rows into a table of a database by one transaction, once per run whatever dies."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from typing import Any

import pyarrow as pa

from connectors.databases import ANYTHING, column, database, file_of, quoted, shown
from connectors.location import need
from connectors.table_types import Held, exactly, plain, wanted
from partitioner.errors import ConfigError, DataError, OutputExists, listed

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


def columns(url: str, _: Mapping[str, Any]) -> pa.Schema | None:
    """The columns of the table; None where there is none."""
    place, table = parted(url)
    with closing(_open(place)) as connection:
        return database(place).columns(connection, table) if _exists(connection, table) else None


def check(url: str, schema: pa.Schema, _: Mapping[str, Any]) -> None:
    """Raise DataError where the database does not answer, or its table is there and has no place for such columns."""
    place, table = parted(url)
    with closing(_open(place)) as connection:
        _types(connection, place, table, schema)


def write(url: str, tables: Iterator[pa.Table], schema: pa.Schema, mode: str, run_id: str) -> None:
    """Append, or replace the rows that are there (``mode="overwrite"``), in one transaction with the run's id.

    Where the id is there, the rows are, and nothing is done. Raises OutputExists where the table exists and
    ``mode`` is ``error`` or ``resume``, DataError with what the database says where it does not take the rows.
    """
    place, table = parted(url)
    held = Held(iter(()))
    try:
        with closing(_open(place)) as connection:
            types = _types(connection, place, table, schema)
            stored = (_stored(part) for part in tables) if _is_sqlite(connection) else tables
            held = Held(exactly(shown(place, table), stored, types))
            _INSERTS[place.partition("://")[0]](connection, held.batches(), types, table, mode, run_id)
    except (OutputExists, ConfigError, DataError):
        raise
    except Exception as error:  # every driver has its own classes
        if held.error is not None:
            raise held.error from None
        raise DataError(
            f"{shown(place, table)} does not take the rows: {str(error).strip().partition(chr(10))[0]}. They are kept in "
            "the run directory; mend the table or name another, and resume."
        ) from error


def _open(place: str) -> Any:
    scheme = place.partition("://")[0]
    try:
        if scheme == "sqlite":
            import sqlite3

            return sqlite3.connect(file_of(place), isolation_level=None)
        if scheme == "duckdb":
            return need("duckdb", "sql").connect(file_of(place))
        return need("adbc_driver_postgresql.dbapi", "sql").connect(place)
    except ConfigError:
        raise
    except Exception as error:  # every driver has its own classes
        said = str(error).strip().partition("\n")[0].removesuffix(".")
        raise DataError(
            f"cannot connect to {shown(place, '')}: {said}. Check address, server and credentials."
        ) from None


def _do(connection: Any, statement: str, values: tuple[Any, ...] = ()) -> None:
    with closing(connection.cursor()) as cursor:
        cursor.execute(statement, values) if values else cursor.execute(statement)


def _found(connection: Any, query: str, values: tuple[Any, ...] = ()) -> bool:
    with closing(connection.cursor()) as cursor:
        cursor.execute(query, values) if values else cursor.execute(query)
        return cursor.fetchone() is not None


def _exists(connection: Any, table: str) -> bool:
    """Asked of the catalogue of tables, since a failed query would end a transaction; of what the name means there.

    SQLite and DuckDB tell names apart whatever their case; without a schema it is the one that a query would find.
    """
    schema, _, name = table.rpartition(".")
    if _is_sqlite(connection):
        query = f"SELECT 1 FROM sqlite_master WHERE type IN ('table', 'view') AND lower(name) = lower({_text(name)})"
    elif _is_duckdb(connection):
        home = _text(schema) if schema else "current_schema()"
        query = (
            f"SELECT 1 FROM information_schema.tables WHERE lower(table_name) = lower({_text(name)}) "
            f"AND lower(table_schema) = lower({home}) AND table_catalog = current_database()"
        )
    else:
        query = f"SELECT 1 WHERE to_regclass({_text(quoted(table))}) IS NOT NULL"
    return _found(connection, query)


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


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


def _types(connection: Any, place: str, table: str, schema: pa.Schema) -> pa.Schema:
    """The types in which the rows are written: those of the table where it is there. Raises DataError as ``check``."""
    mine = _stored(schema.empty_table()).schema if _is_sqlite(connection) else plain(schema)
    if not _exists(connection, table):
        _check_types(shown(place, table), mine, place.partition("://")[0])
        return mine
    there = database(place).columns(connection, table)
    names = {name.casefold(): name for name in mine.names}  # a name that differs in more is another in all of them
    for field in mine:
        if field.name.casefold() not in {name.casefold() for name in there.names}:
            raise DataError(
                f"{shown(place, table)} does not take the rows: it has no column {field.name!r}; it has "
                f"{listed(there.names)}. Add it there, or name another table."
            )
    said = [f for f in there if f.type != ANYTHING]
    same = pa.schema([pa.field(names.get(f.name.casefold(), f.name), f.type) for f in said])
    return wanted(shown(place, table), same, mine)


def _check_types(table: str, schema: pa.Schema, scheme: str) -> None:
    """Raise DataError for a column of a type for which a new table has none; the database would say so after the run."""
    for field in schema:
        if _lacks(field.type, scheme):
            raise DataError(
                f"{table} does not take the rows: column {field.name!r} is {field.type}, for which {scheme} has no type. "
                "Convert it in the program, to text (json.dumps) or to columns of its own."
            )


def _lacks(kind: pa.DataType, scheme: str) -> bool:
    if pa.types.is_decimal256(kind):
        return scheme != "sqlite"
    fields = pa.types.is_struct(kind) or pa.types.is_map(kind)
    inner = (kind.field(i).type for i in range(kind.num_fields))
    return (fields and scheme in ("postgresql", "postgres")) or any(_lacks(part, scheme) for part in inner)


def _is_sqlite(connection: Any) -> bool:
    return type(connection).__module__.startswith("sqlite3")


def _is_duckdb(connection: Any) -> bool:
    return "duckdb" in type(connection).__module__


def _stored(rows: pa.Table) -> pa.Table:
    """What SQLite has: whole numbers, doubles, text and bytes; lists and structs are JSON, all else is its text."""
    kept = plain(rows.schema)
    return pa.table([_stored_column(rows[f.name], f.type) for f in kept], names=kept.names)


def _stored_column(values: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    numbers = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)
    texts = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_null(kind)
    if numbers or texts or _is_bytes(kind):
        return values
    nested = pa.types.is_nested(kind)
    said = [None if v is None else json.dumps(v, default=str) if nested else str(v) for v in values.to_pylist()]
    return pa.chunked_array([pa.array(said, pa.string())])


def _is_bytes(kind: pa.DataType) -> bool:
    tests = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_fixed_size_binary)
    return any(test(kind) for test in tests)


def _sqlite(
    connection: Any, rows: Iterator[pa.RecordBatch], schema: pa.Schema, table: str, mode: str, run_id: str
) -> None:
    connection.execute("BEGIN IMMEDIATE")
    if _begun(connection, table, mode, run_id):
        columns = ", ".join(f"{column(f.name)} {_affinity(f.type)}" for f in schema)
        connection.execute(f"CREATE TABLE IF NOT EXISTS {quoted(table)} ({columns})")
        names, marks = ", ".join(column(f.name) for f in schema), ", ".join("?" * len(schema))
        for part in rows:
            values = zip(*(values.to_pylist() for values in part.columns), strict=True)
            connection.executemany(f"INSERT INTO {quoted(table)} ({names}) VALUES ({marks})", values)
    connection.execute("COMMIT")


def _affinity(kind: pa.DataType) -> str:
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        return "INTEGER"
    if pa.types.is_floating(kind):
        return "REAL"
    return "BLOB" if _is_bytes(kind) else "TEXT"


def _duckdb(
    connection: Any, rows: Iterator[pa.RecordBatch], schema: pa.Schema, table: str, mode: str, run_id: str
) -> None:
    connection.execute("BEGIN")
    if _begun(connection, table, mode, run_id):
        connection.register("_partitioner_rows", schema.empty_table())
        connection.execute(f"CREATE TABLE IF NOT EXISTS {quoted(table)} AS SELECT * FROM _partitioner_rows")
        for part in rows:
            connection.register("_partitioner_rows", pa.Table.from_batches([part]))
            connection.execute(f"INSERT INTO {quoted(table)} BY NAME SELECT * FROM _partitioner_rows")
    connection.execute("COMMIT")


def _postgres(
    connection: Any, rows: Iterator[pa.RecordBatch], schema: pa.Schema, table: str, mode: str, run_id: str
) -> None:
    """By COPY, which is what ADBC's ingestion does."""
    home, _, name = table.rpartition(".")
    if _begun(connection, table, mode, run_id):
        reader = pa.RecordBatchReader.from_batches(schema, rows)
        with closing(connection.cursor()) as cursor:
            cursor.adbc_ingest(name, reader, mode="create_append", db_schema_name=home or None)
    connection.commit()


_INSERTS: Mapping[str, Callable[..., None]] = {
    "duckdb": _duckdb,
    "postgres": _postgres,
    "postgresql": _postgres,
    "sqlite": _sqlite,
}
