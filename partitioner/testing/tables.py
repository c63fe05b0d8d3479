"""A boring source: one Arrow table in memory, in fragments of equal rows. It reads exactly what it is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa

from partitioner.model import Dataset, Fragment, Fragments
from partitioner.model.source import Source


@dataclass(frozen=True, eq=False)
class TableSource(Source):
    """Reads ranges of rows of ``table``; ``fragment_rows`` in each but the last."""

    table: pa.Table
    fragment_rows: int

    name: ClassVar[str] = "table"

    def describe(self) -> Dataset:
        """Eight bytes a row and column, cut by rows."""
        start = np.arange(0, self.table.num_rows, self.fragment_rows)
        stop = np.minimum(start + self.fragment_rows, self.table.num_rows)
        zeros, rows = np.zeros(len(start), np.int32), stop - start
        size = rows * 8 * self.table.num_columns
        return Dataset(self, Fragments(("table",), zeros, zeros, start, stop, rows, size), self.table.schema, "rows")

    def read(self, fragment: Fragment, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """Rows ``start`` to ``stop``."""
        rows = self.table.slice(fragment.start, fragment.stop - fragment.start).combine_chunks()
        yield from (rows if columns is None else rows.select(list(columns))).to_batches()

    def fingerprint(self, fragment: Fragment) -> str:
        """Never changes."""
        return "0"

    def fingerprints(self) -> dict[str, str]:
        """Of the one table."""
        return {"table": "0"}
