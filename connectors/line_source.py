"""What the sources of line-oriented text have in common: byte ranges, samples for the schema, blocks of lines."""

from __future__ import annotations

from abc import abstractmethod
from codecs import BOM_UTF8
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
import pyarrow as pa

from connectors.file_source import BATCH_ROWS, FileSource, narrowed, projected
from connectors.lines import byte_ranges, compression, file_lines, open_stream, range_lines, uncompressing
from connectors.listing import in_threads
from connectors.location import reading
from connectors.schemas import Types, parse_types, with_types
from connectors.systems import FileInfo
from connectors.whole_numbers import LONG, kept_exactly, suspects
from partitioner.errors import ConfigError, DataError
from partitioner.frames import UNFIT
from partitioner.model import Dataset, Fragment

SAMPLES = 8
SAMPLE_BYTES = 256 << 10


class Opening(NamedTuple):
    """What precedes the first record of a file: how many (uncompressed) bytes, and the column names they hold."""

    start: int = 0
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LineSource(FileSource):
    """Text files of one record per line, cut into byte ranges at line ends.

    ``types`` fixes the type of some columns (Arrow types or their names); ``schema`` fixes all of them, and nothing is
    inferred. Otherwise types are inferred once, by ``describe``, from samples spread over the input; the dataset's
    ``source`` carries them to the workers. ``fragment_bytes`` is the size of a described fragment; splitters cut further.
    Compressed files (.gz, .bz2, .zst, .lz4) are one fragment each.
    """

    types: Types | None = None
    schema: pa.Schema | None = None
    fragment_bytes: int = 16 << 20

    remedy: ClassVar[str] = (
        "Where the type is wrong, give it with types={column: type}; where the line is, mend it or leave it out."
    )

    def __post_init__(self) -> None:
        FileSource.__post_init__(self)
        if self.fragment_bytes < 1:
            raise ConfigError(f"fragment_bytes is {self.fragment_bytes}; it is at least 1.")
        object.__setattr__(self, "types", parse_types(self.types))
        if self.schema is not None:
            object.__setattr__(self, "schema", pa.schema(list(parse_types(self.schema).items())))

    def describe(self) -> Dataset:
        """Byte ranges of about ``fragment_bytes``, with one schema for all. Raises DataError naming path and remedy."""
        files = self.files()
        whole = self._indivisible or any(compression(f.path) for f in files)
        openings = in_threads(self._opening, files, self.remote)
        # The records of a whole file begin where its reader finds them; a compressed size says nothing about that.
        starts = [0 if whole else opening.start for opening in openings]
        fragments = byte_ranges(files, starts, None if whole else self.fragment_bytes)
        source = self._settled(files, openings, whole)
        schema = projected(source._all_columns(), self.columns, files[0].path)
        return Dataset(source, fragments, schema, None if whole else "bytes")

    def read(self, fragment: Fragment, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """The lines that begin in the fragment's byte range, as rows.

        A source that was not described yet infers its schema first. Raises DataError for a missing column, and for a
        line that does not fit the schema, naming the file.
        """
        wanted = narrowed(columns, self.columns, fragment.path)
        source = self if self.schema is not None else self.describe().source
        assert isinstance(source, LineSource)
        schema = projected(source._all_columns(), wanted, fragment.path)
        info = self.stat(fragment.path)
        with reading(info.path):
            for block in source._blocks(info, fragment):
                table = source._rows(block, schema, fragment)
                yield from (b for b in table.to_batches(max_chunksize=BATCH_ROWS) if b.num_rows)

    @property
    def _indivisible(self) -> bool:
        """Whether a record may span lines, so that files cannot be cut."""
        return False

    def _all_columns(self) -> pa.Schema:
        """The schema before projection; known once described."""
        return self.schema or pa.schema([])

    def _opening(self, info: FileInfo) -> Opening:
        """What precedes the first record."""
        return Opening()

    @abstractmethod
    def _infer(self, samples: list[bytes], openings: list[Opening]) -> pa.Schema:
        """The schema that samples of whole lines show."""

    def _numbers(self, block: bytes, names: Sequence[str], schema: pa.Schema) -> Mapping[str, Sequence[str | None]]:
        """Columns of whole lines of a sample as text; the default, for formats without numbers of their own, is none."""
        return {}

    def _whole_numbers(self, schema: pa.Schema, samples: list[bytes]) -> pa.Schema:
        """Whole numbers beyond 63 bits are not made doubles."""
        names = suspects(schema, parse_types(self.types))
        if not names or not any(LONG.search(block) for block in samples):
            return schema
        found: dict[str, list[str | None]] = {name: [] for name in names}
        for block in samples:
            for name, texts in self._numbers(block, names, schema).items() if not blank(block) else ():
                found[name] += texts
        return kept_exactly(schema, found, ", ".join(self.paths[:3]))

    @abstractmethod
    def _parse(self, block: bytes, schema: pa.Schema) -> pa.Table:
        """Lines as rows with exactly ``schema``. Raises ArrowInvalid or ValueError."""

    def _rows(self, block: bytes, schema: pa.Schema, fragment: Fragment) -> pa.Table:
        try:
            return self._parse(block, schema)
        except (ValueError, *UNFIT) as error:
            raise self._unfit(error, fragment.name) from error

    def _unfit(self, error: Exception, name: str) -> DataError:
        return DataError(f"Cannot read {name} as {self.name}: {str(error).strip()} {self.remedy}")

    def _blocks(self, info: FileInfo, fragment: Fragment) -> Iterator[bytes]:
        """The fragment's lines without the file's header, in blocks of whole lines."""
        skip = self._opening(info).start if fragment.start == 0 else 0
        if compression(info.path) is None:
            blocks = range_lines(info, max(fragment.start, skip), fragment.stop, self.storage_options)
        else:
            self._check_whole(info, fragment)
            blocks = file_lines(info, skip, self.storage_options)
        return _unmarked(blocks) if fragment.start == skip == 0 else blocks

    def _check_whole(self, info: FileInfo, fragment: Fragment) -> None:
        if (fragment.start, fragment.stop) != (0, info.size):
            raise DataError(
                f"{fragment.name} is a part of a file of {info.size} bytes that can only be read whole: it has changed "
                "since it was planned, or its fragment was cut. Plan again, without cutting."
            )

    def _head(self, info: FileInfo) -> bytes:
        """The first bytes of a file, uncompressed."""
        with reading(info.path), uncompressing(info.path), open_stream(info, self.storage_options) as stream:
            return bytes(stream.read(SAMPLE_BYTES))

    def _settled(self, files: list[FileInfo], openings: list[Opening], whole: bool) -> Self:
        """This source with its schema fixed."""
        if self.schema is not None:
            return self
        samples = self._whole_samples(files, openings) if whole else self._samples(files, openings)
        found = self._whole_numbers(self._infer(samples, openings), samples)
        return replace(self, schema=with_types(found, parse_types(self.types)))

    def _samples(self, files: list[FileInfo], openings: list[Opening]) -> list[bytes]:
        """Blocks of whole lines from places spread over the input, first and last included."""
        pieces = byte_ranges(files, [opening.start for opening in openings], SAMPLE_BYTES)
        by_path = {info.path: info for info in files}
        chosen = [pieces[i] for i in _spread(len(pieces))]
        read = [(f.start, range_lines(by_path[f.path], f.start, f.stop, self.storage_options)) for f in chosen]
        return [b"".join(blocks if start else _unmarked(blocks)) for start, blocks in read]

    def _whole_samples(self, files: list[FileInfo], openings: list[Opening]) -> list[bytes]:
        """The first whole lines of files spread over the input."""
        heads = [(self._head(files[i]), openings[i].start) for i in _spread(len(files))]
        whole = [h[start:] if len(h) < SAMPLE_BYTES else h[start : h.rfind(b"\n") + 1] for h, start in heads]
        return [h.removeprefix(BOM_UTF8) for h in whole]


def _unmarked(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """The lines of a file from its beginning; a byte-order mark there is none of its text."""
    for i, block in enumerate(blocks):
        yield block if i else block.removeprefix(BOM_UTF8)


def _spread(n: int) -> list[int]:
    return sorted({int(i) for i in np.linspace(0, n - 1, min(n, SAMPLES)).round()}) if n else []


def blank(block: bytes) -> bool:
    """Whether there is nothing but line ends in it."""
    return not block.strip(b"\r\n")


def types_of(schema: pa.Schema) -> dict[str, Any]:
    """Column name to type."""
    return dict(zip(schema.names, schema.types, strict=True))
