"""The few things that databases differ in: how to connect, quote, tell rows apart, and fetch Arrow."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from connectors.location import need
from partitioner.errors import ConfigError, DataError, nearest
from partitioner.frames import to_array

FETCHED = 65_536
"""Rows fetched at once."""


@dataclass(frozen=True, slots=True)
class Database:
    """One kind. ``row`` is the expression that tells equal keys apart and orders them; ``mark`` stands for a value."""

    row: str
    cast_row: str
    mark: Callable[[int], str]
    connect: Callable[[str], Any]
    fetch: Callable[[Any, str, Sequence[Any]], Iterator[pa.RecordBatch]]


def database(url: str) -> Database:
    """The kind that a URL names. Raises ConfigError for another."""
    scheme = url.partition("://")[0]
    if "://" not in url or scheme not in DATABASES:
        known = ", ".join(f"{name}://" for name in DATABASES)
        raise ConfigError(
            f"a database URL begins with one of {known}; given is {_hidden(url)}.{nearest(scheme, list(DATABASES))}"
        )
    return DATABASES[scheme]


@contextmanager
def connected(url: str) -> Iterator[Any]:
    """A connection, closed at the end. Raises DataError, without credentials, where the database does not answer."""
    kind = database(url)
    try:
        connection = kind.connect(url)
    except (ConfigError, DataError):
        raise
    except Exception as error:  # every driver has its own classes
        raise DataError(f"cannot connect to {_hidden(url)}: {_line(error, url)}") from None
    with closing(connection):
        yield connection


def rows_of(connection: Any, url: str, query: str, values: Sequence[Any] = ()) -> Iterator[pa.RecordBatch]:
    """The result of a query. Raises DataError naming what the database says."""
    try:
        yield from database(url).fetch(connection, query, values)
    except DataError:
        raise
    except Exception as error:  # every driver has its own classes
        raise DataError(f"{_hidden(url)} refuses a query: {_line(error, url)}") from None


def quoted(name: str) -> str:
    """An identifier, with its schema where one is written before a dot."""
    return ".".join('"' + part.replace('"', '""') + '"' for part in name.split("."))


def shown(url: str, table: str) -> str:
    """How messages and fragments name a table: without credentials."""
    return f"{_hidden(url)}#{table}"


def _hidden(url: str) -> str:
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2].partition('?')[0]}"


def _line(error: Exception, url: str) -> str:
    return str(error).strip().partition("\n")[0].replace(url, _hidden(url))


def _path(url: str) -> str:
    return url.partition("://")[2] or ":memory:"


def _sqlite(url: str) -> Any:
    import os
    import sqlite3

    if not os.path.exists(_path(url)):
        raise DataError(f"no SQLite file at {_path(url)}; write sqlite:///absolute/path.db.")
    return sqlite3.connect(f"file:{_path(url)}?mode=ro", uri=True)


def _sqlite_rows(connection: Any, query: str, values: Sequence[Any]) -> Iterator[pa.RecordBatch]:
    with closing(connection.execute(query, tuple(values))) as cursor:
        names = [column[0] for column in cursor.description]
        while rows := cursor.fetchmany(FETCHED):
            columns = [to_array(list(column)) for column in zip(*rows, strict=True)]
            yield pa.RecordBatch.from_arrays(columns, names)


def _duckdb(url: str) -> Any:
    return need("duckdb", "sql").connect(_path(url), read_only=True)


def _duckdb_rows(connection: Any, query: str, values: Sequence[Any]) -> Iterator[pa.RecordBatch]:
    found = connection.sql(query, params=list(values))
    yield from found.to_arrow_reader(FETCHED)


def _postgres(url: str) -> Any:
    return need("adbc_driver_postgresql.dbapi", "sql").connect(url)


def _postgres_rows(connection: Any, query: str, values: Sequence[Any]) -> Iterator[pa.RecordBatch]:
    with closing(connection.cursor()) as cursor:
        cursor.execute(query, parameters=tuple(values) or None)
        for batch in cursor.fetch_record_batch():
            yield from (batch.slice(at, FETCHED) for at in range(0, batch.num_rows, FETCHED))


_POSTGRES = Database("ctid", "::tid", lambda i: f"${i}", _postgres, _postgres_rows)
DATABASES: Mapping[str, Database] = {
    "duckdb": Database("rowid", "", lambda i: f"${i}", _duckdb, _duckdb_rows),
    "postgresql": _POSTGRES,
    "postgres": _POSTGRES,
    "sqlite": Database("rowid", "", lambda i: f"?{i}", _sqlite, _sqlite_rows),
}
"""Scheme of the URL -> the kind."""
