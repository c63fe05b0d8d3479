"""The weight of every row of a record batch: a column, an expression over columns, or a function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa

from partitioner.costs.formulas.formula import parse
from partitioner.errors import ConfigError, CostError, DataError, excerpt, listed, nearest
from partitioner.model.data import Floats


class RowWeight:
    """``weight`` is an expression such as ``"len(text)"`` or ``"tokens"``, or a function of a record batch.

    ``columns`` are those an expression reads: they must be among the columns read, whether the program wants them or not.
    """

    __slots__ = ("_formula", "_function", "columns")

    def __init__(self, weight: str | Callable[[pa.RecordBatch], Any]) -> None:
        self._formula = parse(weight) if isinstance(weight, str) else None
        self._function = None if isinstance(weight, str) else weight
        self.columns = self._formula.names if self._formula is not None else ()
        if self._formula is not None and self._formula.aggregates:
            raise ConfigError(
                f"weight {excerpt(weight)} has one value for all rows; give one per row, without sum, mean, min or max."
            )
        if self._formula is None and not callable(weight):
            raise ConfigError(
                f"weight = {excerpt(weight)}; it is a column, an expression such as 'len(text)', or a function."
            )

    def of(self, rows: pa.RecordBatch) -> Floats:
        """float64[rows]. DataError for a missing column, CostError for a weight that is no finite number of at least 0."""
        values = np.asarray(self._values(rows), np.float64)
        weights = np.broadcast_to(values, rows.num_rows) if values.ndim == 0 else values
        if weights.shape != (rows.num_rows,):
            raise CostError(
                f"weight gave {weights.shape} values for {rows.num_rows} rows; it gives one number per row."
            )
        bad = np.flatnonzero(~(np.isfinite(weights) & (weights >= 0)))
        if len(bad):
            i = int(bad[0])
            raise CostError(
                f"weight gave {weights[i]} for row {i} of a batch of {rows.num_rows}; "
                "a weight is a finite number of at least 0."
            )
        return weights

    def _values(self, rows: pa.RecordBatch) -> Any:
        if self._formula is None:
            assert self._function is not None
            return self._function(rows)
        for name in self.columns:
            if name not in rows.schema.names:
                known = rows.schema.names
                raise DataError(f"weight reads column {name!r}; there are {listed(known)}.{nearest(name, known)}")
        return self._formula.evaluate({name: rows[name] for name in self.columns})
