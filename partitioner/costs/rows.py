"""Cost by row count."""

from __future__ import annotations

from typing import Any

import numpy as np

from partitioner.costs.base import CostModel, checked
from partitioner.costs.memory import MEMORY_PER_BYTE, from_bytes, positive
from partitioner.errors import CostError
from partitioner.model import Costs, Dataset
from partitioner.model.data import Floats


class Rows(CostModel):
    """Every row costs the same.

    ``seconds_per_row`` makes the costs seconds; without it their unit is ``"rows"`` and only shares are meant.
    Memory is ``memory_per_byte`` times the bytes of a fragment. ``count=True`` reads fragments whose row count the
    connector cannot tell (CSV, JSON lines) to count them.
    """

    name = "rows"

    def __init__(
        self, seconds_per_row: float | None = None, memory_per_byte: float = MEMORY_PER_BYTE, count: bool = False
    ) -> None:
        positive("seconds_per_row", seconds_per_row)
        positive("memory_per_byte", memory_per_byte)
        self.seconds_per_row = seconds_per_row
        self.memory_per_byte = memory_per_byte
        self.count = count

    def estimate(self, dataset: Dataset) -> Costs:
        """Costs of n fragments; CostError where a row count is unknown and ``count`` is off."""
        rows = self._rows(dataset)
        rate = self.seconds_per_row
        details: dict[str, Any] = {"model": "rows", "memory": f"{self.memory_per_byte:g} x bytes"}
        if rate is not None:
            details["coefficients"] = {"rows": {"value": rate, "unit": "s/row"}}
        costs = Costs(
            rows * np.float64(1.0 if rate is None else rate),
            from_bytes(dataset.fragments, self.memory_per_byte),
            unit="rows" if rate is None else "seconds",
            source=self.name,
            details=details,
        )
        return checked(costs, dataset)

    def _rows(self, dataset: Dataset) -> Floats:
        rows = dataset.fragments.rows.astype(np.float64)
        unknown = np.flatnonzero(rows < 0)
        if not len(unknown):
            return rows
        if dataset.divisible_by == "rows" and dataset.source.narrowed():  # how many are kept is open; all are read
            return np.where(rows < 0, dataset.fragments.stop - dataset.fragments.start, rows).astype(np.float64)
        if not self.count:
            first = int(unknown[0])
            raise CostError(
                f"cost 'rows': the row count of {len(unknown)} of {len(rows)} fragments is not known without reading, "
                f"first fragment {first}, {dataset.fragments[first].name}; use cost='bytes', "
                "or {model: rows, count: true} to read and count them."
            )
        for i in unknown:
            fragment = dataset.fragments[int(i)]
            rows[i] = sum(batch.num_rows for batch in dataset.source.read(fragment))
        return rows
