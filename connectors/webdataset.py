"""Tar shards as WebDataset writes them: files that share a name up to its first dot are one sample."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, ClassVar, NamedTuple

import pyarrow as pa

from connectors.file_source import FileSource, narrowed, projected
from connectors.images import HEADER_BYTES, ImagesSource, size_of
from connectors.listing import in_threads
from connectors.location import Options, open_file, reading, system
from connectors.systems import FileInfo
from partitioner.errors import DataError, clause
from partitioner.model import Dataset, Fragment, Fragments

KEY = "__key__"
SAMPLES = 32
"""Samples of one fragment at most: fine enough that pixels say what a fragment costs."""

_TEXT = {"txt", "text", "json", "cls", "cls2", "index", "caption"}
_IMAGES = {ending.removeprefix(".") for ending in ImagesSource.extensions}


class Sample(NamedTuple):
    """One sample: its key, and (offset, bytes) of each of its files, by ending."""

    key: str
    files: dict[str, tuple[int, int]]


@dataclass(frozen=True, slots=True)
class WebDatasetSource(FileSource):
    """Columns ``__key__`` and one per ending, in order of first appearance: text for txt, json, cls and the like, else
    bytes; null where a sample lacks the file. Fragments of up to 32 samples with their ``pixels`` from image headers
    (which need Pillow; ``pixels=False`` leaves them out).
    """

    pixels: bool = True
    endings: tuple[str, ...] = field(default=())

    name: ClassVar[str] = "webdataset"
    extensions: ClassVar[tuple[str, ...]] = (".tar",)

    def describe(self) -> Dataset:
        """From the headers of the tars alone. DataError naming the shard that is no tar."""
        shards = self.files()
        found = in_threads(lambda info: _samples(info, _Options(self.storage_options)), shards, self.remote)
        endings = tuple(dict.fromkeys(e for samples in found for sample in samples for e in sample.files))
        source = replace(self, endings=endings)
        with_pixels = self.pixels and not _IMAGES.isdisjoint(endings)
        fragments = []
        for info, samples in zip(shards, found, strict=True):
            for start in range(0, len(samples), SAMPLES):
                part = samples[start : start + SAMPLES]
                size = sum(length for sample in part for _, length in sample.files.values())
                seen = {"pixels": float(sum(self._pixels(info, s) for s in part))} if with_pixels else {}
                fragments.append(Fragment(0, info.path, -1, start, start + len(part), len(part), size, seen))
        schema = projected(source._schema(), self.columns, shards[0].path)
        return Dataset(source, Fragments.of(fragments), schema, "rows")

    def _schema(self) -> pa.Schema:
        kinds = [(e, pa.string() if e in _TEXT else pa.large_binary()) for e in self.endings]
        return pa.schema([(KEY, pa.string()), *kinds])

    def read(self, fragment: Fragment, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """Samples ``[start, stop)`` of one shard; only the files of wanted columns are read."""
        source = self if self.endings else self.describe().source
        assert isinstance(source, WebDatasetSource)
        schema = projected(source._schema(), narrowed(columns, self.columns, fragment.path), fragment.path)
        info = self.stat(fragment.path)
        samples = _samples(info, _Options(self.storage_options))[fragment.start : fragment.stop]
        names = schema.names or [KEY]
        kept = schema if len(schema) else pa.schema([(KEY, pa.string())])
        rows = [{name: self._value(info, sample, name) for name in names} for sample in samples]
        if rows:
            yield pa.RecordBatch.from_pylist(rows, kept).select(schema.names)

    def _value(self, info: FileInfo, sample: Sample, name: str) -> Any:
        if name == KEY:
            return sample.key
        if name not in sample.files:
            return None
        offset, length = sample.files[name]
        data = system(info.path, self.storage_options).read(info.path, offset, offset + length)
        if name not in _TEXT:
            return data
        try:
            return data.decode()
        except UnicodeDecodeError as error:
            raise DataError(
                f"{info.path}: {sample.key}.{name} is not UTF-8 text: {error.reason}. Rewrite it."
            ) from error

    def _pixels(self, info: FileInfo, sample: Sample) -> int:
        total = 0
        for offset, length in (where for ending, where in sample.files.items() if ending in _IMAGES):
            at = system(info.path, self.storage_options)
            head = at.read(info.path, offset, offset + min(length, HEADER_BYTES))
            width, height = size_of(head, f"{info.path}: {sample.key}")
            total += width * height
        return total


class _Options:
    """Options beside a cache key: equal to any other, because path and tag already tell files apart."""

    def __init__(self, options: Options) -> None:
        self.options = options

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Options)

    def __hash__(self) -> int:
        return 0


@lru_cache(maxsize=64)
def _samples(info: FileInfo, options: _Options) -> list[Sample]:
    """The samples of a shard, in order of their first file; the last shards are kept."""
    samples: dict[str, Sample] = {}
    try:
        with reading(info.path), open_file(info, options.options) as file, tarfile.open(fileobj=file, mode="r:") as tar:
            for member in tar:
                folder, _, base = member.name.rpartition("/")
                stem, dot, ending = base.partition(".")
                if not member.isfile() or not dot or not stem:
                    continue
                key = f"{folder}/{stem}" if folder else stem
                sample = samples.setdefault(key, Sample(key, {}))
                sample.files[ending.lower()] = (member.offset_data, member.size)
    except tarfile.TarError as error:
        raise DataError(
            f"Cannot read {info.path} as tar: {clause(error)}. Restore that shard, or name the good ones."
        ) from error
    return list(samples.values())
