"""Record batches into what a program is given, and what it returns into record batches."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from partitioner import frames
from partitioner.errors import ProgramError
from partitioner.frames import is_frame, is_series, to_array

if TYPE_CHECKING:
    import pandas as pd

RESULT = "result"  # the column of outputs that have no name


def to_pandas(batch: pa.RecordBatch) -> pd.DataFrame:
    """A DataFrame with a fresh 0..n-1 index."""
    frame: pd.DataFrame = batch.to_pandas()
    return frame


def to_numpy(batch: pa.RecordBatch) -> dict[str, np.ndarray[Any, Any]]:
    """Column name to array; fixed-size lists become 2-d arrays, strings and binary become object arrays."""
    return {name: column_to_numpy(batch.column(i)) for i, name in enumerate(batch.schema.names)}


def column_to_numpy(column: pa.Array) -> np.ndarray[Any, Any]:
    """One column as an array of n values or, for fixed-size lists, n x size."""
    if pa.types.is_fixed_size_list(column.type):
        return frames.to_numpy(column.flatten()).reshape(len(column), column.type.list_size)
    return frames.to_numpy(column)


FORMATS: dict[str, Callable[[pa.RecordBatch], Any]] = {
    "arrow": lambda batch: batch,
    "numpy": to_numpy,
    "pandas": to_pandas,
}


def to_record_batch(value: Any) -> pa.RecordBatch:
    """One output of a program as a record batch.

    Accepts a DataFrame, Series, Arrow table or batch, dict of columns, array (1-d, or 2-d as one list column), or list
    of rows (dicts) or values. Raises ProgramError naming the type otherwise.
    """
    if isinstance(value, pa.RecordBatch):
        return value
    if isinstance(value, pa.Table):
        return table_to_batch(value)
    if is_frame(value):
        return pa.RecordBatch.from_pandas(value, preserve_index=False).replace_schema_metadata(None)
    if is_series(value):
        name = RESULT if value.name is None else str(value.name)
        return pa.RecordBatch.from_arrays([pa.Array.from_pandas(value)], [name])
    if isinstance(value, dict):
        return pa.RecordBatch.from_arrays([_column(v) for v in value.values()], [str(k) for k in value])
    if isinstance(value, np.ndarray):
        return pa.RecordBatch.from_arrays([_column(value)], [RESULT])
    if isinstance(value, list):
        if value and all(isinstance(row, dict) for row in value):
            return pa.RecordBatch.from_pydict({name: to_array([row.get(name) for row in value]) for name in value[0]})
        return pa.RecordBatch.from_arrays([to_array(value)], [RESULT])
    raise ProgramError(
        f"the program returned {type(value).__name__}; for reducer 'concat' return a DataFrame, Series, Arrow table, "
        "dict of columns, array or list with one entry per row, or choose another reducer."
    )


def _column(values: Any) -> pa.Array:
    if isinstance(values, pa.Array):
        return values
    array = np.asarray(values) if not is_series(values) else values
    if isinstance(array, np.ndarray) and array.ndim > 1:
        flat = pa.array(np.ascontiguousarray(array).reshape(-1))
        return pa.FixedSizeListArray.from_arrays(flat, int(np.prod(array.shape[1:])))
    return to_array(values, nan_is_null=True) if isinstance(values, list) else pa.array(array, from_pandas=True)


def table_to_batch(table: pa.Table) -> pa.RecordBatch:
    """All rows of a table as one record batch."""
    batches = table.combine_chunks().to_batches()
    if len(batches) == 1:
        return batches[0]
    return pa.RecordBatch.from_arrays([pa.array([], f.type) for f in table.schema], schema=table.schema)
