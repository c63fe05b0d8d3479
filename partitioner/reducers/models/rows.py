"""What a program returned as a matrix of features with labels: tables, arrays, sparse matrices, or (X, y)."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NoReturn

import numpy as np
import pyarrow as pa

from partitioner.errors import ConfigError, ProgramError, clause
from partitioner.frames import decoded, is_frame, to_numpy, vectors
from partitioner.model.data import Floats
from partitioner.reducers.columns import column_of, numbers_of, table_of

DENSE_BYTES = 2 << 30
"""Of a sparse matrix as a dense one: more than a slot has to spare beside its program."""


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """``x`` float64[n, f], ``y`` n labels or None, the ``names`` of the f columns of a table, ``weights`` or None.

    With ``Layout.sparse`` the ``x`` of a sparse matrix is a CSR matrix, with ``Layout.wide`` ``y`` may be n x k.
    """

    x: Any
    y: Any
    names: tuple[str, ...] | None
    weights: Floats | None = None


@dataclass(frozen=True, slots=True)
class Layout:
    """Where features and labels are in an output.

    ``features``: a column of vectors, a list of columns, or None for all but the ``label``; ``label`` None for none.
    ``missing``: whether features may be null or NaN. ``weight``: the column of the weights of rows, None for none.
    ``sparse``: sparse matrices stay sparse. ``wide``: labels may be a matrix, several of each row; ``labels``: its columns
    in a table, of which ``label`` is the first.
    """

    features: str | tuple[str, ...] | None = None
    label: str | None = None
    missing: bool = False
    weight: str | None = None
    sparse: bool = False
    wide: bool = False
    labels: tuple[str, ...] = ()

    @classmethod
    def of(cls, features: str | Sequence[str] | None, label: str | None = None, missing: bool = False) -> Layout:
        """From what a user writes. Raises ConfigError where the label is among the features."""
        if not isinstance(features, str) and features is not None:
            features = tuple(features)
            if label in features:
                raise ConfigError(f"features name the label {label!r} too; leave it out of them.")
        return cls(features, label, missing)

    def read(self, value: Any, reducer: str) -> Rows:
        """The rows of one output. Raises ProgramError for what is no matrix of numbers, or lacks a label or weight."""
        if isinstance(value, tuple) and self.weight is not None and len(value) == (2 if self.label is None else 3):
            rest = value[:2] if self.label is not None else value[0]
            found = replace(self, weight=None).read(rest, reducer)
            return replace(found, weights=_weights(value[-1], found.x.shape[0], "the last of the tuple"))
        if isinstance(value, tuple) and len(value) == 2 and self.label is not None:
            inner = Layout(self.features, None, self.missing, sparse=self.sparse).read(value[0], reducer)
            return Rows(inner.x, _labels(np.asarray(value[1]), inner.x.shape[0], self.wide), inner.names)
        if isinstance(value, pa.Table | pa.RecordBatch | dict) or is_frame(value):
            return self._of_table(table_of(value, reducer), reducer)
        if self.label is not None:
            raise ProgramError(
                f"The program returned {type(value).__name__}; {reducer} needs a table with the column {self.label!r}, or "
                f"a tuple (X, y){'' if self.weight is None else ' or (X, y, weights)'}."
            )
        x = _sparse(value, reducer) if self.sparse and _is_sparse(value) else _matrix(value, reducer)
        return Rows(self._checked(x, None), None, None)

    def columns(self, table: pa.Table) -> list[str]:
        """The names of the features. Raises ProgramError for one that is not there."""
        if self.features is None:
            return [name for name in table.column_names if name not in (self.label, self.weight, *self.labels)]
        names = [self.features] if isinstance(self.features, str) else list(self.features)
        for name in names:
            column_of(table, name)
        return names

    def _of_table(self, table: pa.Table, reducer: str) -> Rows:
        y = None if self.label is None else self._labels_of(table, self.label)
        names = self.columns(table)
        if self.weight is not None:
            w = _numbers(column_of(table, self.weight), self.weight, reducer)
            inner = replace(self, weight=None, features=self.features or tuple(names))
            found = inner._of_table(table, reducer)
            return replace(found, weights=_weights(w, table.num_rows, f"column {self.weight!r}"))
        if len(names) == 1 and _is_vectors(table[names[0]].type):
            return Rows(self._checked(_vectors(table[names[0]], names[0]), None), y, None)
        columns = [_numbers(table[name], name, reducer) for name in names]
        x = np.column_stack(columns) if columns else np.empty((table.num_rows, 0))
        return Rows(self._checked(x, names), y, tuple(names))

    def _labels_of(self, table: pa.Table, label: str) -> Any:
        """n labels, or n x k: of several columns, or of one of vectors."""
        if self.labels:
            return np.column_stack([_label_column(column_of(table, name), name) for name in self.labels])
        column = column_of(table, label)
        return _vectors(column, label) if self.wide and _is_vectors(column.type) else _label_column(column, label)

    def _checked(self, x: Any, names: list[str] | None) -> Any:
        if _is_sparse(x):
            if np.isfinite(x.data).all():
                return x
            row = int(np.searchsorted(x.indptr, np.argmin(np.isfinite(x.data)), "right")) - 1
            x = x[row : row + 1].toarray()  # the first row that has one, as dense ones are told
            return self._refused(x, ~np.isfinite(x), names, row)
        bad = np.isinf(x) if self.missing else ~np.isfinite(x)
        return self._refused(x, bad, names) if bad.any() else x

    def _refused(self, x: Floats, bad: Any, names: list[str] | None, first: int = 0) -> NoReturn:
        row, column = np.argwhere(bad)[0].tolist()
        word = f"column {names[column]!r}" if names else f"feature {column}"
        raise ProgramError(
            f"The program returned {x[row, column]} in {word} of row {row + first} of its output ({int(bad.sum())} in all); "
            "fill or drop it in the program."
        )


def _is_sparse(value: Any) -> bool:
    return "scipy.sparse" in sys.modules and bool(sys.modules["scipy.sparse"].issparse(value))


def _sparse(value: Any, reducer: str) -> Any:
    """CSR, entries of one place added up, in memory of its own. Raises ProgramError for what has no numbers or no rows."""
    from scipy.sparse import csr_matrix

    if value.ndim != 2 or value.dtype.kind not in "biuf":
        raise ProgramError(
            f"The program returned a sparse array of {value.dtype} and shape {value.shape}; {reducer} needs numbers, (n, f)."
        )
    found = csr_matrix(value, dtype=np.float64, copy=True)
    found.sum_duplicates()
    return found


def _matrix(value: Any, reducer: str) -> Floats:
    if _is_sparse(value):
        size = value.shape[0] * value.shape[1] * 8
        if size > DENSE_BYTES:
            raise ProgramError(
                f"The program returned a sparse matrix of shape {value.shape}, {size / 1e9:.1f} GB as the dense matrix that "
                f"{reducer} needs; the limit is {DENSE_BYTES / 1e9:.1f} GB. Return fewer rows at a time (batch_size), or "
                "fewer features."
            )
        value = value.toarray()
    try:
        x = np.asarray(value, np.float64)
    except (TypeError, ValueError) as error:
        raise ProgramError(
            f"The program returned {type(value).__name__}; {reducer} needs numbers: a matrix, or a table of them."
        ) from error
    if x.ndim != 2:
        raise ProgramError(
            f"The program returned an array of shape {x.shape}; {reducer} needs rows of a matrix, (n, f)."
        )
    return x


def class_labels(y: Any, name: str | None) -> Any:
    """The n labels of classes. Raises ProgramError for a label that is missing, has a fraction, or is of another type."""
    labels = np.asarray(y)
    missing = np.array([label is None or label != label for label in labels.tolist()], bool)
    if missing.any():
        raise ProgramError(
            f"Row {int(np.argmax(missing))} of an output has no label {name!r} ({int(missing.sum())} in all); drop such "
            "rows in the program."
        )
    if labels.dtype.kind == "f" and (labels != np.floor(labels)).any():
        row = int(np.argmax(labels != np.floor(labels)))
        raise ProgramError(
            f"Label {name!r} is {labels[row]} in row {row} of an output; labels are classes: text, or numbers without "
            "fractions."
        )
    kinds = sorted({type(label).__name__ for label in labels.tolist()}) if labels.dtype.kind == "O" else []
    if len(kinds) > 1:
        raise ProgramError(f"Labels {name!r} are {' and '.join(kinds)} in one output; return one type.")
    return labels


def _labels(y: Any, rows: int, wide: bool) -> Any:
    if y.shape != (rows,) and not (wide and y.ndim == 2 and len(y) == rows and y.shape[1]):
        raise ProgramError(
            f"The program returned {rows} rows of features and labels of shape {y.shape}; return one each."
        )
    return y


def _weights(given: Any, rows: int, what: str) -> Floats:
    weights = np.asarray(given, np.float64)
    if weights.shape != (rows,):
        raise ProgramError(f"{what} has the shape {weights.shape} for {rows} rows; return one weight for each.")
    bad = ~(np.isfinite(weights) & (weights >= 0))
    if bad.any():
        row = int(np.argmax(bad))
        raise ProgramError(
            f"the weight in row {row} of an output ({what}) is {weights[row]}; weights are finite, 0 or more."
        )
    return weights


def _label_column(column: pa.ChunkedArray, name: str) -> Any:
    if column.null_count:
        raise ProgramError(f"Column {name!r} has {column.null_count} rows without a label; drop them in the program.")
    return np.asarray(to_numpy(decoded(column)))


def _is_vectors(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind) or pa.types.is_large_list(kind))


def _vectors(column: pa.ChunkedArray, name: str) -> Floats:
    try:
        return vectors(column)
    except ValueError as error:
        raise ProgramError(f"Column {name!r} {clause(error)}.") from error


def _numbers(column: pa.ChunkedArray, name: str, reducer: str) -> Floats:
    numbers = numbers_of(column, name, reducer, "Name others with features=.")
    return np.asarray(to_numpy(numbers.fill_null(np.nan)), np.float64)


def same_columns(left: Any, right: Any, besides: int = 0) -> None:
    """Raise ProgramError where two partial results have other columns; both have ``names`` and ``width``.

    ``besides``: how many of the width are no features.
    """
    if (left.names, left.width) != (right.names, right.width):
        first, later = (part.names or part.width - besides for part in (left, right))
        raise ProgramError(
            f"The program returned columns {first} first and {later} later; return the same columns (of sparse rows, "
            "give their width)."
        )
