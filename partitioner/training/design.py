"""From a record batch to what models are fitted to: a matrix of features, dense or sparse, and labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from partitioner.errors import ConfigError, DataError, clause, listed, nearest
from partitioner.frames import UNFIT, doubles, to_numpy, vectors

SPARSE = ("indices", "values")
"""The columns of a sparse row, as the libsvm connector gives them."""


@dataclass(frozen=True, slots=True)
class Design:
    """Where features and labels are.

    ``features``: a column of vectors, a list of columns of numbers, or None for the sparse columns ``indices`` and
    ``values`` where they are there, and else for every column but the label. ``width`` is the number of features of sparse
    rows; without it a partition has as many as its largest index says. ``label`` None: no labels. ``missing``: nulls and
    NaN of features are let through, as NaN. ``weight``: the column of the weights of rows, no feature; None for none.
    ``targets``: where labels are a matrix its columns, of which ``label`` is the first.
    """

    features: str | tuple[str, ...] | None = None
    label: str | None = None
    width: int | None = None
    missing: bool = False
    weight: str | None = None
    targets: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        features: str | Sequence[str] | None,
        label: str | None,
        width: int | None = None,
        weight: str | None = None,
    ) -> Design:
        """From what a user writes."""
        if isinstance(features, str) or features is None:
            return cls(features, label, width, weight=weight)
        if label in features:
            raise ConfigError(f"features name the label {label!r} too; leave it out of them.")
        return cls(tuple(features), label, width, weight=weight)

    def matrix(self, batch: pa.RecordBatch) -> Any:
        """float64[n, f], or a CSR matrix of sparse rows. Raises DataError for missing columns, nulls and NaN."""
        names = batch.schema.names
        if isinstance(self.features, str):
            found = _vectors(_column(batch, self.features), self.features, self.missing)
        elif self.features is None and set(SPARSE) <= set(names):
            return self._sparse(batch)
        else:
            wanted = (
                [n for n in names if n not in (self.label, self.weight, *self.targets)]
                if self.features is None
                else self.features
            )
            columns = [_numbers(_column(batch, n), n, self.missing) for n in wanted]
            found = np.column_stack(columns) if columns else np.empty((batch.num_rows, 0))
        bad = np.isinf(found) if self.missing else ~np.isfinite(found)
        if bad.any():
            row, column = np.argwhere(bad)[0].tolist()
            raise DataError(
                f"feature {column} of row {row} of a partition is {found[row, column]}; fill or drop it first."
            )
        return found

    def labels(self, batch: pa.RecordBatch) -> Any:
        """The n labels, or n x k of ``targets``."""
        if self.targets:
            of_each = (replace(self, targets=(), label=name) for name in self.targets)
            return np.column_stack([one.labels(batch) for one in of_each])
        if self.label is None:
            raise ConfigError("label is None; name the column of the labels.")
        column = _column(batch, self.label)
        if column.null_count:
            raise DataError(f"column {self.label!r} has {column.null_count} rows without a label; drop them first.")
        return np.asarray(to_numpy(column))

    def weights(self, batch: pa.RecordBatch) -> Any:
        """float64[n], the weights of the rows."""
        assert self.weight is not None, "there is a column of weights"
        return _numbers(_column(batch, self.weight), self.weight)

    def _sparse(self, batch: pa.RecordBatch) -> Any:
        from scipy.sparse import csr_matrix

        indices, values = batch["indices"], batch["values"]
        starts = to_numpy(indices.offsets)
        inner = to_numpy(indices.flatten())
        width = self.width or int(inner.max(initial=-1)) + 1
        if inner.size and inner.max() >= width:
            raise DataError(f"feature {int(inner.max())} lies beyond width={width}; give a larger width.")
        return csr_matrix((to_numpy(values.flatten()), inner, starts - starts[0]), (batch.num_rows, width))


def _column(batch: pa.RecordBatch, name: str) -> pa.Array:
    if name not in batch.schema.names:
        names = list(batch.schema.names)
        raise DataError(f"the dataset has no column {name!r}; it has {listed(names)}.{nearest(name, names)}")
    return batch[name]


def _numbers(column: pa.Array, name: str, missing: bool = False) -> Any:
    if column.null_count and not missing:
        raise DataError(f"column {name!r} has {column.null_count} nulls in a partition; fill or drop them first.")
    try:
        return to_numpy(doubles(column))
    except UNFIT as error:
        raise DataError(f"column {name!r} is {column.type}; features are numbers. Leave it out of features.") from error


def _vectors(column: pa.Array, name: str, missing: bool = False) -> Any:
    """n x f of a column of lists, fixed-size lists or bytes (pixels) of equal length."""
    kind = column.type
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
        return _bytes(column.to_pylist(), name)
    if not pa.types.is_nested(kind):
        return _numbers(column, name, missing).reshape(len(column), 1)
    try:
        return vectors(column)
    except ValueError as error:
        raise DataError(f"column {name!r} {clause(error)}.") from error


def _bytes(values: list[bytes | None], name: str) -> Any:
    """n x f of n texts of f bytes each."""
    if len({None if value is None else len(value) for value in values}) > 1 or None in values:
        raise DataError(f"column {name!r} holds nulls, or bytes of different lengths; a matrix needs equal ones.")
    flat = np.frombuffer(b"".join(value for value in values if value is not None), np.uint8)
    return flat.astype(np.float64).reshape(len(values), len(flat) // max(len(values), 1))
