"""Named columns of what a program returned: tables in any form, numbers with a policy for what is missing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from partitioner.errors import ConfigError, ProgramError, clause, listed, nearest
from partitioner.frames import UNFIT, doubles, is_frame, is_series, to_numpy
from partitioner.model.data import Floats

MISSING = ("raise", "omit")

ELSE = "Return it as numbers, or name another column."


def table_of(value: Any, reducer: str) -> pa.Table:
    """A table, record batch, data frame or dict of columns as a table. Raises ProgramError naming the ``reducer``."""
    if isinstance(value, pa.Table):
        return value
    if isinstance(value, pa.RecordBatch):
        return pa.Table.from_batches([value])
    if is_frame(value):
        try:
            return pa.Table.from_pandas(value, preserve_index=False)
        except UNFIT as error:
            raise ProgramError(
                f"The program returned a data frame with a column of several types: {error}. Return one type in each column."
            ) from error
    if isinstance(value, dict):
        return _of_columns(value)
    raise ProgramError(
        f"The program returned {type(value).__name__}; {reducer} needs a table, a data frame or a dict of columns."
    )


def _of_columns(columns: dict[Any, Any]) -> pa.Table:
    try:
        return pa.table({str(name): _array(column) for name, column in columns.items()})
    except (TypeError, ValueError, *UNFIT) as error:
        raise ProgramError(
            f"The program returned a dict that is no table: {clause(error)}. Return columns of equal length."
        ) from error


def _array(column: Any) -> Any:
    """Rows of a matrix become lists, which Arrow does not do by itself; one value is a column of one row."""
    if isinstance(column, np.ndarray) and column.ndim > 1:
        return list(column)
    return [column] if isinstance(column, str | int | float | np.generic) else column


def taken(value: Any, places: Any, without: str) -> Any:
    """The rows at ``places``, int64[n], of what ``table_of`` takes, of the same kind, without one column."""
    if is_frame(value):
        return value.drop(columns=[without]).iloc[places]
    if isinstance(value, dict):
        return {name: _rows_of(column, places) for name, column in value.items() if str(name) != without}
    return value.drop_columns([without]).take(pa.array(places))


def sliced(value: Any, start: int, stop: int) -> Any:
    """The rows from ``start`` to before ``stop`` of what ``taken`` gives."""
    if is_frame(value):
        return value.iloc[start:stop]
    if isinstance(value, dict):
        return {name: column[start:stop] for name, column in value.items()}
    return value.slice(start, stop - start)


def _rows_of(column: Any, places: Any) -> Any:
    if isinstance(column, np.ndarray):
        return np.atleast_1d(column)[places]
    if isinstance(column, pa.Array | pa.ChunkedArray):
        return column.take(pa.array(places))
    if is_series(column):
        return column.iloc[places]
    return [column[i] for i in places] if isinstance(column, list | tuple) else [column]


def column_of(table: pa.Table, name: str) -> pa.ChunkedArray:
    """The column ``name``. Raises ProgramError with the nearest name there is."""
    if name not in table.column_names:
        known = table.column_names
        raise ProgramError(
            f"The program's output has no column {name!r}; it has {listed(known) or 'none'}.{nearest(name, known)}"
        )
    return table[name]


def check_missing(nan: str) -> str:
    """``nan``, if it says what becomes of rows with a missing value. Raises ConfigError."""
    if nan not in MISSING:
        raise ConfigError(
            f"nan = {nan!r}; it is 'raise' (name the sub-task) or 'omit' (leave those rows out)."
            f"{nearest(str(nan), list(MISSING))}"
        )
    return nan


def finite_columns(table: pa.Table, wanted: Mapping[str, str | None], nan: str) -> dict[str, Floats]:
    """float64[n] of each column by its role; a role of None is left out.

    Raises ProgramError for text and, with ``nan="raise"``, for a null, NaN or an infinity, naming column and row; with
    ``"omit"`` the rows that have one anywhere are left out.
    """
    found, good = known_columns(table, wanted, nan)
    return found if good.all() else {role: values[good] for role, values in found.items()}


def known_columns(table: pa.Table, wanted: Mapping[str, str | None], nan: str) -> tuple[dict[str, Floats], Any]:
    """As ``finite_columns``, with all rows, and bool[n]: those that have every value."""
    found, good = {}, np.ones(table.num_rows, bool)
    for role, name in wanted.items():
        if name is None:
            continue
        numbers = numbers_of(column_of(table, name), name)
        values = np.asarray(to_numpy(numbers.fill_null(float("nan"))), np.float64)
        finite = np.isfinite(values)
        if nan == "raise" and not finite.all():
            raise ProgramError(missing_message(name, int(np.argmin(finite)), int((~finite).sum())))
        found[role], good = values, good & finite
    return found, good


def missing_message(name: str, row: int, count: int) -> str:
    """What is said of a value that is none."""
    return (
        f"Column {name!r} of the program's output has a null, NaN or an infinity in row {row} ({count} in all). Fill or "
        "drop it in the program, or set nan='omit' to leave those rows out."
    )


def numbers_of(column: Any, name: str, reducer: str = "the reducer", remedy: str = ELSE) -> Any:
    """A column of Arrow as float64, its nulls with it. Raises ProgramError naming the ``reducer`` and the ``remedy``."""
    try:
        return doubles(column)
    except UNFIT as error:
        raise ProgramError(
            f"{f'Column {name!r} of the' if name else 'The'} program's output is {column.type}; {reducer} needs numbers. "
            f"{remedy}"
        ) from error


def check_weights(weights: Floats, name: str | None) -> None:
    """Raise ProgramError for a weight below 0."""
    if (weights < 0).any():
        row = int(np.argmax(weights < 0))
        raise ProgramError(f"Weight {name!r} is {weights[row]} in row {row}; weights are 0 or more.")
