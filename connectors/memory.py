"""Data in memory: pandas, Arrow, numpy, dicts, and scikit-learn's bundled sets; fragments are row ranges.

Data does not travel through the driver's messages: the pipeline calls ``materialise`` and workers read the Parquet file.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from connectors.arrays import as_table
from connectors.file_source import BATCH_ROWS, narrowed, projected
from connectors.parquet import ParquetSource
from connectors.plain_value import Hashing
from partitioner.errors import DataError, clause
from partitioner.model import Dataset, Fragment, Fragments
from partitioner.model.naming import column_names
from partitioner.model.source import Source
from partitioner.storage import Directory

GROUPS = 64
"""Row ranges (and row groups of the materialised file) at most, where each then holds no more than ``BATCH_ROWS``."""


@dataclass(frozen=True, slots=True, eq=False)
class MemorySource(Source):
    """A table held by this process.

    ``data``: a pandas DataFrame, an Arrow Table or RecordBatch, a numpy array (first axis rows), a mapping of column to
    array, a list of dicts, a scikit-learn Bunch, or ``sklearn://<name>`` of a bundled set; see ``connectors.arrays``
    for the columns each gives. ``layout`` of a two-dimensional feature matrix: ``"vector"`` keeps one fixed-size-list
    column, ``"columns"`` makes one column per feature.
    """

    data: Any = field(repr=False)
    columns: Sequence[str] | None = None
    layout: str = "vector"
    table: pa.Table = field(init=False, repr=False)

    name: ClassVar[str] = "memory"

    def __post_init__(self) -> None:
        table = as_table(self.data, self.layout)
        if self.columns is not None:
            object.__setattr__(self, "columns", column_names(self.columns))
        kept = projected(table.schema, self.columns, "the data given")
        object.__setattr__(self, "table", table.select(kept.names))
        object.__setattr__(self, "data", None)

    @property
    def group_rows(self) -> int:
        """Rows of a fragment: 64 fragments, of at most 65,536 rows each."""
        return int(np.clip(-(-self.table.num_rows // GROUPS), 1, BATCH_ROWS))

    def describe(self) -> Dataset:
        """Row ranges, with bytes shared out by rows and ``bytes:<column>`` of each."""
        start = np.arange(0, self.table.num_rows, self.group_rows, dtype=np.int64)
        stop = np.minimum(start + self.group_rows, self.table.num_rows)
        n, total = len(start), max(self.table.num_rows, 1)
        per_row = {c: self.table[c].nbytes / total for c in self.table.column_names}
        fragments = Fragments(
            paths=("memory",),
            path_index=np.zeros(n, np.int32),
            section=np.full(n, -1, np.int32),
            start=start,
            stop=stop,
            rows=stop - start,
            bytes=np.asarray((stop - start) * sum(per_row.values()), np.int64),
            features={f"bytes:{c}": (stop - start) * b for c, b in per_row.items()},
        )
        return Dataset(self, fragments, self.table.schema, "rows")

    def read(self, fragment: Fragment, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """Rows ``[start, stop)``. Raises DataError for a missing column."""
        wanted = narrowed(columns, self.columns, "the data given")
        names = projected(self.table.schema, wanted, "the data given").names
        rows = self.table.select(names).slice(fragment.start, fragment.stop - fragment.start)
        yield from (b for b in rows.to_batches(max_chunksize=BATCH_ROWS) if b.num_rows)

    def fingerprint(self, fragment: Fragment) -> str:
        """A digest of the whole table: schema and content."""
        return self.digest

    def fingerprints(self) -> dict[str, str]:
        """The digest under the one path, ``memory``."""
        return {"memory": self.digest}

    @property
    def digest(self) -> str:
        """sha256 of the table in Arrow's stream format, in one chunking whatever the data came in."""
        sha = hashlib.sha256()
        table = self.table.replace_schema_metadata(None).combine_chunks()
        with pa.ipc.new_stream(Hashing(sha.update), table.schema) as writer:
            writer.write_table(table, max_chunksize=BATCH_ROWS)
        return sha.hexdigest()

    def materialise(self, directory: str | Path) -> ParquetSource:
        """The same rows, order and schema as a Parquet file in ``directory`` (a path or URL), to be read by reference.

        The file is named by the digest of its content, so that writing the same data again, or resuming, finds it.
        """
        home = Directory(directory)
        file = f"input-{self.digest[:16]}.parquet"
        if not home.exists(file):
            home.put_new(file, self._parquet())
        return ParquetSource(f"{home.url}/{file}")

    def _parquet(self) -> bytes:
        # Dictionaries pay for repeated text; numbers they only slow down, and they hide how many bytes a row has.
        text = [f.name for f in self.table.schema if pa.types.is_string(f.type) or pa.types.is_large_string(f.type)]
        options = {"compression": "zstd", "compression_level": 1, "use_dictionary": text}
        buffer = io.BytesIO()
        try:
            pq.write_table(self.table, buffer, row_group_size=self.group_rows, **options)
        except pa.ArrowException as error:
            raise DataError(
                f"The data given cannot be written as Parquet for the workers: {clause(error)}. Convert the column it names."
            ) from error
        return buffer.getvalue()
