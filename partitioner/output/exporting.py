"""The output in the form that was asked for, where that is not one Parquet file per sub-task; written at the end.

Sub-tasks then commit into the run directory as ever, and this writes their rows in input order: as CSV, JSON lines, Arrow
or Parquet, in files of so many rows or bytes, in ``key=value`` folders, or as one file under the name given. Names and bytes
depend on the rows and settings only, so that writing again after a death gives the same.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import PurePosixPath
from typing import Any

import pyarrow as pa

from partitioner import choices, registry
from partitioner.config import RunConfig
from partitioner.errors import ConfigError, OutputExists, listed, nearest
from partitioner.model.folders import key_folder
from partitioner.output.encoders import ENCODERS
from partitioner.storage import Directory

TABLES = ("delta", "iceberg", "sql")
"""Formats that are tables with transactions of their own; ``mode`` error, append and overwrite are theirs."""

ROWS_PER_FILE = 1_000_000
"""Rows of a file at most where ``rows_per_file`` does not say."""

HELD_BYTES = 256 << 20
"""Rows of partitions that are held in memory before they are written, all together."""

SAMPLE_ROWS = 1000
"""Rows that are encoded to learn what one takes, before the first file of ``bytes_per_file``."""

AIMS = 3
"""Times that one file is encoded at most to come near ``bytes_per_file``; the last one counts."""

NEAR = 0.1
"""Share of ``bytes_per_file`` by which a file may miss it without being encoded again."""

BY_SUFFIX = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".arrow": "arrow", ".feather": "arrow"}
"""Ending of an output's name -> the format of that one file. A name in ``.parquet`` is a folder, as for Spark and Dask."""

BY_SCHEME = {"iceberg": "iceberg", "sqlite": "sql", "duckdb": "sql", "postgresql": "sql", "postgres": "sql"}
"""Scheme of an output's URL -> the table that it means; the table's name follows a ``#`` in databases."""

_REFUSED = (
    *(".tsv", ".json", ".txt", ".xlsx", ".xls", ".html", ".db", ".sqlite"),
    *(".pkl", ".npy", ".npz", ".h5", ".orc", ".avro"),
)
_COMPRESSED = (".gz", ".bz2", ".zst", ".lz4", ".xz", ".zip")


@dataclass(frozen=True, slots=True)
class Form:
    """``format`` of the files, ``single`` file or folder, partition columns in order, rows of a file at most, and the bytes
    that one should have (None: as its rows give)."""

    format: str
    single: bool
    partition_by: tuple[str, ...]
    rows_per_file: int
    bytes_per_file: float | None = None

    @property
    def table(self) -> bool:
        """Whether it is a table, written by its own transaction."""
        return self.format in TABLES


def form_of(config: RunConfig, rows: bool = True) -> Form | None:
    """The form asked for, None where the sub-tasks' own files are it. ConfigError for one that cannot be written."""
    suffix = PurePosixPath(config.output or "").suffix.lower()
    by_name = BY_SCHEME.get((config.output or "").partition("://")[0], BY_SUFFIX.get(suffix))
    if suffix in _REFUSED and config.format is None and by_name is None:
        known = [*BY_SUFFIX, ".parquet"]
        raise ConfigError(
            f"output {config.output} ends in {suffix}, which no format writes; there are {listed(known)} and folders."
            f"{nearest(suffix, known)}"
        )
    if suffix in _COMPRESSED and config.format is None:
        raise ConfigError(
            f"output {config.output} ends in {suffix}, and files are not compressed after they are encoded; leave {suffix} "
            "out, or name a folder: its Parquet files are compressed (zstd) as they are."
        )
    if by_name and config.format not in (None, by_name):
        raise ConfigError(
            f"output {config.output} is named as {by_name}, and format is {config.format}; make them agree."
        )
    if repeated := next((n for n in config.partition_by if config.partition_by.count(n) > 1), None):
        raise ConfigError(f"partition_by names {repeated!r} more than once.")
    if by_name and config.partition_by:
        raise ConfigError(f"partition_by makes folders, and output {config.output} is one file; name a folder.")
    several = config.partition_by or config.rows_per_file or config.bytes_per_file
    several = several or (rows and config.output is not None and restores_rows(config))
    asked = by_name or config.format or ("parquet" if several else None)
    if asked is None or (asked == "parquet" and not several):
        return None
    sized = "bytes_per_file" if config.bytes_per_file else "rows_per_file" if config.rows_per_file else ""
    if sized and (by_name or asked in TABLES):
        raise ConfigError(
            f"{sized} makes files in a folder, and output {config.output} is one {by_name or asked} "
            f"{'table' if asked in TABLES else 'file'}; name a folder, or leave {sized} out."
        )
    if not rows:
        raise ConfigError(
            f"output {config.output} as {asked} is for rows, and the reducer gives one result, which is pickled; name a "
            "folder, without format, partition_by, rows_per_file and bytes_per_file, or leave output out and use "
            "run.result."
        )
    if asked in TABLES and config.output is None:
        raise ConfigError(f"format {asked} needs output=, the place of the table.")
    if asked == "iceberg" and by_name is None:
        raise ConfigError(
            f"output {config.output} is no Iceberg table; write iceberg://namespace.table, and give catalog."
        )
    rows_at_most = config.rows_per_file or (sys.maxsize if config.bytes_per_file else ROWS_PER_FILE)
    return Form(asked, by_name is not None, tuple(config.partition_by), rows_at_most, config.bytes_per_file)


def restores_rows(config: RunConfig) -> bool:
    """Whether neighbouring rows are in different sub-tasks and the output is to hold them in order all the same."""
    return config.preserve_order and bool(choices.choose("splits", config.split).reorders)


def folder_of(config: RunConfig) -> str | None:
    """The folder that a run claims for its output; None where the output is one file, or no place was named."""
    form = form_of(config)
    return None if form is not None and (form.single or form.table) else config.output


def names_on_disk(config: RunConfig) -> tuple[str, ...]:
    """The columns whose values name folders on a disk, where a name has an end; keys of a store may be longer."""
    return () if config.output is None or "://" in config.output else tuple(config.partition_by)


def home_of(config: RunConfig) -> str | None:
    """The folder where the versions of an output lie; None where there are none.

    Of a folder it is the folder itself, of one file a hidden folder beside it. A table has its own versions: only mode
    incremental keeps the rows of the last night, below ``checkpoint``.
    """
    form = form_of(config)
    if config.output is None or form is None or not (form.single or form.table):
        return config.output
    if form.table:
        kept = hashlib.sha256(config.output.encode()).hexdigest()[:16]
        return f"{config.checkpoint}/tables/{kept}" if config.mode == "incremental" else None
    folder, _, name = config.output.rpartition("/")
    return f"{folder}/.{name}.versions"


def check_free_file(config: RunConfig) -> None:
    """Raise OutputExists where the one file that is to be written is there, or the table, in modes error and resume."""
    if config.output is None or folder_of(config) is not None:
        return
    form = form_of(config)
    if form is not None and form.table:
        found = _table_sink(form).there(
            config.output, config.catalog
        )  # asked in all modes: it answers, or says why not
        if config.mode in ("error", "resume") and found:
            raise OutputExists(
                f"the {form.format} table {config.output} is there already; give mode='append' or "
                "mode='overwrite', or name another."
            )
        return
    home, name = parted(config.output)
    if config.mode in ("error", "resume") and home.exists(name):
        raise OutputExists(
            f"output {config.output} is there already; name another file, or remove it; mode='overwrite', 'append' and "
            "'incremental' replace a file that a run wrote."
        )


def _table_sink(form: Form) -> Any:
    return registry.import_ours(f"connectors.{form.format}_sink")


def to_table(form: Form, config: RunConfig, tables: Iterator[pa.Table], schema: pa.Schema | None, run_id: str) -> None:
    """Write the rows by the table's own transaction; nothing where it has those of this run.

    No rows replace those that are there too, in the columns of the table: a run without rows may have none of its own.
    """
    mode = "overwrite" if config.mode == "incremental" else config.mode  # all rows of the version
    with_rows = (table for table in tables if table.num_rows)
    first = next(with_rows, None)
    if first is None and mode == "overwrite":
        schema = _table_sink(form).columns(config.output, config.catalog) or schema
    if schema is None:
        return  # there is no table, and no column to make one of
    tables = with_rows if first is None else chain([first], with_rows)
    known: dict[str, dict[str, Any]] = {
        "delta": {"partition_by": form.partition_by, "options": config.catalog},
        "iceberg": {"catalog": config.catalog},
    }
    options = known.get(form.format, {})
    _table_sink(form).write(config.output, tables, schema, mode, run_id, **options)


def check_columns(config: RunConfig, schema: pa.Schema) -> None:
    """Raise ConfigError where the program returns no such columns as ``partition_by`` can make folders of, and DataError
    where the table that is written to has no place for them."""
    known, form = list(schema.names), form_of(config)
    for name in config.partition_by:
        if name not in known:
            raise ConfigError(
                f"partition_by names {name!r}, which the program does not return; it returns {listed(known)}."
                f"{nearest(name, known)}"
            )
        if name.startswith(("_", ".")) and not (form is not None and form.table):
            raise ConfigError(
                f"partition_by names {name!r}: readers of folders pass over names that begin with '_' or '.', so they would "
                "see none of these rows. Rename the column in the program."
            )
        kind = schema.field(name).type
        if pa.types.is_nested(kind) or "binary" in str(kind):
            raise ConfigError(
                f"partition_by names {name!r}, which is {kind}; folders are named by text, numbers or times."
            )
    if form is not None and form.table:
        _table_sink(form).check(config.output, schema, config.catalog)
    if config.partition_by and len(config.partition_by) == len(known):
        raise ConfigError(
            f"partition_by names all columns that the program returns ({listed(known)}), which leaves none for the "
            "files; leave one out."
        )


def export(form: Form, url: str, tables: Iterator[pa.Table], schema: pa.Schema | None) -> list[str]:
    """Write the rows; the URLs of the files, in order."""
    if form.single:
        return [_one_file(form, url, tables, schema)]
    home = Directory(url)
    written = {}
    for name, _, data in encoded(form, tables, schema):
        home.put(name, data)
        written[name] = len(data)
    listing = {"files": [{"path": name, "bytes": size} for name, size in written.items()]}
    home.put("_manifest.json", json.dumps(listing, indent=1).encode())
    home.put("_SUCCESS", b"")
    return [f"{home.url}/{name}" for name in written]


def _one_file(form: Form, url: str, tables: Iterator[pa.Table], schema: pa.Schema | None) -> str:
    home, name = parted(url)
    whole = list(tables)
    data = ENCODERS[form.format](joined(whole, schema))
    if not home.put_new(name, data) and _digest(home.get(name)) != _digest(data):
        raise OutputExists(f"output {url} was written by someone else in the meantime; name another file and resume.")
    return f"{home.url}/{name}"


def digest_of(url: str) -> dict[str, Any]:
    """The sha256 of one file, by name."""
    home, name = parted(url)
    return {"sha256": _digest(home.get(name))}


def encoded(
    form: Form, tables: Iterator[pa.Table], schema: pa.Schema | None, stem: str = "part"
) -> Iterator[tuple[str, int, bytes]]:
    """Name, rows and content of every file: of each partition, its rows in order, as many at a time as a file takes."""
    ending = "parquet" if form.format == "parquet" else form.format
    cutter, held, count = _Cutter(form), dict[str, list[pa.Table]](), dict[str, int]()
    most = max(HELD_BYTES, 4 * (form.bytes_per_file or 0))

    def written(folder: str, last: bool) -> Iterator[tuple[str, int, bytes]]:
        rest = joined(held.pop(folder), schema)
        while rest.num_rows and (cut := cutter.cut(rest, last)) is not None:
            rows, data = cut
            rest = rest.slice(rows)
            number = count[folder] = count.get(folder, -1) + 1
            yield f"{folder}{stem}-{number:05d}.{ending}", rows, data
        if rest.num_rows:
            held[folder] = [rest]

    for table in tables:
        for folder, rows in _partitions(table, form.partition_by):
            held.setdefault(folder, []).append(rows)
            if sum(t.num_rows for t in held[folder]) >= cutter.enough:
                yield from written(folder, last=False)
        if sum(t.nbytes for parts in held.values() for t in parts) > most:
            for folder in list(held):
                yield from written(folder, last=True)
    for folder in list(held):
        yield from written(folder, last=True)
    if not count and not form.partition_by:
        yield f"{stem}-00000.{ending}", 0, ENCODERS[form.format](joined([], schema))


class _Cutter:
    """Cuts rows into files: so many rows, or as many as take about ``bytes_per_file``, by what those before them took."""

    def __init__(self, form: Form) -> None:
        self._encode, self._form = ENCODERS[form.format], form
        self._row_bytes = 0.0

    @property
    def enough(self) -> int:
        """Rows of the next file, as far as is known."""
        target = self._form.bytes_per_file
        if target is None:
            return self._form.rows_per_file
        wanted = max(1, int(target / self._row_bytes)) if self._row_bytes else SAMPLE_ROWS
        return min(wanted, self._form.rows_per_file)

    def cut(self, rows: pa.Table, last: bool) -> tuple[int, bytes] | None:
        """How many of the rows the next file holds, and its bytes; None to wait for more, which the ``last`` do not."""
        if self._form.bytes_per_file is None:
            return self._whole(rows, last)
        if not self._row_bytes and (last or rows.num_rows >= SAMPLE_ROWS):
            sample = rows.slice(0, SAMPLE_ROWS)
            self._row_bytes = max(len(self._encode(sample)) / sample.num_rows, 1e-9)
        for aim in range(AIMS):
            found = self._whole(rows, last)
            if found is None:
                return None
            count, data = found
            self._row_bytes = len(data) / count
            off = len(data) / self._form.bytes_per_file - 1
            all_there_is = off < 0 and last and count == rows.num_rows
            if abs(off) <= NEAR or self.enough == count or all_there_is or aim == AIMS - 1:
                return found
        raise AssertionError("the last aim counts")

    def _whole(self, rows: pa.Table, last: bool) -> tuple[int, bytes] | None:
        if rows.num_rows < self.enough and not last:
            return None
        count = min(self.enough, rows.num_rows)
        return count, self._encode(rows.slice(0, count))


def joined(tables: Sequence[pa.Table], schema: pa.Schema | None) -> pa.Table:
    """All rows as one table of one chunk."""
    if not tables:
        return (schema or pa.schema([])).empty_table()
    return pa.concat_tables(tables, promote_options="permissive").combine_chunks()


def _partitions(table: pa.Table, by: Sequence[str]) -> Iterator[tuple[str, pa.Table]]:
    """The rows of a table by the values of ``by``, each with its folder and without these columns, order kept."""
    if not by:
        yield "", table
        return
    rows: dict[tuple[Any, ...], list[int]] = {}
    for i, key in enumerate(zip(*(table[name].to_pylist() for name in by), strict=True)):
        rows.setdefault(key, []).append(i)
    rest = table.drop_columns(list(by))
    for key, places in rows.items():
        folder = "".join(f"{key_folder(n, v)}/" for n, v in zip(by, key, strict=True))
        yield folder, rest.take(pa.array(places, pa.int64()))


def parted(url: str) -> tuple[Directory, str]:
    """The folder of a file, and its name there."""
    folder, _, name = url.rpartition("/")
    return Directory(folder), name


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
