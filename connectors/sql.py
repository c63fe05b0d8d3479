"""A table of a database: fragments are key ranges of equal rows, however the keys lie, read on the workers.

Ranges of equal width (what Spark's JDBC source makes) are of very unequal rows where keys have holes or crowd together.
Here every range has the same rows (``connectors.key_ranges``), also where one key has many of them. The ranges of a run are
kept in its directory, so that a resume works on the same ones; and rows whose place is part of a range are not read once
they changed, for their place did too.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from connectors.databases import ANYTHING, column, connected, database, lent, quoted, rows_of, shown
from connectors.file_source import BATCH_ROWS, narrowed, projected
from connectors.key_ranges import Range, decoded, encoded, ranges_of
from partitioner.casting import Misfit, cast_into
from partitioner.errors import ConfigError, DataError
from partitioner.model import Dataset, Fragment, Fragments
from partitioner.model.naming import column_names
from partitioner.model.source import Source
from partitioner.storage import Directory, read_parquet

SAMPLE = 1000
"""Rows that tell the types, and the bytes of a row."""


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
    stand: str = field(default="", repr=False)
    cast: str = field(default="", repr=False)

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
            object.__setattr__(self, "columns", column_names(self.columns))

    def above(self, column: str, bound: Any) -> SqlSource:
        """The rows that the database finds above the bound, or null there, in ranges of their own."""
        return replace(self, bound=(column, bound), known=(), stand="")

    def _also(self, values: list[Any]) -> str:
        """The rows above the bound as SQL, its value added to ``values``; empty where there is none."""
        if self.bound is None:
            return ""
        bound = column(self.bound[0])
        values.append(self.bound[1])
        return f" AND ({bound} > {database(self.url).mark(len(values))} OR {bound} IS NULL)"

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
        names = [column(name) for name in schema.names]
        names += [kind.moved(self.table, source.stand)] if part.by_place else []
        select = f"SELECT {', '.join(names) or '1'} FROM {quoted(self.table)}"
        with lent(self.url) as connection:
            for condition, values in part.conditions(self.key, kind, source.cast):
                query = f"{select} WHERE {condition}{self._also(values)} ORDER BY {column(self.key)}, {kind.row}"
                for batch in rows_of(connection, self.url, query, values):
                    kept = self._in_place(batch, part) if part.by_place else batch
                    for at in range(0, kept.num_rows, BATCH_ROWS):
                        yield self._fitted(kept.slice(at, BATCH_ROWS), schema)

    def _in_place(self, batch: pa.RecordBatch, part: Range) -> pa.RecordBatch:
        """The batch without its last column, which says whether a row may have moved. Raises DataError where one has."""
        last = batch.num_columns - 1
        if pc.any(batch.column(last).cast(pa.bool_())).as_py():
            key = "no key" if part.null else f"the key {part.low!r}"
            raise DataError(
                f"{self._shown} has changed since its ranges were made: rows of {key}, of which there are more than a range "
                "holds, are told apart by their places, and these moved. Start a new run; for a table that changes "
                "meanwhile, name a key with a value of its own for each row."
            )
        return batch.select(range(last))

    def _fitted(self, batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
        try:
            return cast_into(batch, schema)
        except Misfit as error:
            raise DataError(
                f"{self._shown} holds a value that does not fit the type of its column: {error.why}. "
                "Give the types with schema=, or mend the row."
            ) from error

    def fingerprints(self) -> dict[str, str]:
        """The table under its name: rows, least and greatest key, and a figure that an update of any row changes."""
        key, table = column(self.key), quoted(self.table)
        key = f"CAST({key} AS text)" if self.cast or self._key_cast() else key
        (row,) = self._asked(f"SELECT count(*) AS n, min({key}) AS low, max({key}) AS high FROM {table}")
        (state,) = self._asked(database(self.url).content(self.table))
        return {self._shown: f"{row['n']} rows, {row['low']} to {row['high']}, content {state['content']}"}

    def tells_changes(self) -> bool:
        """No: the content of a table says that it changed, and not which rows did."""
        return False

    def _asked(self, query: str, values: Sequence[Any] = ()) -> list[dict[str, Any]]:
        with connected(self.url) as connection:
            return [row for batch in rows_of(connection, self.url, query, values) for row in batch.to_pylist()]

    def materialise(self, directory: str) -> SqlSource:
        """This source with the ranges that are kept below ``directory``, where they are written the first time."""
        digest = hashlib.sha256(f"{self._shown} {self.key} {self.ranges}".encode()).hexdigest()
        files, name = Directory(directory), f"ranges-{digest[:16]}.parquet"
        if not files.exists(name):
            source = self if self.known and self.schema is not None else self._looked()
            assert source.schema is not None, "it was looked at"
            facts = {"schema": source.schema.serialize().to_pybytes(), "stand": source.stand.encode()}
            facts["cast"] = source.cast.encode()
            buffer = io.BytesIO()
            pq.write_table(encoded(source.known).replace_schema_metadata(facts), buffer)
            files.put_new(name, buffer.getvalue())
        kept = read_parquet(files.get(name))
        facts = kept.schema.metadata
        schema = pa.ipc.read_schema(pa.py_buffer(facts[b"schema"]))
        told = {"stand": facts[b"stand"].decode(), "cast": facts.get(b"cast", b"").decode()}
        return replace(self, schema=schema, known=decoded(kept), **told)

    def _looked(self) -> SqlSource:
        """This source with its schema and ranges."""
        with connected(self.url) as connection:
            query = f"SELECT * FROM {quoted(self.table)} LIMIT {SAMPLE}"
            batches = list(rows_of(connection, self.url, query))
            declared = database(self.url).columns(connection, self.table)
        schema = self.schema or _settled(batches[0].schema if batches else declared, declared)
        projected(schema, [self.key], self._shown)
        kind = database(self.url)
        self._check_places(kind.row)
        # First, so that what changes from here on is noticed.
        (before,) = self._asked(f"SELECT {kind.stand(self.table)} AS stand")
        cast = self._key_cast()
        known = tuple(ranges_of(self.table, self.key, self.ranges, kind, self._asked, self._also, cast))
        return replace(self, schema=schema, known=known, stand=before["stand"], cast=cast)

    def _key_cast(self) -> str:
        """The type that values of the key are cast to; empty where they are as they come."""
        query = database(self.url).cast_key
        return "" if query is None else str(self._asked(query(self.table, self.key))[0]["kind"])

    def _check_places(self, row: str) -> None:
        """Raise DataError for what the database tells no rows of apart: a view, or a table without row numbers."""
        try:
            self._asked(f"SELECT {row} FROM {quoted(self.table)} LIMIT 1")
        except DataError as error:
            if row not in str(error):
                raise
            raise DataError(
                f"{self._shown} has no {row}, by which rows of one key are told apart: it is a view, or a table without row "
                "numbers. Make a table of it (CREATE TABLE ... AS SELECT ..., a materialized view in PostgreSQL); give it."
            ) from error

    def _row_bytes(self, schema: pa.Schema) -> float:
        """A rough figure: eight bytes a value, and what texts have on average is not asked for."""
        return 8.0 * max(len(schema), 1)


def _settled(schema: pa.Schema, declared: pa.Schema) -> pa.Schema:
    """What is null in all rows of the sample is of the type that was declared, and text where none was."""
    told = {f.name: pa.string() if f.type == ANYTHING else f.type for f in declared}
    kinds = [
        told.get(f.name, pa.string()) if pa.types.is_null(f.type) or f.type == ANYTHING else f.type for f in schema
    ]
    return pa.schema([pa.field(name, kind) for name, kind in zip(schema.names, kinds, strict=True)])
