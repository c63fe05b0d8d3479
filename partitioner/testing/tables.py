"""A boring source: one Arrow table in memory, in fragments of rows. It reads exactly what it is asked for, and counts it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa

from partitioner.errors import DataError
from partitioner.model import Dataset, Fragment, Fragments
from partitioner.model.source import Source


class TableSource(Source):
    """A source over an Arrow table in memory: fragments are row ranges. It counts what is read, by column."""

    name = "table"

    def __init__(self, table: pa.Table, features: dict[str, list[float]] | None = None) -> None:
        self.table = table
        self.features = features or {}
        self.reads: list[tuple[int, int, tuple[str, ...] | None]] = []

    def dataset(self, lengths: Sequence[int], paths: Sequence[str] | None = None, known: bool = True) -> Dataset:
        """Fragments of ``lengths`` rows each; row counts are hidden (-1) unless ``known``."""
        stops = np.cumsum(lengths)
        fragments = [
            Fragment(
                i,
                paths[i] if paths else f"part-{i}",
                -1,
                int(stop - n),
                int(stop),
                int(n) if known else -1,
                int(self.table.slice(int(stop - n), int(n)).nbytes),
                {name: float(values[i]) for name, values in self.features.items()},
            )
            for i, (n, stop) in enumerate(zip(lengths, stops, strict=True))
        ]
        return Dataset(self, Fragments.of(fragments), self.table.schema, "rows")

    def pieces(self, rows: int) -> Dataset:
        """Fragments of ``rows`` rows, and what is left."""
        count = self.table.num_rows
        return self.dataset([min(rows, count - first) for first in range(0, count, rows)])

    def describe(self) -> Dataset:
        """The whole table as one fragment."""
        return self.dataset([self.table.num_rows])

    def read(self, fragment: Fragment, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """The rows of one fragment; DataError for a column that is not there."""
        self.reads.append((fragment.start, fragment.stop, None if columns is None else tuple(columns)))
        missing = [c for c in columns or () if c not in self.table.column_names]
        if missing:
            raise DataError(f"no column {missing[0]!r}; there are {', '.join(self.table.column_names)}.")
        part = self.table.slice(fragment.start, fragment.stop - fragment.start)
        yield from (part if columns is None else part.select(list(columns))).to_batches()

    def fingerprint(self, fragment: Fragment) -> str:
        """As ``fingerprints``."""
        return self.fingerprints()["table"]

    def fingerprints(self) -> dict[str, str]:
        """Of the table's shape, which never changes."""
        return {"table": f"{self.table.num_rows}x{self.table.num_columns}"}
