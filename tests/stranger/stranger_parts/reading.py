"""A connector for NumPy's ``.npz`` files."""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa

from connectors.file_source import FileSource, narrowed, projected
from connectors.location import reading, system
from partitioner.model import Dataset, Fragment, Fragments

BATCH_ROWS = 65_536


@dataclass(frozen=True, slots=True)
class NpzSource(FileSource):
    """One-dimensional arrays of equal length are the columns; a file is a fragment and can be cut by rows."""

    name: ClassVar[str] = "npz"
    extensions: ClassVar[tuple[str, ...]] = (".npz",)

    def describe(self) -> Dataset:
        files = self.files()
        tables = [self._table(info.path) for info in files]
        fragments = [
            Fragment(i, info.path, -1, 0, table.num_rows, table.num_rows, info.size)
            for i, (info, table) in enumerate(zip(files, tables, strict=True))
        ]
        return Dataset(self, Fragments.of(fragments), projected(tables[0].schema, self.columns, files[0].path), "rows")

    def read(self, fragment: Fragment, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        table = self._table(fragment.path)
        wanted = projected(table.schema, narrowed(columns, self.columns, fragment.path), fragment.path)
        rows = table.slice(fragment.start, fragment.stop - fragment.start)
        for batch in rows.to_batches(BATCH_ROWS):
            yield batch.select(wanted.names)

    def _table(self, path: str) -> pa.Table:
        info = self.stat(path)
        with reading(path):
            data = system(path, self.storage_options).read(path, 0, info.size)
        with np.load(io.BytesIO(data)) as arrays:
            return pa.table({name: arrays[name] for name in arrays.files})
