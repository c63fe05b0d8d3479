"""Record batches into what a program is given: ``batch_format``. What it returns is ``attempt.returned``'s."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from partitioner import frames
from partitioner.errors import MissingDependency

if TYPE_CHECKING:
    import pandas as pd


def to_pandas(batch: pa.RecordBatch) -> pd.DataFrame:
    """A DataFrame with a fresh 0..n-1 index."""
    frame: pd.DataFrame = batch.to_pandas()
    return frame


def to_numpy(batch: pa.RecordBatch) -> dict[str, np.ndarray[Any, Any]]:
    """Column name to array; fixed-size lists become 2-d arrays, strings and binary become object arrays."""
    return {name: column_to_numpy(batch.column(i)) for i, name in enumerate(batch.schema.names)}


def column_to_numpy(column: pa.Array) -> np.ndarray[Any, Any]:
    """One column as an array of n values or, for fixed-size lists, n x size."""
    if not pa.types.is_fixed_size_list(column.type):
        return frames.to_numpy(column)
    rows = frames.to_numpy(column.drop_null().flatten()).reshape(-1, column.type.list_size)
    if not column.null_count:
        return rows
    number = rows.dtype.kind in "biuf"  # a null vector is NaN throughout, as a null number is
    kind = rows.dtype if rows.dtype.kind == "f" else np.float64 if number else object
    whole = np.full((len(column), column.type.list_size), np.nan if number else None, kind)
    whole[np.flatnonzero(np.array(column.is_valid().to_pylist(), bool))] = rows
    return whole


def to_polars(batch: pa.RecordBatch) -> Any:
    """A polars DataFrame."""
    return _package("polars").from_arrow(pa.Table.from_batches([batch]))


def to_rows(batch: pa.RecordBatch) -> list[dict[str, Any]]:
    """A list of dicts, one per row."""
    rows: list[dict[str, Any]] = batch.to_pylist()
    return rows


def to_torch(batch: pa.RecordBatch) -> dict[str, Any]:
    """Column name to tensor; columns that are no numbers stay numpy arrays of objects."""
    torch = _package("torch")
    arrays = {name: column_to_numpy(batch.column(i)) for i, name in enumerate(batch.schema.names)}
    # A tensor writes where it looks; Arrow's memory is not ours to write to.
    return {name: torch.from_numpy(a.copy()) if a.dtype.kind in "biuf" else a for name, a in arrays.items()}


NEEDS: Mapping[str, Sequence[str]] = {
    "pandas": ("pandas", "pyarrow.pandas_compat"),
    "polars": ("polars",),
    "torch": ("torch",),
}
"""What batches of a format are made with, besides Arrow and numpy."""


def import_for(batch_format: str) -> None:
    """Import what its batches are made with, so that no first batch pays for it. MissingDependency where it is missing."""
    for module in NEEDS.get(batch_format, ()):
        _package(module, batch_format)


def _package(name: str, batch_format: str = "") -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        package = name.partition(".")[0]
        raise MissingDependency(
            f'batch_format = "{batch_format or name}" needs {package} on the workers: pip install {package}'
        ) from error


FORMATS: dict[str, Callable[[pa.RecordBatch], Any]] = {
    "arrow": lambda batch: batch,
    "numpy": to_numpy,
    "pandas": to_pandas,
    "polars": to_polars,
    "rows": to_rows,
    "torch": to_torch,
}


def table_to_batch(table: pa.Table) -> pa.RecordBatch:
    """All rows of a table as one record batch."""
    batches = table.combine_chunks().to_batches()
    if len(batches) == 1:
        return batches[0]
    if batches:
        return pa.concat_batches(batches)
    return pa.RecordBatch.from_arrays([pa.array([], f.type) for f in table.schema], schema=table.schema)
