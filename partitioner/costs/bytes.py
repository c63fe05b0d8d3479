"""Cost by size."""

from __future__ import annotations

from typing import Any

import numpy as np

from partitioner.costs.base import CostModel, checked
from partitioner.costs.memory import MEMORY_PER_BYTE, from_bytes, positive
from partitioner.model import Costs, Dataset


class Bytes(CostModel):
    """Every byte costs the same.

    ``seconds_per_byte`` makes the costs seconds; without it their unit is ``"bytes"`` and only shares are meant.
    Memory is ``memory_per_byte`` times the bytes of a fragment.
    """

    name = "bytes"

    def __init__(self, seconds_per_byte: float | None = None, memory_per_byte: float = MEMORY_PER_BYTE) -> None:
        positive("seconds_per_byte", seconds_per_byte)
        positive("memory_per_byte", memory_per_byte)
        self.seconds_per_byte = seconds_per_byte
        self.memory_per_byte = memory_per_byte

    def estimate(self, dataset: Dataset) -> Costs:
        """Costs of n fragments, from their sizes alone."""
        rate = self.seconds_per_byte
        size = np.asarray(dataset.fragments.bytes, np.float64)
        details: dict[str, Any] = {"model": "bytes", "memory": f"{self.memory_per_byte:g} x bytes"}
        if rate is not None:
            details["coefficients"] = {"bytes": {"value": rate, "unit": "s/byte"}}
        costs = Costs(
            size if rate is None else size * rate,
            from_bytes(dataset.fragments, self.memory_per_byte),
            unit="bytes" if rate is None else "seconds",
            source=self.name,
            details=details,
        )
        return checked(costs, dataset)
