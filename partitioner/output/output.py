"""The rows a run wrote: read only when asked, in input order (unless that was not wanted) however they were packed."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from partitioner.casting import cast_into
from partitioner.errors import ConfigError, MissingDependency
from partitioner.model import CommitRecord
from partitioner.output.arranged import Arrangement
from partitioner.sizes import counted
from partitioner.storage import Directory, read_parquet
from partitioner.store.commits import Records, total

if TYPE_CHECKING:
    import pandas as pd


class Output:
    """The committed output files of one run.

    ``url`` the place of the output; ``records`` one per sub-task in sub-task order; ``rows`` their number; ``schema`` what
    all sub-tasks agreed on, None where nothing was returned; ``arrangement`` where rows were put together by weight. Rows
    come in input order, or, without ``preserve_order``, file by file as they lie there. Iterating gives record batches.
    """

    def __init__(
        self,
        url: str,
        records: Sequence[CommitRecord],
        preserve_order: bool = True,
        schema: pa.Schema | None = None,
        arrangement: Arrangement | None = None,
    ) -> None:
        self.preserve_order = preserve_order
        self._arrangement = arrangement if preserve_order else None
        self.url = url
        self.records = records if isinstance(records, Records) else tuple(records)
        self.rows = total(records, "rows_written")
        self.schema = schema
        self._home = url
        self._paths: list[str] | None = None

    def exported(self, url: str, paths: Sequence[str]) -> Output:
        """The same rows, which lie in another form at ``url``."""
        other = copy.copy(self)
        other.url, other._paths = url, list(paths)
        return other

    def __len__(self) -> int:
        return self.rows

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        for table in self.tables():
            yield from table.to_batches()

    def __repr__(self) -> str:
        return f"Output({self._size} at {self.url!r})"

    @property
    def _size(self) -> str:
        return f"{counted(self.rows, 'row')} in {counted(len(self.paths), 'file')}"

    def _repr_html_(self) -> str:
        """The first rows, as a notebook shows a DataFrame."""
        frame: Any = self.head(10)
        note = f"<p>{self._size} at <code>{self.url}</code></p>"
        return f"{frame._repr_html_()}{note}"

    @property
    def paths(self) -> list[str]:
        """The files, in sub-task order, or in that of the form asked for."""
        return [f"{self._home}/{r.path}" for r in self.records] if self._paths is None else list(self._paths)

    def _pieces(self) -> list[tuple[int, int, int, int]]:
        """(first fragment, file, offset, rows) of every contiguous run of the input, in the order to read them."""
        pieces = []
        for file, record in enumerate(self.records):
            offset = 0
            for fragment, rows in record.segments:
                pieces.append((fragment, file, offset, rows))
                offset += rows
        return sorted(pieces) if self.preserve_order else pieces

    def tables(self) -> Iterator[pa.Table]:
        """The rows in input order, a table per contiguous run of the input, all with the agreed schema."""
        if self._arrangement is not None:
            yield from (self._arranged(group) for group in range(len(self._arrangement.groups)))
            return
        directory = Directory(self._home)
        held: tuple[int, pa.Table] | None = None
        for _, file, offset, rows in self._pieces():
            if not rows:
                continue
            if held is None or held[0] != file:
                held = (file, self._fitted(read_parquet(directory.get(self.records[file].path))))
            yield held[1].slice(offset, rows)

    def _arranged(self, group: int) -> pa.Table:
        """The rows of one group of files that lie between each other in the input."""
        assert self._arrangement is not None
        return self._arrangement.table(group, self._file)

    def _file(self, file: int) -> pa.Table:
        return self._fitted(read_parquet(Directory(self._home).get(self.records[file].path)))

    def _fitted(self, table: pa.Table) -> pa.Table:
        """A file that was committed before the schema widened, in the schema it widened to."""
        table = table.replace_schema_metadata(None)
        if self.schema is None or table.schema.equals(self.schema):
            return table
        return cast_into(table, self.schema)

    def to_table(self) -> pa.Table:
        """All rows in input order, as an Arrow table; in memory."""
        tables = list(self.tables())
        if tables:
            return pa.concat_tables(tables, promote_options="permissive")
        return pa.table({}) if self.schema is None else self.schema.empty_table()

    def to_arrow(self) -> pa.Table:
        """The same as ``to_table``."""
        return self.to_table()

    def to_pandas(self) -> pd.DataFrame:
        """All rows in input order, as a DataFrame; in memory."""
        frame: pd.DataFrame = self.to_table().to_pandas()
        return frame

    def head(self, n: int = 5) -> pd.DataFrame:
        """The first ``n`` rows, reading no more files than hold them."""
        kept: list[pa.Table] = []
        for table in self.tables():
            kept.append(table.slice(0, n - sum(t.num_rows for t in kept)))
            if sum(t.num_rows for t in kept) >= n:
                break
        frame: pd.DataFrame = (pa.concat_tables(kept) if kept else self.to_table()).to_pandas()
        return frame

    def to_polars(self) -> Any:
        """All rows in input order, as a polars DataFrame; in memory. Raises MissingDependency."""
        try:
            import polars
        except ModuleNotFoundError as error:
            raise MissingDependency("to_polars needs polars: pip install 'batch-partitioner[polars]'") from error
        return polars.from_arrow(self.to_table())

    def to_dask(self) -> Any:
        """A lazy Dask DataFrame of one partition per run of the input, in input order; each reads its own file."""
        import dask.dataframe as dd

        pieces: list[Any] = [piece for piece in self._pieces() if piece[3]]
        if self._arrangement is not None:
            pieces = list(range(len(self._arrangement.groups)))
        meta = (pa.table({}) if self.schema is None else self.schema.empty_table()).to_pandas()
        if not pieces:
            return dd.from_pandas(meta, npartitions=1)
        return dd.from_map(_read_piece, [(self, piece) for piece in pieces], meta=meta)

    def to_spark(self, session: Any = None) -> Any:
        """A Spark DataFrame over the files; Spark promises no row order. Needs a session, or an active one.

        Raises ConfigError where there is none, or where the output was widened or written in another form.
        """
        from pyspark.sql import SparkSession

        spark = session or SparkSession.getActiveSession()
        if spark is None:
            raise ConfigError("to_spark needs a SparkSession: give it, or start one before.")
        paths = [f"{self._home}/{r.path}" for r in self.records if r.rows_written]
        if not paths:
            return spark.createDataFrame(self.to_pandas())
        urls = [p if "://" in p else f"file://{p}" for p in paths]
        return spark.read.option("mergeSchema", "true").parquet(*urls)


def _read_piece(given: tuple[Output, Any]) -> Any:
    output, piece = given
    if isinstance(piece, int):
        return output._arranged(piece).to_pandas()
    _, file, offset, rows = piece
    return output._file(file).slice(offset, rows).to_pandas()
