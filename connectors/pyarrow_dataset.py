"""A ``pyarrow.dataset.Dataset``: its fragments are its row groups, or its files where the format has no groups."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from connectors.file_source import BATCH_ROWS, narrowed, projected
from partitioner.errors import DataError
from partitioner.frames import TORN
from partitioner.model import Dataset, Fragment, Fragments
from partitioner.model.naming import column_names
from partitioner.model.source import Source


@dataclass(frozen=True, slots=True, eq=False)
class ArrowDatasetSource(Source):
    """The rows of a dataset of pyarrow's, with its schema: what a file lacks is null, what is narrower is cast, and
    partition columns come from where pyarrow takes them. ``columns`` limits it. It travels to workers by pickle, so its file
    system must be reachable from there.
    """

    dataset: Any = field(repr=False)
    columns: Sequence[str] | None = None

    name: ClassVar[str] = "pyarrow_dataset"

    def __post_init__(self) -> None:
        if self.columns is not None:
            object.__setattr__(self, "columns", column_names(self.columns))

    def describe(self) -> Dataset:
        """One fragment per row group or file that has rows. DataError for a dataset in memory without fragments of files."""
        try:
            parts = list(enumerate(self.dataset.get_fragments()))
        except ValueError as error:  # pyarrow does not say the parts of a dataset with a filter
            raise DataError(
                f"The dataset given has no fragments of its own: {error} Give the dataset as it was before .filter(...), "
                "and the condition as filter=."
            ) from error
        schema = projected(self.dataset.schema, self.columns, "the dataset given")
        lines = [line for i, part in parts for line in _lines(i, part)]
        paths = tuple(_path(i, part) for i, part in parts)
        columns = [np.array([line[k] for line in lines], np.int64) for k in range(4)]
        file, section, rows, size = columns if lines else [np.empty(0, np.int64)] * 4
        fragments = Fragments(
            paths=paths,
            path_index=file.astype(np.int32),
            section=section.astype(np.int32),
            start=np.zeros(len(lines), np.int64),
            stop=rows,
            rows=rows,
            bytes=size,
        )
        return Dataset(self, fragments, schema, "rows")

    def read(self, fragment: Fragment, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """Rows ``[start, stop)``; those before ``start`` are decoded too, and dropped."""
        wanted = narrowed(columns, self.columns, fragment.path)
        schema = projected(self.dataset.schema, wanted, fragment.path)
        part = self._part(fragment)
        at = 0
        for batch in part.to_batches(schema=self.dataset.schema, columns=schema.names, batch_size=BATCH_ROWS):
            low, high = max(fragment.start - at, 0), min(fragment.stop - at, batch.num_rows)
            at += batch.num_rows
            if low < high:
                yield batch.slice(low, high - low)
            if at >= fragment.stop:
                return

    def _part(self, fragment: Fragment) -> Any:
        for i, part in enumerate(self.dataset.get_fragments()):
            if _path(i, part) == fragment.path:
                return part if fragment.section < 0 else part.subset(row_group_ids=[fragment.section])
        raise DataError(f"{fragment.path} is no longer in the dataset given; plan again.")

    def fingerprints(self) -> dict[str, str]:
        """Path to size and modification time where pyarrow's file system says them, else rows."""
        return {_path(i, part): _tag(part) for i, part in enumerate(self.dataset.get_fragments())}


def _path(i: int, part: Any) -> str:
    return str(part.path) if _of_file(part) else f"dataset fragment {i}"


def _of_file(part: Any) -> bool:
    import pyarrow.dataset as ds

    return isinstance(part, ds.FileFragment)


def _lines(i: int, part: Any) -> list[tuple[int, int, int, int]]:
    """(file, row group or -1, rows, bytes) of what has rows."""
    import pyarrow.dataset as ds

    try:
        if isinstance(part, ds.ParquetFileFragment):
            return [(i, g.id, g.num_rows, g.total_byte_size) for g in part.row_groups if g.num_rows]
        rows = part.count_rows()
    except TORN as error:
        raise DataError(
            f"Cannot read {_path(i, part)}: {str(error).partition(chr(10))[0]}. Restore that file."
        ) from error
    size = part.filesystem.get_file_info(part.path).size if _of_file(part) and part.filesystem else None
    return [(i, -1, rows, int(size or rows))] if rows else []


def _tag(part: Any) -> str:
    if not _of_file(part) or part.filesystem is None:
        return f"{part.count_rows()} rows"
    info = part.filesystem.get_file_info(part.path)
    return f"{info.size}-{info.mtime_ns}"
