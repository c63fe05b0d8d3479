"""What a program returned, read as observations: rows of numbers with, for tables, named columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from partitioner.errors import ProgramError, clause, listed, nearest
from partitioner.frames import UNFIT, is_frame, is_index, is_series, to_numpy
from partitioner.model.data import Floats
from partitioner.reducers.columns import numbers_of


@dataclass(frozen=True, slots=True, eq=False)
class Observations:
    """n observations of d numbers: ``values`` float64[n, d], ``known`` bool[n, d] (False for a null).

    ``shape`` is that of one observation, ``()`` for plain numbers; ``names`` the d columns of a table.
    """

    values: Floats
    known: npt.NDArray[np.bool_]
    shape: tuple[int, ...]
    names: tuple[str, ...] | None = None


def count_of(value: Any) -> int:
    """How many observations ``value`` holds: the rows of a table, array, list or dict of columns; all else is one."""
    if isinstance(value, pa.Table | pa.RecordBatch):
        return int(value.num_rows)
    if isinstance(value, np.ndarray):
        return len(value) if value.ndim else 1
    if (
        isinstance(value, list | tuple | pa.Array | pa.ChunkedArray)
        or is_frame(value)
        or is_series(value)
        or is_index(value)
    ):
        return len(value)
    return min((count_of(column) for column in value.values()), default=0) if isinstance(value, dict) else 1


def observations(value: Any, columns: Sequence[str] | None = None) -> Observations:
    """``value`` as observations: a table by column (those in ``columns``), an array by its first axis, a number as one.

    A dict is a table: of its columns, or, where its values are numbers, of one row.

    Nulls of Arrow and pandas columns are left out of their column; NaN in arrays counts as the number it is.
    Raises ProgramError for what is no number, and for a column that is not there.
    """
    if isinstance(value, pa.RecordBatch):
        value = pa.Table.from_batches([value])
    if is_frame(value):
        value = pa.Table.from_pandas(value, preserve_index=False)
    if isinstance(value, dict):
        _check_names(columns or (), [str(name) for name in value])
        value = _as_table({name: value[name] for name in value if columns is None or name in columns})
    if isinstance(value, pa.Table):
        return _of_table(value, value.column_names if columns is None else columns)
    if columns is not None:
        raise ProgramError(
            f"The program returned {type(value).__name__}, which has no names of columns, and the reducer looks for "
            f"{listed(columns)}. Return a table, a data frame or a dict of columns, or leave out columns=."
        )
    if is_series(value):
        value = pa.Array.from_pandas(value)
    if isinstance(value, pa.Array | pa.ChunkedArray):
        values, known = _column(value, "")
        return Observations(values[:, None], known[:, None], ())
    array = _numbers(value)
    flat = array.reshape(len(array), -1) if array.ndim > 1 else array.reshape(-1, 1)
    return Observations(flat, np.ones(flat.shape, bool), array.shape[1:])


def _as_table(columns: dict[str, Any]) -> pa.Table:
    try:
        return pa.table({str(name): column if np.ndim(column) else [column] for name, column in columns.items()})
    except (ValueError, *UNFIT) as error:
        raise ProgramError(
            f"The program returned a dict that is no table: {clause(error)}. Return columns of equal length, or one number "
            "each."
        ) from error


def _of_table(table: pa.Table, names: Sequence[str]) -> Observations:
    _check_names(names, table.column_names)
    values, known = np.empty((table.num_rows, len(names))), np.empty((table.num_rows, len(names)), bool)
    for i, name in enumerate(names):
        values[:, i], known[:, i] = _column(table[name], name)
    return Observations(values, known, (len(names),), tuple(names))


def _check_names(wanted: Sequence[str], known: list[str]) -> None:
    for name in wanted:
        if name not in known:
            raise ProgramError(
                f"The program's output has no column {name!r}; it has {listed(known) or 'none'}.{nearest(name, known)}"
            )


def _column(column: Any, name: str) -> tuple[Floats, npt.NDArray[np.bool_]]:
    numbers = numbers_of(column, name, remedy="Return only columns of numbers, or choose another reducer.")
    return to_numpy(numbers.fill_null(0.0)), to_numpy(numbers.is_valid())


def _numbers(value: Any) -> Floats:
    try:
        if np.iscomplexobj(value):
            raise TypeError("complex numbers have no order and no float64")
        array = np.asarray(value, np.float64)
    except (TypeError, ValueError) as error:
        raise ProgramError(
            f"The program returned {type(value).__name__}; the reducer needs numbers, real ones: a number, an array, "
            "a table or a data frame."
        ) from error
    return array if array.ndim else array.reshape(1)
