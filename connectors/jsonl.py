"""JSON lines: one object per line, byte ranges cut at line ends, one schema for all of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import pyarrow as pa
import pyarrow.json as pj

from connectors.line_source import LineSource, Opening
from connectors.lines import line_count
from connectors.schemas import unify
from partitioner.errors import DataError, clause
from partitioner.frames import UNFIT


@dataclass(frozen=True, slots=True)
class JsonLinesSource(LineSource):
    """One JSON object per line; nested objects become structs, arrays lists; a field that a line lacks is null.

    A field that the samples did not show is an error that names it, so that nothing is lost unseen: give its type with
    ``schema``, or drop such fields with ``ignore_unknown=True`` or a projection.
    """

    ignore_unknown: bool = False

    name: ClassVar[str] = "jsonl"
    extensions: ClassVar[tuple[str, ...]] = tuple(
        kind + codec for kind in (".jsonl", ".ndjson") for codec in ("", ".gz", ".bz2", ".zst", ".lz4")
    )

    def _infer(self, samples: list[bytes], openings: Sequence[Opening]) -> pa.Schema:
        try:
            return unify(_read(block, None, "infer").schema for block in samples if block.strip())
        except UNFIT as error:
            raise DataError(
                f"Cannot infer the fields of {', '.join(self.paths)} as jsonl: {clause(error)}. Every line holds one JSON "
                "object; where a field has several types, mend it or give all of them with schema=."
            ) from error

    def _numbers(self, block: bytes, names: Sequence[str], schema: pa.Schema) -> Mapping[str, Sequence[str | None]]:
        try:
            rows = [json.loads(line, parse_int=str, parse_float=str) for line in block.splitlines() if line.strip()]
        except ValueError:
            return {}  # an object over several lines, which is refused where it is read
        return {name: [row.get(name) for row in rows] for name in names}

    def _parse(self, block: bytes, schema: pa.Schema) -> pa.Table:
        known = self._all_columns()
        narrowed = len(schema) < len(known)
        # Reading no field at all would lose the count of rows.
        asked = schema if len(schema) else pa.schema(list(known)[:1] or [pa.field("none", pa.null())])
        lenient = narrowed or self.ignore_unknown
        try:
            table = _read(block, asked, "ignore" if lenient else "error")
        except pa.ArrowInvalid as error:
            if "unexpected field" not in str(error):
                raise
            raise ValueError(self._unknown(block, known)) from error
        if table.num_rows != line_count(block):
            raise ValueError("a line is not exactly one JSON object: objects spread over lines cannot be cut.")
        return table.select(schema.names)

    @staticmethod
    def _unknown(block: bytes, known: pa.Schema) -> str:
        found = _read(block, None, "infer").schema
        new = [name for name in found.names if name not in known.names] or ["(nested in a known one)"]
        return (
            f"field {new[0]!r} was not in the samples that the schema was inferred from. Give schema= with every field, "
            "or ignore_unknown=True to drop it."
        )


def _read(block: bytes, schema: pa.Schema | None, unexpected: str) -> pa.Table:
    return pj.read_json(
        pa.BufferReader(block),
        pj.ReadOptions(use_threads=False, block_size=len(block) + 1),
        pj.ParseOptions(explicit_schema=schema, unexpected_field_behavior=unexpected),
    )
