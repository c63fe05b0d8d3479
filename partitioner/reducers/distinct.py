"""``distinct``: about how many different rows (or values of a column) there are, by HyperLogLog of Apache DataSketches."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from partitioner.errors import ConfigError, ProgramError, listed, nearest
from partitioner.frames import is_frame, is_series
from partitioner.model.given import check_number
from partitioner.reducers.base import Reducer


class Distinct(Reducer):
    """The program returns an array, a list, or a table of which ``column`` is counted; nulls are not counted.

    ``precision`` 4 to 21: 2^precision registers; the standard error is 0.8 / 2^(precision / 2), 0.4 % at 16.
    """

    name = "distinct"
    takes = "data"
    commutative = True
    mergeable = True

    def __init__(self, column: str | None = None, precision: int = 16) -> None:
        check_number("precision", precision, whole=True)
        if not 4 <= precision <= 21:
            raise ConfigError(f"precision is {precision}; it is from 4 to 21.")
        self.column, self.precision = column, precision

    def create_accumulator(self) -> bytes:
        """An empty sketch."""
        from datasketches import hll_sketch

        return bytes(hll_sketch(self.precision).serialize_compact())

    def add_input(self, accumulator: bytes, value: Any) -> bytes:
        """With the values of one output."""
        from datasketches import hll_sketch

        sketch = hll_sketch(self.precision)
        for item in self._values(value):
            sketch.update(item)
        return self.merge_accumulators(accumulator, bytes(sketch.serialize_compact()))

    def merge_accumulators(self, left: bytes, right: bytes) -> bytes:
        """The sketch of both."""
        from datasketches import hll_sketch, hll_union

        union = hll_union(self.precision)
        for data in (left, right):
            union.update(hll_sketch.deserialize(data))
        return bytes(union.get_result().serialize_compact())

    def extract_output(self, accumulator: bytes) -> int:
        """The estimate, a whole number; exact to a few hundred values."""
        from datasketches import hll_sketch

        estimate: float = hll_sketch.deserialize(accumulator).get_estimate()
        return round(estimate)

    def _values(self, value: Any) -> Any:
        """What is counted: each different value of the output once, as text or a number."""
        if isinstance(value, dict):
            value = pa.table(value)
        if is_frame(value):
            value = pa.Table.from_pandas(value, preserve_index=False)
        if isinstance(value, pa.Table | pa.RecordBatch):
            names = list(value.schema.names)
            name = self.column if self.column is not None or len(names) != 1 else names[0]
            if name not in names:
                raise ProgramError(
                    f"distinct counts one column, and {name!r} is not among {listed(names)}; name it with column=."
                    f"{nearest(str(name), names)}"
                )
            value = value[name]
        if is_series(value):
            value = pa.Array.from_pandas(value)
        if not isinstance(value, pa.Array | pa.ChunkedArray):
            value = pa.array(np.asarray(value).ravel())
        check_countable(value.type, self.name)
        unique = value.unique().drop_null()
        if pa.types.is_floating(unique.type):
            return [_whole(number) for number in unique.to_pylist()]
        return unique.to_pylist() if _plain(unique.type) else unique.cast(pa.string()).to_pylist()


def check_countable(kind: pa.DataType, reducer: str) -> None:
    """Raise ProgramError for values that Arrow does not compare."""
    if pa.types.is_nested(kind):
        raise ProgramError(
            f"The program's output holds {kind}, and {reducer} counts numbers, text, dates and truth values. Return one of "
            "these for each row, such as the text of the value."
        )


def _whole(number: float) -> float | int:
    """Whole numbers as integers: where some parts hold a null, pandas has made floats of the same column there."""
    return int(number) if number.is_integer() and abs(number) < 2.0**63 else number


def _plain(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_string(kind))
