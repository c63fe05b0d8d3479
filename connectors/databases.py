"""The few things that databases differ in: how to connect, quote, tell rows apart, and fetch Arrow."""

from __future__ import annotations

import atexit
import hashlib
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pyarrow as pa

from connectors.location import need
from partitioner.errors import ConfigError, DataError, nearest
from partitioner.frames import to_array

FETCHED = 65_536
"""Rows fetched at once."""


@dataclass(frozen=True, slots=True)
class Database:
    """One kind. ``row`` is the expression that tells equal keys apart and orders them; ``mark`` stands for a value.

    ``stand`` is an expression for the state of the places of a table's rows, and ``moved``, of a table and such a state,
    is true for a row whose place may be another one than it was then. ``content`` is a query of a table for one figure that
    is another once any row of it was added, changed or removed. ``columns`` of a table as it was declared, whatever its rows
    (``ANYTHING`` for one that takes every type). ``looked_at``: a comparison of places that rows found by their key are
    sifted by, and that no rows are looked up by. ``cast_key`` is a query of table and key for the type that values of the
    key are cast to from text (``kind``: empty where they are as they come); without it they always are. ``lends``: an open
    connection keeps nobody else out, so that the next read may have it.
    """

    row: str
    cast_row: str
    mark: Callable[[int], str]
    stand: Callable[[str], str]
    moved: Callable[[str, str], str]
    connect: Callable[[str], Any]
    fetch: Callable[[Any, str, Sequence[Any]], Iterator[pa.RecordBatch]]
    content: Callable[[str], str]
    columns: Callable[[Any, str], pa.Schema]
    looked_at: str = "{}"
    cast_key: Callable[[str, str], str] | None = None
    lends: bool = False


def database(url: str) -> Database:
    """The kind that a URL names. Raises ConfigError for another."""
    scheme = url.partition("://")[0]
    if "://" not in url or scheme not in DATABASES:
        known = ", ".join(f"{name}://" for name in DATABASES)
        raise ConfigError(
            f"a database URL begins with one of {known}; given is {_hidden(url)}.{nearest(scheme, list(DATABASES))}"
        )
    return DATABASES[scheme]


def _opened(url: str) -> Any:
    """A connection. Raises DataError, without credentials, where the database does not answer."""
    try:
        return database(url).connect(url)
    except (ConfigError, DataError):
        raise
    except Exception as error:  # every driver has its own classes
        raise DataError(
            f"cannot connect to {_hidden(url)}: {_line(error, url)}. Check address, server and credentials."
        ) from None


@contextmanager
def connected(url: str) -> Iterator[Any]:
    """A connection, closed at the end. Raises DataError, without credentials, where the database does not answer."""
    with closing(_opened(url)) as connection:
        yield connection


LENT_SECONDS = 5.0
"""How long a connection waits for the next read: the ranges of a sub-task follow each other, and servers end idle ones."""

_waiting: dict[tuple[int, str], list[tuple[float, Any]]] = {}


@contextmanager
def lent(url: str) -> Iterator[Any]:
    """As ``connected``, for one of many reads: PostgreSQL's driver takes 35 ms to connect, and a range is read in 3."""
    if not database(url).lends:
        with connected(url) as connection:
            yield connection
        return
    waiting = _waiting.setdefault((os.getpid(), url), [])  # a fork has connections of its own
    since, connection = waiting.pop() if waiting else (0.0, None)
    if connection is not None and time.monotonic() - since > LENT_SECONDS:
        connection.close()
        connection = None
    if connection is None:
        connection = _opened(url)
    try:
        yield connection
        connection.rollback()
    except BaseException:
        connection.close()
        raise
    waiting.append((time.monotonic(), connection))


@atexit.register
def _close_waiting() -> None:
    for (process, _), waiting in _waiting.items():
        while process == os.getpid() and waiting:
            waiting.pop()[1].close()


def rows_of(connection: Any, url: str, query: str, values: Sequence[Any] = ()) -> Iterator[pa.RecordBatch]:
    """The result of a query. Raises DataError naming what the database says."""
    try:
        yield from database(url).fetch(connection, query, values)
    except DataError:
        raise
    except Exception as error:  # every driver has its own classes
        raise DataError(
            f"{_hidden(url)} refuses a query: {_line(error, url)}. Check table, columns and rights."
        ) from None


def quoted(name: str) -> str:
    """A table, with its schema where one is written before a dot."""
    return ".".join(column(part) for part in name.split("."))


def column(name: str) -> str:
    """A column, whose name may hold dots."""
    return '"' + name.replace('"', '""') + '"'


def shown(url: str, table: str) -> str:
    """How messages and fragments name a table: without credentials."""
    return f"{_hidden(url)}#{table}"


def _hidden(url: str) -> str:
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2].partition('?')[0]}"


def _line(error: Exception, url: str) -> str:
    return str(error).strip().partition("\n")[0].removesuffix(".").replace(url, _hidden(url))


def file_of(url: str) -> str:
    """The file of an embedded database; four slashes before an absolute path are as good as three."""
    path = url.partition("://")[2]
    return "/" + path.lstrip("/") if path.startswith("//") else path or ":memory:"


def _sqlite(url: str) -> Any:
    import sqlite3

    if not os.path.exists(file_of(url)):
        raise DataError(f"no SQLite file at {file_of(url)}; write sqlite:///absolute/path.db.")
    connection = sqlite3.connect(f"file:{quote(file_of(url))}?mode=ro", uri=True)
    connection.create_function("content_of", 1, lambda table: _sqlite_content(url, table), deterministic=True)
    return connection


def _sqlite_rows(connection: Any, query: str, values: Sequence[Any]) -> Iterator[pa.RecordBatch]:
    with closing(connection.execute(query, tuple(values))) as cursor:
        names = [column[0] for column in cursor.description]
        while rows := cursor.fetchmany(FETCHED):
            columns = [to_array(list(column)) for column in zip(*rows, strict=True)]
            yield pa.RecordBatch.from_arrays(columns, names)


def _sqlite_content(url: str, table: str) -> str:
    """A digest of all values in the order of the rows; SQLite itself has none, and its file changes with other tables too.

    Encoded by ``marshal`` in version 2, which depends on the values alone.
    """
    import marshal
    import sqlite3

    digest = hashlib.sha256()
    with closing(sqlite3.connect(f"file:{quote(file_of(url))}?mode=ro", uri=True)) as connection:
        cursor = connection.execute(f"SELECT * FROM {table} ORDER BY rowid")
        while rows := cursor.fetchmany(FETCHED):
            digest.update(marshal.dumps(rows, 2))
    return digest.hexdigest()


ANYTHING = pa.union([], mode="sparse")
"""The type of a column that keeps what it is given as it is."""


def _sqlite_columns(connection: Any, table: str) -> pa.Schema:
    """By what SQLite makes of the declared types."""
    query = "SELECT name, upper(type) FROM pragma_table_info(?)"
    found = connection.execute(query, (table.rpartition(".")[2],)).fetchall()
    return pa.schema([pa.field(name, _of_declared(declared)) for name, declared in found])


def _of_declared(declared: str) -> pa.DataType:
    """Of the affinities of SQLite, in their order (sqlite.org/datatype3.html)."""
    for parts, kind in (
        (("INT",), pa.int64()),
        (("CHAR", "CLOB", "TEXT"), pa.string()),
        (("REAL", "FLOA", "DOUB"), pa.float64()),
    ):
        if any(part in declared for part in parts):
            return kind
    return ANYTHING


def _duckdb(url: str) -> Any:
    return need("duckdb", "sql").connect(file_of(url), read_only=True)


def _duckdb_rows(connection: Any, query: str, values: Sequence[Any]) -> Iterator[pa.RecordBatch]:
    found = connection.sql(query, params=list(values))
    yield from found.to_arrow_reader(FETCHED)


def _duckdb_columns(connection: Any, table: str) -> pa.Schema:
    return connection.sql(f"SELECT * FROM {quoted(table)} LIMIT 0").to_arrow_table().schema


def _postgres(url: str) -> Any:
    return need("adbc_driver_postgresql.dbapi", "sql").connect(url)


def _postgres_rows(connection: Any, query: str, values: Sequence[Any]) -> Iterator[pa.RecordBatch]:
    with closing(connection.cursor()) as cursor:
        cursor.execute(query, parameters=tuple(values) or None)
        for batch in cursor.fetch_record_batch():
            yield from (batch.slice(at, FETCHED) for at in range(0, batch.num_rows, FETCHED))


def _postgres_columns(connection: Any, table: str) -> pa.Schema:
    with closing(connection.cursor()) as cursor:
        cursor.execute(f"SELECT * FROM {quoted(table)} LIMIT 0")
        return cursor.fetch_arrow_table().schema


def _row_ids(table: str) -> str:
    """The least and greatest number of a row: what compacting a file changes where it changes any."""
    ends = [f"coalesce((SELECT {end}(rowid) FROM {quoted(table)}), 0)" for end in ("min", "max")]
    return " || ' to ' || ".join(ends)


def _row_ids_moved(table: str, stand: str) -> str:
    return f"{_row_ids(table)} <> '{_plain(stand)}'"


def _file_node(table: str) -> str:
    """The file of a table, another one once all of it was written anew (VACUUM FULL, CLUSTER)."""
    literal = quoted(table).replace("'", "''")
    return f"coalesce(CAST(pg_relation_filenode(CAST('{literal}' AS regclass)) AS text), '-')"


def _snapshot(table: str) -> str:
    """The table's file and the transactions that had ended: ``next:next:running,...`` in their numbers of 64 bits."""
    return f"{_file_node(table)} || ':' || CAST(txid_current_snapshot() AS text)"


def _written_since(table: str, stand: str) -> str:
    """Whether a version of a row is of a transaction that had not ended then; all rows, where the file is another.

    Rows carry 32 bits of that number, so they are compared by how many transactions ago they are.
    """
    node, _, following, running = _plain(stand).split(":")
    since = f"age(xmin) BETWEEN 0 AND age(CAST('{int(following) % 2**32}' AS xid))"
    numbers = ",".join(str(int(number) % 2**32) for number in running.split(",") if number)
    return f"({since} OR xmin = ANY (CAST('{{{numbers}}}' AS xid[])) OR {_file_node(table)} <> '{node}')"


def _hashed_rows(table: str) -> str:
    """DuckDB: the sum of what its rows hash to."""
    return f"SELECT CAST(sum(hash(given)) AS VARCHAR) AS content FROM {quoted(table)} AS given"


def _written_by(table: str) -> str:
    """PostgreSQL: of the transactions that wrote the versions of the rows; an update is a version by another one."""
    hashed = "hashint8(CAST(CAST(xmin AS text) AS bigint))"
    return f"SELECT CAST(sum({hashed}) AS text) AS content FROM {quoted(table)}"


_AS_THEY_COME = "int2,int4,int8,float4,float8,text,varchar,name,bytea,date,timestamp,timestamptz"


def _key_type(table: str, key: str) -> str:
    """PostgreSQL's name of a type whose values its driver gives, or takes, as another: numeric, uuid, enums, ..."""
    place, name = (text.replace("'", "''") for text in (quoted(table), key))
    return (
        f"SELECT CASE WHEN t.typname = ANY (string_to_array('{_AS_THEY_COME}', ',')) THEN '' "
        "ELSE format_type(a.atttypid, a.atttypmod) END AS kind FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid "
        f"WHERE a.attrelid = CAST('{place}' AS regclass) AND a.attname = '{name}'"
    )


def _content_of(table: str) -> str:
    literal = quoted(table).replace("'", "''")
    return f"SELECT content_of('{literal}') AS content"


def _plain(stand: str) -> str:
    """A state as it goes into a query. Raises DataError for what is none."""
    if not re.fullmatch(r"[0-9,: \-to]*", stand):
        raise DataError(f"{stand!r} is no state of a table; the run directory was changed. Start a new run.")
    return stand


_POSTGRES = Database(
    "ctid",
    "::tid",
    lambda i: f"${i}",
    _snapshot,
    _written_since,
    _postgres,
    _postgres_rows,
    _written_by,
    _postgres_columns,
    "({}) IS TRUE",
    _key_type,
    lends=True,
)
DATABASES: Mapping[str, Database] = {
    "duckdb": Database(
        "rowid",
        "",
        lambda i: f"${i}",
        _row_ids,
        _row_ids_moved,
        _duckdb,
        _duckdb_rows,
        _hashed_rows,
        _duckdb_columns,
    ),
    "postgresql": _POSTGRES,
    "postgres": _POSTGRES,
    "sqlite": Database(
        "rowid",
        "",
        lambda i: f"?{i}",
        _row_ids,
        _row_ids_moved,
        _sqlite,
        _sqlite_rows,
        _content_of,
        _sqlite_columns,
    ),
}
"""Scheme of the URL -> the kind."""
