"""Arrow IPC files and streams (Feather 2, what Hugging Face's ``save_to_disk`` writes): files are fragments, cut by rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa

from connectors.file_source import BATCH_ROWS, FileSource, narrowed, projected
from connectors.listing import in_threads
from connectors.location import Options, open_file, reading
from connectors.systems import FileInfo
from partitioner.errors import DataError
from partitioner.frames import TORN
from partitioner.model import Dataset, Fragment, Fragments

_MAGIC = b"ARROW1"


@dataclass(frozen=True, slots=True)
class IpcSource(FileSource):
    """Record batches as they lie in the files: local ones are mapped into memory, so that describing them reads little.

    All files have the columns and types of the first.
    """

    name: ClassVar[str] = "ipc"
    extensions: ClassVar[tuple[str, ...]] = (".arrow", ".feather", ".ipc")

    def describe(self) -> Dataset:
        """A fragment per file that has rows. DataError naming the file that is corrupt or of another schema."""
        files = self.files()
        found = in_threads(lambda info: _measured(info, self.storage_options), files, self.remote)
        first = next((own for own, rows, _ in found if rows), found[0][0])
        for info, (own, filled, _) in zip(files, found, strict=True):
            if filled and not own.equals(first):
                raise DataError(
                    f"{info.path} has the columns {_shown(own)}, the first file of the dataset {_shown(first)}. Rewrite one "
                    "of them, or give the files that match."
                )
        kept = [i for i, (_, rows, _) in enumerate(found) if rows]
        rows = np.array([found[i][1] for i in kept], np.int64)
        fragments = Fragments(
            paths=tuple(info.path for info in files),
            path_index=np.array(kept, np.int32),
            section=np.full(len(kept), -1, np.int32),
            start=np.zeros(len(kept), np.int64),
            stop=rows,
            rows=rows,
            bytes=np.array([found[i][2] for i in kept], np.int64),
        )
        return Dataset(self, fragments, projected(first, self.columns, files[0].path), "rows")

    def read(self, fragment: Fragment, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """Rows ``[start, stop)``."""
        info = self.stat(fragment.path)
        at = 0
        with _batches(info, self.storage_options) as (schema, batches):
            names = projected(schema, narrowed(columns, self.columns, info.path), info.path).names
            for batch in batches:
                low, high = max(fragment.start - at, 0), min(fragment.stop - at, batch.num_rows)
                at += batch.num_rows
                for start in range(low, high, BATCH_ROWS):
                    yield batch.slice(start, min(BATCH_ROWS, high - start)).select(names)
                if at >= fragment.stop:
                    return


def _shown(schema: pa.Schema) -> str:
    return ", ".join(f"{field.name}: {field.type}" for field in schema)


def _measured(info: FileInfo, options: Options) -> tuple[pa.Schema, int, int]:
    """Schema without metadata, rows, bytes."""
    with _batches(info, options) as (schema, batches):
        sizes = [(batch.num_rows, batch.nbytes) for batch in batches]
    return schema.remove_metadata(), sum(rows for rows, _ in sizes), sum(size for _, size in sizes)


@contextmanager
def _batches(info: FileInfo, options: Options) -> Iterator[tuple[pa.Schema, Iterator[pa.RecordBatch]]]:
    with reading(info.path), _corrupt(info.path):
        file = pa.memory_map(info.path) if "://" not in info.path and info.size else open_file(info, options)
        with file:
            if file.read(len(_MAGIC)) == _MAGIC:
                opened = pa.ipc.open_file(file)
                yield opened.schema, (opened.get_batch(i) for i in range(opened.num_record_batches))
            else:
                file.seek(0)
                stream = pa.ipc.open_stream(file)
                yield stream.schema, iter(stream)


@contextmanager
def _corrupt(path: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise
    except TORN as error:
        raise DataError(
            f"Cannot read {path} as Arrow IPC: {str(error).partition(chr(10))[0]} Restore or remove that file."
        ) from error
