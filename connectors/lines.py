"""Byte ranges of text files as whole lines: a line belongs to the range in which its first byte lies."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import numpy as np
import pyarrow as pa

from connectors.location import Options, open_file, system
from connectors.systems import FileInfo
from partitioner.errors import DataError, clause
from partitioner.model import Fragments

BLOCK_BYTES = 4 << 20
"""Bytes parsed at a time; a longer line is still read whole."""

_LINE_END = re.compile(rb"\r\n|\n|\r")
_PROBE_BYTES = 64 << 10
_COMPRESSION = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd", ".lz4": "lz4"}


def compression(path: str) -> str | None:
    """The codec that a file name means, None for plain text."""
    names = (path, path.partition("?")[0]) if "://" in path else (path,)
    return next((codec for ending, codec in _COMPRESSION.items() for name in names if name.endswith(ending)), None)


def byte_ranges(files: list[FileInfo], data_start: list[int], fragment_bytes: int | None) -> Fragments:
    """Fragments of near-equal bytes, about ``fragment_bytes`` each (None: whole files), from ``data_start`` of each file.

    Files without data give none. Rows are -1: only reading would tell.
    """
    size = np.array([info.size for info in files], np.int64)
    start = np.array(data_start, np.int64)
    kept = np.flatnonzero(size > start)
    n = len(kept)
    whole = Fragments(
        paths=tuple(info.path for info in files),
        path_index=kept.astype(np.int32),
        section=np.full(n, -1, np.int32),
        start=start[kept],
        stop=size[kept],
        rows=np.full(n, -1, np.int64),
        bytes=(size - start)[kept],
    )
    return whole if fragment_bytes is None else whole.cut(-(-whole.bytes // fragment_bytes))[0]


def range_lines(info: FileInfo, start: int, stop: int, options: Options) -> Iterator[bytes]:
    """Blocks of whole lines: those that begin in bytes ``[start, stop)`` of a plain file."""
    at = system(info.path, options)

    def next_line(position: int) -> int:
        """Where the first line after ``position`` begins, knowing that one begins at 0."""
        position -= 1
        while 0 <= position < info.size:
            piece = at.read(info.path, position, position + _PROBE_BYTES)
            found = piece.find(b"\n")
            if found >= 0:
                return position + found + 1
            position += len(piece) or info.size
        return 0 if position < 0 else info.size

    low = next_line(start)
    if low >= stop:
        return
    high = next_line(stop)
    chunks = (at.read(info.path, p, min(p + BLOCK_BYTES, high)) for p in range(low, high, BLOCK_BYTES))
    yield from whole_lines(chunks)


def file_lines(info: FileInfo, skip: int, options: Options) -> Iterator[bytes]:
    """Blocks of whole lines of a whole, maybe compressed file, after its first ``skip`` (uncompressed) bytes."""
    with uncompressing(info.path), open_stream(info, options) as stream:
        stream.read(skip)
        yield from whole_lines(iter(lambda: stream.read(BLOCK_BYTES), b""))


@contextmanager
def uncompressing(path: str) -> Iterator[None]:
    """A compressed file that is truncated or corrupt is a DataError naming it."""
    try:
        yield
    except (FileNotFoundError, PermissionError):
        raise
    except OSError as error:
        if compression(path) is None:
            raise
        raise DataError(
            f"Cannot uncompress {path} as {compression(path)}: {clause(error)}. Restore that file, or rename it if it "
            "is not compressed."
        ) from error


def open_stream(info: FileInfo, options: Options) -> pa.NativeFile:
    """The uncompressed content of a file, from its beginning."""
    codec = compression(info.path)
    raw = open_file(info, options)
    return pa.CompressedInputStream(raw, codec) if codec else raw


def whole_lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes, cut anew so that every block ends at a line end (or the end of all)."""
    rest: list[bytes] = []
    for chunk in chunks:
        end = chunk.rfind(b"\n") + 1
        if end:
            yield b"".join([*rest, chunk[:end]])
            rest = []
        if end < len(chunk):
            rest.append(chunk[end:])
    if rest:
        yield b"".join(rest)


def line_count(block: bytes) -> int:
    """Lines that are not empty."""
    if b"\n\n" in block or b"\r" in block or block.startswith(b"\n"):
        return sum(1 for line in _LINE_END.split(block) if line)
    return block.count(b"\n") + (not block.endswith(b"\n"))
