"""The contract of a cost model, and the checks that every estimate passes."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from partitioner.errors import CostError
from partitioner.model import Costs, Dataset


class CostModel(Protocol):
    """Seconds and bytes from a described dataset. Pure: the same dataset gives the same costs."""

    name: str

    def estimate(self, dataset: Dataset) -> Costs:
        """Costs of the n fragments of ``dataset``; may read a sample through ``dataset.source`` if the model says so."""
        ...


def checked(costs: Costs, dataset: Dataset) -> Costs:
    """``costs`` unchanged, or CostError naming the first fragment whose seconds or bytes are negative, NaN or infinite."""
    for name, values, unit in (("seconds", costs.seconds, "s"), ("memory_bytes", costs.memory_bytes, "bytes")):
        bad = np.flatnonzero(~(np.isfinite(values) & (values >= 0)))
        if len(bad):
            i = int(bad[0])
            more = f" (and {len(bad) - 1} more)" if len(bad) > 1 else ""
            raise CostError(
                f"cost {costs.source!r} gave {name} = {values[i]} {unit} for fragment {i}, "
                f"{dataset.fragments[i].name}{more}; a cost is a finite number of at least 0. "
                "Mend the cost function or declare the cost of this fragment."
            )
    return costs
