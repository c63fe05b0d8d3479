"""A table of a database: fragments are key ranges of equal rows, however the keys lie, read on the workers.

Ranges of equal width (what Spark's JDBC source makes) are of very unequal rows where keys have holes or crowd together.
Here the database ranks the keys once, and boundaries are taken at every so many rows; a single key that has more rows than
a range is divided by the place of its rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from connectors.databases import connected, database, quoted, rows_of, shown
from connectors.file_source import BATCH_ROWS, narrowed, projected
from partitioner.errors import ConfigError, DataError
from partitioner.model import Dataset, Fragment, Fragments
from partitioner.model.source import Source

SAMPLE = 1000
"""Rows that tell the types, and the bytes of a row."""


@dataclass(frozen=True, slots=True)
class Range:
    """Rows whose key is at least ``low`` and below ``high`` (None: no bound), or equal to ``low`` from one place to another.

    ``rows`` of it; ``null`` where it is the rows without a key; ``places`` half-open, as the database writes them.
    """

    rows: int
    low: Any = None
    high: Any = None
    null: bool = False
    single: bool = False
    places: tuple[Any, Any] = (None, None)


@dataclass(frozen=True, slots=True)
class SqlSource(Source):
    """``table`` (or ``schema.table``) of the database at ``url``: ``sqlite:///file.db``, ``duckdb:///file.db`` or
    ``postgresql://host/database``, cut by the column ``key`` into about ``ranges`` fragments.

    Credentials come from the database's own environment (``PGUSER``, ``PGPASSWORD``, ``~/.pgpass``) or the URL, which is
    never shown. Rows come in the order of the key. DuckDB and PostgreSQL need the extra ``sql``.
    """

    url: str = field(repr=False)
    table: str = ""
    key: str = ""
    columns: Sequence[str] | None = None
    ranges: int = 256
    schema: pa.Schema | None = field(default=None, repr=False)
    known: tuple[Range, ...] = field(default=(), repr=False)
    bound: tuple[str, Any] | None = field(default=None, repr=False)

    name: ClassVar[str] = "sql"

    def __post_init__(self) -> None:
        database(self.url)
        if not self.table or not self.key:
            raise ConfigError(
                "connector sql needs a table and its key: {connector: sql, path: <url>, table: t, key: id}."
            )
        if self.ranges < 1:
            raise ConfigError(f"ranges is {self.ranges}; it is at least 1.")
        if self.columns is not None:
            object.__setattr__(self, "columns", tuple(self.columns))

    def above(self, column: str, bound: Any) -> SqlSource:
        """The rows that the database finds above the bound, or null there, in ranges of their own."""
        return replace(self, bound=(column, bound), known=())

    def _also(self, values: list[Any]) -> str:
        """The rows above the bound as SQL, its value added to ``values``; empty where there is none."""
        if self.bound is None:
            return ""
        column = quoted(self.bound[0])
        values.append(self.bound[1])
        return f" AND ({column} > {database(self.url).mark(len(values))} OR {column} IS NULL)"

    @property
    def _shown(self) -> str:
        return shown(self.url, self.table)

    def describe(self) -> Dataset:
        """Fragments of equal rows, from one ranking of the key by the database. DataError for a missing table or column."""
        source = self if self.known and self.schema is not None else self._looked()
        assert source.schema is not None, "it was looked at"
        rows = np.array([r.rows for r in source.known], np.int64)
        n, per_row = len(rows), self._row_bytes(source.schema)
        fragments = Fragments(
            paths=(self._shown,),
            path_index=np.zeros(n, np.int32),
            section=np.arange(n, dtype=np.int32),
            start=np.zeros(n, np.int64),
            stop=rows,
            rows=rows,
            bytes=(rows * per_row).astype(np.int64),
        )
        return Dataset(source, fragments, projected(source.schema, self.columns, self._shown), None)

    def read(self, fragment: Fragment, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """The rows of one range, in the order of the key."""
        source = self if self.known and self.schema is not None else self._looked()
        assert source.schema is not None, "it was looked at"
        wanted = narrowed(columns, self.columns, self._shown)
        schema = projected(source.schema, wanted, self._shown)
        kind, part = database(self.url), source.known[fragment.section]
        condition, values = self._condition(part)
        names = ", ".join(map(quoted, schema.names)) or "1"
        order = f"{quoted(self.key)}, {kind.row}"
        condition += self._also(values)
        query = f"SELECT {names} FROM {quoted(self.table)} WHERE {condition} ORDER BY {order}"
        with connected(self.url) as connection:
            for batch in rows_of(connection, self.url, query, values):
                for at in range(0, batch.num_rows, BATCH_ROWS):
                    yield self._fitted(batch.slice(at, BATCH_ROWS), schema)

    def _fitted(self, batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
        if not len(schema):
            return batch.select([])
        try:
            return pa.RecordBatch.from_arrays([batch.column(f.name).cast(f.type) for f in schema], schema=schema)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError) as error:
            raise DataError(
                f"{self._shown} holds a value that does not fit the type of its column: {str(error).partition(chr(10))[0]}. "
                "Give the types with schema=, or mend the row."
            ) from error

    def fingerprints(self) -> dict[str, str]:
        """The table under its name: rows, least and greatest key."""
        key, table = quoted(self.key), quoted(self.table)
        (row,) = self._asked(f"SELECT count(*) AS n, min({key}) AS low, max({key}) AS high FROM {table}")
        return {self._shown: f"{row['n']} rows, {row['low']} to {row['high']}"}

    def _asked(self, query: str, values: Sequence[Any] = ()) -> list[dict[str, Any]]:
        with connected(self.url) as connection:
            return [row for batch in rows_of(connection, self.url, query, values) for row in batch.to_pylist()]

    def _looked(self) -> SqlSource:
        """This source with its schema and ranges."""
        with connected(self.url) as connection:
            query = f"SELECT * FROM {quoted(self.table)} LIMIT {SAMPLE}"
            batches = list(rows_of(connection, self.url, query))
        if self.schema is None and not batches:
            raise DataError(f"{self._shown} has no rows that would tell its types; give schema=.")
        schema = self.schema or _settled(batches[0].schema)
        projected(schema, [self.key], self._shown)
        return replace(self, schema=schema, known=tuple(self._ranges()))

    def _row_bytes(self, schema: pa.Schema) -> float:
        """A rough figure: eight bytes a value, and what texts have on average is not asked for."""
        return 8.0 * max(len(schema), 1)

    def _ranges(self) -> list[Range]:
        key, table, kind = quoted(self.key), quoted(self.table), database(self.url)
        values: list[Any] = []
        also = self._also(values)
        query = f"SELECT count(*) AS n, count({key}) AS k FROM {table} WHERE 1 = 1{also}"
        (counts,) = self._asked(query, values)
        step = max(-(-int(counts["k"]) // self.ranges), 1)
        ranked = (
            f"SELECT {key} AS k, row_number() OVER (ORDER BY {key}) AS r, rank() OVER (ORDER BY {key}) AS f "
            f"FROM {table} WHERE {key} IS NOT NULL{also}"
        )
        query = f"SELECT k, min(f) AS f FROM ({ranked}) AS ranked WHERE (r - 1) % {step} = 0 GROUP BY k ORDER BY k"
        starts = [(row["k"], int(row["f"]) - 1) for row in self._asked(query, values)]
        ends = [*starts[1:], (None, int(counts["k"]))] if starts else []
        found = []
        for (low, first), (high, last) in zip(starts, ends, strict=True):
            whole = Range(last - first, low, high)
            found += self._divided(whole, step, kind.row) if last - first > step else [whole]
        missing = int(counts["n"]) - int(counts["k"])
        return [*([Range(missing, null=True)] if missing else []), *found]

    def _divided(self, whole: Range, step: int, row: str) -> list[Range]:
        """A range that is too large because its first key has many rows: these by their places, and what comes after."""
        key, table, mark = quoted(self.key), quoted(self.table), database(self.url).mark(1)
        text = f"CAST({row} AS VARCHAR)" if database(self.url).cast_row else row
        values = [whole.low]
        also = self._also(values)
        there = f"FROM {table} WHERE {key} = {mark}{also}"
        ranked = f"SELECT {row} AS p, {text} AS t, row_number() OVER (ORDER BY {row}) AS r {there}"
        query = f"SELECT t, r FROM ({ranked}) AS ranked WHERE (r - 1) % {step} = 0 ORDER BY r"
        (count,) = self._asked(f"SELECT count(*) AS n {there}", values)
        places = [row["t"] for row in self._asked(query, values)]
        equal = int(count["n"])
        sizes = [min(step, equal - i * step) for i in range(len(places))]
        bounds = zip(places, [*places[1:], None], sizes, strict=True)
        hot = [Range(size, whole.low, single=True, places=(low, high)) for low, high, size in bounds]
        rest = whole.rows - equal
        return [*hot, *([Range(rest, whole.low, whole.high, places=("after", None))] if rest else [])]

    def _condition(self, part: Range) -> tuple[str, list[Any]]:
        """The rows of a range as SQL, with its values."""
        key, kind = quoted(self.key), database(self.url)
        if part.null:
            return f"{key} IS NULL", []
        values = [part.low]
        if part.single:
            terms = [f"{key} = {kind.mark(1)}"]
            for sign, place in zip((">=", "<"), part.places, strict=True):
                if place is not None:
                    values.append(place)
                    terms.append(f"{kind.row} {sign} {kind.mark(len(values))}{kind.cast_row}")
            return " AND ".join(terms), values
        terms = [f"{key} {'>' if part.places[0] == 'after' else '>='} {kind.mark(1)}"]
        if part.high is not None:
            values.append(part.high)
            terms.append(f"{key} < {kind.mark(2)}")
        return " AND ".join(terms), values


def _settled(schema: pa.Schema) -> pa.Schema:
    """What is null in all rows of the sample is text."""
    kinds = [pa.string() if pa.types.is_null(f.type) else f.type for f in schema]
    return pa.schema([pa.field(name, kind) for name, kind in zip(schema.names, kinds, strict=True)])
