"""Whole numbers in text that a signed 64-bit column does not hold: kept exactly, or refused; never rounded in silence.

Arrow infers doubles for them, and a double has 53 bits: of two ids that differ in the last digit it makes one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

import pyarrow as pa

from partitioner.errors import DataError

LONG = re.compile(rb"\d{19}")
"""Digits without which no whole number in a sample is beyond 63 bits."""

_WHOLE = re.compile(r"[+-]?\d+")
_SIGNED = range(-(2**63), 2**63)
_UNSIGNED = range(2**64)


def suspects(schema: pa.Schema, settled: Mapping[str, pa.DataType]) -> list[str]:
    """Columns that were inferred to be doubles, and whose type nobody gave."""
    return [f.name for f in schema if pa.types.is_floating(f.type) and f.name not in settled]


def kept_exactly(schema: pa.Schema, values: Mapping[str, Sequence[str | None]], where: str) -> pa.Schema:
    """``schema`` with unsigned columns where the samples hold whole numbers of 64 bits without a sign.

    ``values`` are those columns as text. Raises DataError naming the column and a number that no integer column holds. One
    that also has fractions is a column of doubles, whose digits were cut before.
    """
    for name, texts in values.items():
        numbers = list(_whole(texts))
        if not numbers or all(number in _SIGNED for number in numbers):
            continue
        if (beyond := next((n for n in numbers if n not in _UNSIGNED), None)) is not None:
            raise DataError(
                f"column {name!r} of {where} holds the whole number {beyond} among others, which no column of 64-bit "
                f"integers holds with them, and doubles would change it. Give types={{{name!r}: 'double'}} if meant, "
                f"or types={{{name!r}: 'decimal128(38, 0)'}} to keep all digits (CSV: 'string' too)."
            )
        schema = schema.set(schema.get_field_index(name), pa.field(name, pa.uint64()))
    return schema


def _whole(texts: Sequence[str | None]) -> Iterator[int]:
    """The numbers of a column that has whole ones only; none of another."""
    found = [text.strip() for text in texts if text is not None and text.strip()]
    return iter(()) if not all(map(_WHOLE.fullmatch, found)) else map(int, found)
