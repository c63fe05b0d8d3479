"""``max`` of everything the program returned, per column."""

from __future__ import annotations

from typing import Any

import numpy as np

from partitioner.reducers.min import Min


class Max(Min):
    """As ``min``, of which it has the options."""

    name = "max"
    nothing = -np.inf
    group_parts = ("high",)

    def _combined(self) -> Any:
        return np.maximum if self.nan == "propagate" else np.fmax
