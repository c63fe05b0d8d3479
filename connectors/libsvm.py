"""libsvm (svmlight) text: a label and sparse features per line, byte ranges cut at line ends."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import csv

from connectors.line_source import LineSource, Opening
from connectors.lines import compression, file_lines, range_lines
from connectors.listing import in_threads
from connectors.location import reading
from connectors.systems import FileInfo
from partitioner.errors import ConfigError
from partitioner.frames import to_numpy

_COMMENT = re.compile(rb"#[^\n]*")
_QUERY = re.compile(rb"\bqid:(\d+)")
_LABEL = pa.field("label", pa.float64())
_SPARSE = (pa.field("indices", pa.list_(pa.int32())), pa.field("values", pa.list_(pa.float64())))


@dataclass(frozen=True, slots=True)
class LibsvmSource(LineSource):
    """``label index:value ...`` per line, ``#`` comments allowed.

    Columns ``label`` (double), ``indices`` (list of int32, from 0, as a CSR matrix has them) and ``values`` (list of
    double); with ``dense=True`` ``label`` and ``features``, a fixed-size list of ``n_features`` doubles. Indices in the
    file begin at 1, at 0 where ``zero_based``. Where ``n_features`` is not given, ``dense`` reads the input once, while
    it is described, to find the largest index. Query ids (``qid:``) and several labels per line are refused.
    """

    dense: bool = False
    n_features: int | None = None
    zero_based: bool = False

    name: ClassVar[str] = "libsvm"
    extensions: ClassVar[tuple[str, ...]] = tuple(
        kind + codec for kind in (".libsvm", ".svm", ".svmlight", ".txt", ".t") for codec in ("", ".gz", ".bz2")
    )

    remedy: ClassVar[str] = "Mend that line, or give another connector if this is not libsvm."

    def __post_init__(self) -> None:
        LineSource.__post_init__(self)
        if self.n_features is not None and self.n_features < 1:
            raise ConfigError(f"n_features is {self.n_features}; it is at least 1.")
        if self.types or (self.schema is not None and self.schema.names[0] != "label"):
            raise ConfigError("libsvm columns have fixed types; types= and schema= do not apply.")

    def _settled(self, files: list[FileInfo], openings: list[Opening], whole: bool) -> Self:
        if self.schema is not None:
            return self
        sized = self
        if self.dense and self.n_features is None:
            sized = replace(self, n_features=max(in_threads(self._width, files, self.remote), default=0) or 1)
        return replace(sized, schema=sized._infer([], openings))

    def _infer(self, samples: list[bytes], openings: list[Opening]) -> pa.Schema:
        """The format and ``n_features`` fix it; samples tell nothing more."""
        if not self.dense:
            return pa.schema([_LABEL, *_SPARSE])
        return pa.schema([_LABEL, pa.field("features", pa.list_(pa.float64(), self.n_features or 1))])

    def _width(self, info: FileInfo) -> int:
        """The number of features that the largest index of a file means."""
        plain = compression(info.path) is None
        options = self.storage_options
        with reading(info.path):
            blocks = range_lines(info, 0, info.size, options) if plain else file_lines(info, 0, options)
            try:
                largest = (int(_parse_block(block, self.zero_based).indices.max(initial=-1)) for block in blocks)
                return max(largest, default=-1) + 1
            except ValueError as error:
                raise self._unfit(error, info.path) from error

    def _parse(self, block: bytes, schema: pa.Schema) -> pa.Table:
        rows = _parse_block(block, self.zero_based)
        largest = int(rows.indices.max(initial=-1))
        if self.n_features is not None and largest >= self.n_features:
            shown = largest if self.zero_based else largest + 1
            raise ValueError(f"index {shown} lies beyond n_features={self.n_features}; give a larger n_features.")
        columns: dict[str, pa.Array] = {"label": pa.array(rows.label)}
        if "features" in schema.names:
            columns["features"] = _densify(rows, self.n_features or 1)
        if "indices" in schema.names:
            columns["indices"] = pa.ListArray.from_arrays(pa.array(rows.offsets), pa.array(rows.indices))
        if "values" in schema.names:
            columns["values"] = pa.ListArray.from_arrays(pa.array(rows.offsets), pa.array(rows.values))
        return pa.table(columns).select(schema.names)


@dataclass(frozen=True, slots=True)
class _Rows:
    """n rows in CSR form: ``label`` float64[n], ``offsets`` int32[n + 1], ``indices`` int32, ``values`` float64."""

    label: npt.NDArray[np.float64]
    offsets: npt.NDArray[np.int32]
    indices: npt.NDArray[np.int32]
    values: npt.NDArray[np.float64]


def _parse_block(block: bytes, zero_based: bool) -> _Rows:
    """Whole lines as CSR rows. Raises ValueError saying which part is wrong."""
    if b"#" in block:
        block = _COMMENT.sub(b"", block)
    if b"qid:" in block and _QUERY.search(block):
        raise ValueError("query ids (qid:) are not supported; remove them or read the file as csv.")
    lines = [line for line in block.split(b"\n") if line.strip()]
    counts = np.fromiter((line.count(b":") for line in lines), np.int64, len(lines))
    numbers = _numbers(block) if lines else np.empty(0)
    if len(numbers) != len(lines) + 2 * int(counts.sum()):
        raise ValueError("a line is not 'label index:value index:value ...'.")
    at = np.cumsum(1 + 2 * counts) - (1 + 2 * counts)
    rest = np.ones(len(numbers), bool)
    rest[at] = False
    pairs = numbers[rest].reshape(-1, 2)
    indices = pairs[:, 0].astype(np.int32) - (0 if zero_based else 1)
    if (indices < 0).any() or (pairs[:, 0] != np.floor(pairs[:, 0])).any():
        first = "0, the smallest there is" if zero_based else "1; say zero_based=True where they begin at 0"
        raise ValueError(f"indices are whole numbers from {first}.")
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    return _Rows(numbers[at], offsets, indices, np.ascontiguousarray(pairs[:, 1]))


_APART = bytes.maketrans(b": \t\r\f\v", b"\n" * 6)
_ONE_COLUMN = {
    "read_options": csv.ReadOptions(use_threads=False, column_names=["number"]),
    "parse_options": csv.ParseOptions(quote_char=False),
    "convert_options": csv.ConvertOptions(column_types={"number": pa.float64()}, null_values=[]),
}


def _numbers(block: bytes) -> npt.NDArray[np.float64]:
    """Every number of the text, as a column for Arrow, which is five times as fast as Python.

    What Arrow does not take Python does, or refuses with the token in its message.
    """
    text = block.translate(_APART)
    try:
        return np.asarray(to_numpy(csv.read_csv(pa.BufferReader(text), **_ONE_COLUMN)["number"]), np.float64)
    except pa.ArrowInvalid:
        return np.fromiter(map(float, text.split()), np.float64)


def _densify(rows: _Rows, width: int) -> Any:
    matrix = np.zeros((len(rows.label), width))
    matrix[np.repeat(np.arange(len(rows.label)), np.diff(rows.offsets)), rows.indices] = rows.values
    return pa.FixedSizeListArray.from_arrays(pa.array(matrix.reshape(-1)), width)
