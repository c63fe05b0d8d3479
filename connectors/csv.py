"""CSV files: byte ranges cut at line ends, one schema for all of them."""

from __future__ import annotations

import csv
from codecs import BOM_UTF8
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import pyarrow as pa
import pyarrow.csv as pv

from connectors.file_source import BATCH_ROWS, narrowed, projected
from connectors.line_source import LineSource, Opening, blank, types_of
from connectors.lines import BLOCK_BYTES, line_count, open_stream, uncompressing
from connectors.location import reading
from connectors.schemas import unify
from connectors.systems import FileInfo
from partitioner.errors import ConfigError, DataError, clause, listed
from partitioner.model import Fragment
from partitioner.model.naming import column_names


@dataclass(frozen=True, slots=True)
class CsvSource(LineSource):
    """Delimited text with a header line (``header=False``: without; names from ``column_names`` or ``f0``, ``f1``, ...).

    Quoted values may hold delimiters and doubled quotes. Values that hold line ends need ``newlines_in_values=True``, which
    makes files indivisible; without it they are found and refused, wherever the cuts fall. ``encoding`` is any that
    keeps ASCII bytes (utf8, latin-1, ...). ``null_values`` mean null in addition to pyarrow's list, in strings too where
    ``strings_can_be_null``. A final line without line end counts, empty lines do not; files ending in .tsv have tabs.
    """

    delimiter: str | None = None
    header: bool = True
    column_names: Sequence[str] | None = None
    quote_char: str = '"'
    newlines_in_values: bool = False
    null_values: Sequence[str] = ()
    strings_can_be_null: bool = False
    encoding: str = "utf8"

    name: ClassVar[str] = "csv"
    extensions: ClassVar[tuple[str, ...]] = tuple(
        kind + codec for kind in (".csv", ".tsv") for codec in ("", ".gz", ".bz2", ".zst", ".lz4")
    )

    def __post_init__(self) -> None:
        LineSource.__post_init__(self)
        object.__setattr__(self, "column_names", column_names(self.column_names, "column_names"))
        object.__setattr__(self, "null_values", column_names(self.null_values or None, "null_values") or ())
        if self.header and self.column_names is not None:
            raise ConfigError("column_names are for files without header line: give header=False too, or neither.")
        for option, value in (("delimiter", self._delimiter), ("quote_char", self.quote_char)):
            if len(value) != 1:
                raise ConfigError(f"{option} is {value!r}; it is one character.")
        if "a,\n".encode(self.encoding) != b"a,\n":
            raise ConfigError(f"encoding {self.encoding!r} has no single-byte line end; convert the files to UTF-8.")

    @property
    def _delimiter(self) -> str:
        if self.delimiter is not None:
            return self.delimiter
        return "\t" if all(".tsv" in path.rpartition("/")[2] for path in self.paths) else ","

    @property
    def _indivisible(self) -> bool:
        return self.newlines_in_values

    def read(self, fragment: Fragment, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """The rows whose lines begin in the fragment's byte range; see ``LineSource.read``."""
        if not self.newlines_in_values:
            return LineSource.read(self, fragment, columns)
        source = self if self.schema is not None else self.describe().source
        assert isinstance(source, CsvSource)
        wanted = narrowed(columns, self.columns, fragment.path)
        return source._stream(fragment, projected(source._all_columns(), wanted, fragment.path))

    def _stream(self, fragment: Fragment, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        """A whole file, values with line ends included, block by block."""
        info = self.stat(fragment.path)
        self._check_whole(info, fragment)
        opened = open_stream(info, self.storage_options)
        with reading(info.path), uncompressing(info.path), opened as stream:
            options = self._read_options(self._names, BLOCK_BYTES, skip_rows=int(self.header))
            options.encoding = self.encoding
            try:
                reader = pv.open_csv(stream, options, self._parse_options, self._convert(schema))
                for batch in reader:
                    yield from (self._cut(b, schema) for b in pa.Table.from_batches([batch]).to_batches(BATCH_ROWS))
            except pa.ArrowInvalid as error:
                if "Empty CSV file" not in str(error):
                    raise self._unfit(error, fragment.name) from error

    def _opening(self, info: FileInfo) -> Opening:
        """The header line; names numbered by the first line where there is none."""
        head = self._head(info)
        bom = len(BOM_UTF8) if head.startswith(BOM_UTF8) else 0
        line = head[: head.find(b"\n") + 1 or None]
        if blank(line[bom:]):
            return Opening(bom)
        if len(line) == len(head) < info.size and not head.endswith(b"\n"):
            raise DataError(f"{info.path}: no line end in the first {len(head)} bytes; this is not CSV with a header.")
        if b"\n" not in line and b"\r" in line.rstrip(b"\r"):
            raise DataError(
                f"{info.path} ends its lines by a carriage return alone, as old files do: no line begins in it. Convert its "
                "line ends to \\n."
            )
        try:
            text = pa.py_buffer(line[bom:].rstrip(b"\r\n").decode(self.encoding).encode() + b"\n")
        except UnicodeDecodeError as error:
            raise DataError(
                f"{info.path}: its first line is no {self.encoding} text: {clause(error)}. Give its encoding=; "
                "convert UTF-16 and UTF-32 to UTF-8."
            ) from error
        if self.header:
            try:
                names = tuple(pv.read_csv(text, parse_options=self._parse_options).column_names)
            except pa.ArrowInvalid as error:
                raise DataError(
                    f"{info.path}: its first line is no header: {error}. A header lies on one line; mend it, or give "
                    "header=False and column_names=."
                ) from error
            self._check_names(names, info.path)
            return Opening(len(line), names)
        numbered = pv.ReadOptions(autogenerate_column_names=True)
        found = pv.read_csv(text, numbered, self._parse_options).column_names
        return Opening(0, tuple(self.column_names or found))

    def _check_names(self, names: tuple[str, ...], path: str) -> None:
        repeated = [n for n in names if names.count(n) > 1]
        if repeated:
            raise DataError(f"{path} has more than one column named {repeated[0]!r} in its header; rename them.")

    def _settled(self, files: list[FileInfo], openings: list[Opening], whole: bool) -> Self:
        """Every file has the columns of the first that has any, in its order."""
        named = [(o.names, f.path) for o, f in zip(openings, files, strict=True) if o.names]
        first = tuple(self.schema.names) if self.schema is not None else named[0][0] if named else ()
        for names, path in named:
            if names != first:
                raise DataError(
                    f"{path} has the columns {listed(names)}; expected are {listed(first)}, as "
                    f"{'schema= says' if self.schema is not None else f'in {named[0][1]}'}. Files of one dataset need "
                    "the same header line."
                )
        return LineSource._settled(self, files, openings, whole)

    def _infer(self, samples: list[bytes], openings: list[Opening]) -> pa.Schema:
        names = next((o.names for o in openings if o.names), ())
        seen = [pa.schema([pa.field(n, pa.null()) for n in names])]
        for block in samples:
            if not blank(block):
                seen.append(self._sample_schema(block, names))
        return unify(seen)

    def _sample_schema(self, block: bytes, names: Sequence[str]) -> pa.Schema:
        """Types in one sample, without the lines at its end that begin a value that goes on beyond it."""
        block = self._closed(block)
        if blank(block):
            return pa.schema([])
        convert = pv.ConvertOptions(**self._nulls)
        options = self._read_options(names, len(block) + 1)
        try:
            return pv.read_csv(self._utf8(block), options, self._parse_options, convert).schema
        except (pa.ArrowInvalid, UnicodeDecodeError) as error:
            raise DataError(
                f"Cannot infer the columns of {listed(self.paths)} as csv: {str(error).strip()} Give delimiter=, "
                "encoding= or, where quoted values hold line ends, newlines_in_values=True."
            ) from error

    def _closed(self, block: bytes) -> bytes:
        quote = self.quote_char.encode(self.encoding)
        while self.newlines_in_values and block.count(quote) % 2:
            block = block[: block.rstrip(b"\n").rfind(b"\n") + 1]
        return block

    def _numbers(self, block: bytes, names: Sequence[str], schema: pa.Schema) -> Mapping[str, Sequence[str | None]]:
        block = self._closed(block)
        if blank(block):
            return {}
        read = self._read_options(schema.names, len(block) + 1)
        nulls = {**self._nulls, "strings_can_be_null": True}
        convert = pv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()), include_columns=list(names), **nulls
        )
        texts: dict[str, list[str | None]] = pv.read_csv(
            self._utf8(block), read, self._parse_options, convert
        ).to_pydict()
        return texts

    def _parse(self, block: bytes, schema: pa.Schema) -> pa.Table:
        if blank(block):
            return schema.empty_table()
        options = self._read_options(self._names, len(block) + 1)
        table = pv.read_csv(self._utf8(block), options, self._parse_options, self._convert(schema))
        if table.num_rows != line_count(block) or self._open_quote(block):
            raise ValueError("a quoted value holds a line end; say newlines_in_values=True, which reads files whole.")
        return self._cut(table, schema)

    def _open_quote(self, block: bytes) -> bool:
        """Whether the last line ends within a quoted value, so that a cut fell inside one."""
        last = block.rstrip(b"\r\n").rpartition(b"\n")[2].decode(self.encoding)
        if self.quote_char not in last:
            return False
        try:
            list(csv.reader([last], strict=True, delimiter=self._delimiter, quotechar=self.quote_char))
        except csv.Error as error:
            return "unexpected end of data" in str(error)
        return False

    @property
    def _names(self) -> list[str]:
        return list(self._all_columns().names)

    @property
    def _nulls(self) -> dict[str, Any]:
        """Convert options that say what is null."""
        given = [*pv.ConvertOptions().null_values, *self.null_values]
        return {"null_values": given, "strings_can_be_null": self.strings_can_be_null}

    @property
    def _parse_options(self) -> pv.ParseOptions:
        return pv.ParseOptions(
            delimiter=self._delimiter, quote_char=self.quote_char, newlines_in_values=self.newlines_in_values
        )

    def _read_options(self, names: Sequence[str], block_size: int, skip_rows: int = 0) -> pv.ReadOptions:
        return pv.ReadOptions(column_names=list(names), block_size=block_size, skip_rows=skip_rows, use_threads=False)

    def _convert(self, schema: pa.Schema) -> pv.ConvertOptions:
        """Only the columns wanted are converted; with none wanted, the first one, to count rows."""
        kept = schema if len(schema) else pa.schema([pa.field(self._names[0], pa.string())])
        return pv.ConvertOptions(column_types=types_of(kept), include_columns=kept.names, **self._nulls)

    def _utf8(self, block: bytes) -> pa.BufferReader:
        plain = self.encoding.lower().replace("-", "") in ("utf8", "ascii")
        return pa.BufferReader(block if plain else block.decode(self.encoding).encode())

    @staticmethod
    def _cut(rows: Any, schema: pa.Schema) -> Any:
        return rows if len(schema) else rows.select([])
