"""Lines of text: one row per line, byte ranges cut at line ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import pyarrow as pa

from connectors.line_source import LineSource, Opening
from partitioner.errors import ConfigError

COLUMN = "text"


@dataclass(frozen=True, slots=True)
class TextSource(LineSource):
    """The lines of text files in the column ``text``, without their ends; empty lines are rows too.

    ``encoding`` is any that keeps ASCII bytes; a line that does not decode is an error naming the file.
    """

    encoding: str = "utf8"

    name: ClassVar[str] = "text"
    extensions: ClassVar[tuple[str, ...]] = tuple(
        kind + codec for kind in (".txt", ".text", ".log") for codec in ("", ".gz", ".bz2", ".zst", ".lz4")
    )
    remedy: ClassVar[str] = "Give its encoding=."

    def __post_init__(self) -> None:
        LineSource.__post_init__(self)
        if "a\n".encode(self.encoding) != b"a\n":
            raise ConfigError(f"encoding {self.encoding!r} has no single-byte line end; convert the files to UTF-8.")

    def _infer(self, samples: list[bytes], openings: Sequence[Opening]) -> pa.Schema:
        return pa.schema([pa.field(COLUMN, pa.string())])

    def _parse(self, block: bytes, schema: pa.Schema) -> pa.Table:
        lines = block.decode(self.encoding).split("\n")
        if block.endswith(b"\n"):
            lines.pop()
        texts = pa.array([line.removesuffix("\r") for line in lines], pa.string())
        return pa.table({COLUMN: texts}).select(schema.names)
