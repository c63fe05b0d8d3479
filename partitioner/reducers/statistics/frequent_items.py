"""``frequent_items``: the most frequent values of a column and how often each is there, by a sketch of Apache DataSketches.

Misra and Gries (1982) as in Anderson et al., "A high-performance algorithm for identifying frequent items in data
streams" (2017).
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from partitioner.errors import ConfigError, listed
from partitioner.frames import is_series
from partitioner.model.given import check_number
from partitioner.reducers.base import Reducer
from partitioner.reducers.columns import column_of, table_of
from partitioner.reducers.distinct import check_countable


class FrequentItems(Reducer):
    """The program returns an array, a list, or a table of which ``column`` is counted; nulls are not counted.

    ``k`` values are told. ``precision`` 4 to 26: the sketch holds up to 0.75 * 2^precision values, exactly while there are
    not more; then a count is wrong by at most 3.5 / 2^precision of all rows, and the result says by how much at most.
    """

    name = "frequent_items"
    takes = "data"
    commutative = True
    mergeable = True

    def __init__(self, column: str | None = None, k: int = 10, precision: int = 14) -> None:
        for name, value in (("k", k), ("precision", precision)):
            check_number(name, value, whole=True)
        if not 4 <= precision <= 26:
            raise ConfigError(f"precision is {precision}; it is from 4 to 26.")
        if k < 1:
            raise ConfigError(f"k is {k}; give 1 or more values to tell.")
        self.column, self.k, self.precision = column, k, precision

    def create_accumulator(self) -> bytes:
        """An empty sketch."""
        return bytes(self._sketch().serialize())

    def add_input(self, accumulator: bytes, value: Any) -> bytes:
        """With the values of one output."""
        values = self._values(value)
        check_countable(values.type, self.name)
        counted = pc.value_counts(values.drop_null())
        sketch = self._sketch()
        for item in counted.to_pylist():
            sketch.update(_text(item["values"]), item["counts"])
        return self.merge_accumulators(accumulator, bytes(sketch.serialize()))

    def merge_accumulators(self, left: bytes, right: bytes) -> bytes:
        """The sketch of both."""
        from datasketches import frequent_strings_sketch

        merged = frequent_strings_sketch.deserialize(left)
        merged.merge(frequent_strings_sketch.deserialize(right))
        return bytes(merged.serialize())

    def extract_output(self, accumulator: bytes) -> dict[str, Any]:
        """``items``, the most frequent first: ``value``, ``count``, and the bounds ``low`` and ``high`` it surely lies in.

        ``error``: no count is wrong by more, and no value with a count above it is missing. ``rows`` are those counted.
        """
        from datasketches import frequent_items_error_type, frequent_strings_sketch

        sketch = frequent_strings_sketch.deserialize(accumulator)
        found = sketch.get_frequent_items(frequent_items_error_type.NO_FALSE_NEGATIVES)
        items = sorted(_joined(found), key=lambda item: -item["count"])[: self.k]
        return {"items": items, "error": sketch.get_upper_bound(_NEVER), "rows": sketch.total_weight}

    def _sketch(self) -> Any:
        from datasketches import frequent_strings_sketch

        return frequent_strings_sketch(self.precision)

    def _values(self, value: Any) -> Any:
        if is_series(value):
            return pa.Array.from_pandas(value)
        if isinstance(value, pa.Array | pa.ChunkedArray):
            return value
        if isinstance(value, list | tuple | np.ndarray):
            return pa.array(value.ravel() if isinstance(value, np.ndarray) else value)
        table = table_of(value, self.name)
        only = table.column_names[0] if self.column is None and table.num_columns == 1 else self.column
        if only is None:
            raise ConfigError(
                f"frequent_items counts one column; name one of {listed(table.column_names)} with column=."
            )
        return column_of(table, only)


def _joined(found: list[tuple[str, int, int, int]]) -> list[dict[str, Any]]:
    """The values in the order of their texts; 1 and 1.0 are one: pandas makes floats of a column where a part has a null."""
    items: dict[tuple[bool, Any], dict[str, Any]] = {}
    for text, *counts in sorted(found):
        value = json.loads(text)
        item = items.setdefault((isinstance(value, bool), value), {"value": value, "count": 0, "low": 0, "high": 0})
        for name, count in zip(("count", "low", "high"), counts, strict=True):
            item[name] += count
    return list(items.values())


_NEVER = "no value is written so"  # not JSON, so no value has this text


def _text(value: Any) -> str:
    """A value as the sketch holds it: numbers and text as JSON, dates and the like as text."""
    return json.dumps(value if isinstance(value, bool | int | float | str) else str(value), ensure_ascii=False)
