"""Images in folders: each file a row and a fragment, with its pixels, from the header, as a feature for costs."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from connectors.file_source import FileSource, narrowed, one_row_each, projected
from connectors.listing import in_threads
from connectors.location import Options, need, reading, system
from connectors.systems import FileInfo
from partitioner.errors import DataError, clause
from partitioner.model import Dataset, Fragment

HEADER_BYTES = 64 << 10
"""Read of a file to find its size in pixels; the whole file where that is not enough (large embedded previews)."""


@dataclass(frozen=True, slots=True)
class ImagesSource(FileSource):
    """Columns ``path``, ``image`` (the file's bytes), ``width``, ``height``; with ``decode`` also ``pixels``: height x width
    x 3 values of uint8, RGB, in one list.

    The feature ``pixels`` of a fragment is width x height, so that ``cost="1e-8 * pixels"`` works, and calibration sees it.
    Needs Pillow.
    """

    decode: bool = False

    name: ClassVar[str] = "images"
    extensions: ClassVar[tuple[str, ...]] = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff")

    @property
    def schema(self) -> pa.Schema:
        """The columns before projection."""
        fields = [("path", pa.string()), ("image", pa.large_binary()), ("width", pa.int32()), ("height", pa.int32())]
        return pa.schema([*fields, *([("pixels", pa.large_list(pa.uint8()))] if self.decode else [])])

    def describe(self) -> Dataset:
        """One fragment of one row per file; only headers are read. DataError naming the file that is no image."""
        files = self.files()
        sizes = in_threads(lambda info: _size(info, self.storage_options), files, self.remote)
        fragments = one_row_each(files, pixels=np.array([w * h for w, h in sizes], np.float64))
        return Dataset(self, fragments, projected(self.schema, self.columns, self.paths[0]), None)

    def read(self, fragment: Fragment, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """The one row; pixels are decoded only where that column is wanted."""
        schema = projected(self.schema, narrowed(columns, self.columns, fragment.path), fragment.path)
        info = self.stat(fragment.path)
        with reading(info.path):
            data = system(info.path, self.storage_options).read(info.path, 0, info.size)
        row: dict[str, Any] = {"path": info.path, "image": data}
        row["width"], row["height"] = size_of(data, info.path)
        if "pixels" in schema.names:
            row["pixels"] = pixels_of(data, info.path)
        kept = schema if len(schema) else self.schema.remove(1)
        yield pa.RecordBatch.from_pylist([{name: row.get(name) for name in kept.names}], kept).select(schema.names)


def _size(info: FileInfo, options: Options) -> tuple[int, int]:
    with reading(info.path):
        head = system(info.path, options).read(info.path, 0, min(HEADER_BYTES, info.size))
        try:
            return size_of(head, info.path)
        except DataError:
            if info.size <= HEADER_BYTES:
                raise
        return size_of(system(info.path, options).read(info.path, 0, info.size), info.path)


def size_of(data: bytes, path: str) -> tuple[int, int]:
    """Width and height, from the header alone. DataError naming ``path`` for what is no image."""
    image = _opened(data, path)
    return int(image.width), int(image.height)


def pixels_of(data: bytes, path: str) -> list[int]:
    """Height x width x 3 values of uint8."""
    try:
        return np.asarray(_opened(data, path).convert("RGB"), np.uint8).reshape(-1)  # type: ignore[return-value]
    except OSError as error:
        raise DataError(f"Cannot decode the image {path}: {clause(error)}. Restore or remove that file.") from error


def _opened(data: bytes, path: str) -> Any:
    image = need("PIL.Image", "images")
    try:
        return image.open(io.BytesIO(data))
    except (OSError, ValueError, SyntaxError) as error:
        raise DataError(f"{path} is no image that Pillow knows: restore or remove that file.") from error
