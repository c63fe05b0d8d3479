"""The rows a run wrote: read only when asked, in input order (unless that was not wanted) however they were packed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import pyarrow as pa

from partitioner.model import CommitRecord
from partitioner.storage import Directory, read_parquet

if TYPE_CHECKING:
    import pandas as pd


class Output:
    """The committed output files of one run.

    ``url`` their directory; ``records`` one per sub-task in sub-task order; ``rows`` their number. Rows come in input order,
    or, without ``preserve_order``, file by file as they lie there.
    """

    def __init__(self, url: str, records: Sequence[CommitRecord], preserve_order: bool = True) -> None:
        self.preserve_order = preserve_order
        self.url = url
        self.records = tuple(records)
        self.rows = sum(r.rows_written for r in records)

    def __len__(self) -> int:
        return self.rows

    def __repr__(self) -> str:
        return f"Output({self.rows} rows in {len(self.records)} files at {self.url!r})"

    @property
    def paths(self) -> list[str]:
        """The files, in sub-task order."""
        return [f"{self.url}/{r.path}" for r in self.records]

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
        """The rows in input order, a table per contiguous run of the input."""
        directory = Directory(self.url)
        held: tuple[int, pa.Table] | None = None
        for _, file, offset, rows in self._pieces():
            if not rows:
                continue
            if held is None or held[0] != file:
                held = (file, read_parquet(directory.get(self.records[file].path)))
            yield held[1].slice(offset, rows)

    def to_table(self) -> pa.Table:
        """All rows in input order, as an Arrow table; in memory."""
        tables = [t.replace_schema_metadata(None) for t in self.tables()]
        return pa.concat_tables(tables, promote_options="permissive") if tables else pa.table({})

    def to_pandas(self) -> pd.DataFrame:
        """All rows in input order, as a DataFrame; in memory."""
        frame: pd.DataFrame = self.to_table().to_pandas()
        return frame
