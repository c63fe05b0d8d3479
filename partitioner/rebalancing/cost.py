"""Cost of every row of an Arrow batch: constant, a formula over columns, or a function of a pandas DataFrame."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from partitioner.costs.formulas.formula import Formula, parse
from partitioner.errors import ConfigError, CostError, listed, nearest
from partitioner.model.data import Floats


@dataclass(frozen=True, slots=True)
class RowCost:
    """How to cost rows; picklable if the function is. ``formula`` and ``function`` None: every row costs 1."""

    formula: Formula | None = None
    function: Callable[[Any], Any] | None = None

    @classmethod
    def of(cls, cost: str | Callable[[Any], Any], columns: Sequence[str]) -> RowCost:
        """From what the user gives. ConfigError for a formula that names no column of ``columns`` or aggregates."""
        if callable(cost):
            return cls(function=cost)
        if cost == "rows" and "rows" not in columns:
            return cls()
        formula = parse(f'column("{cost}")' if cost in columns else cost)
        if formula.aggregates:
            raise ConfigError(f"cost {cost!r} aggregates over rows; here the cost is one of every row.")
        for name in formula.names:
            if name not in columns:
                raise ConfigError(
                    f"cost {cost!r} names {name!r}; the frame has the columns {listed(columns)}."
                    f"{nearest(name, list(columns))}"
                )
        return cls(formula=formula)

    def __call__(self, batch: pa.RecordBatch | pa.Table) -> Floats:
        """float64[rows]. CostError names the first row whose cost is negative, NaN or infinite."""
        if self.formula is not None:
            values = self.formula.evaluate({name: batch.column(name) for name in self.formula.names})
        elif self.function is not None:
            values = np.asarray(self.function(batch.to_pandas()), np.float64)
            if values.shape != (batch.num_rows,):
                raise CostError(
                    f"the cost function gave shape {values.shape} for {batch.num_rows} rows; give one per row."
                )
        else:
            values = 1.0
        costs = np.array(np.broadcast_to(values, (batch.num_rows,)), np.float64)
        bad = np.flatnonzero(~(np.isfinite(costs) & (costs >= 0)))
        if len(bad):
            row = batch.slice(int(bad[0]), 1).to_pylist()[0]
            raise CostError(
                f"a row costs {costs[bad[0]]}; a cost is a finite number of at least 0. The row is {row}"[:500]
            )
        return costs
