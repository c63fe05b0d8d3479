"""``variance`` of everything the program returned, per column."""

from __future__ import annotations

from collections.abc import Sequence
from math import nan
from typing import Any

import numpy as np

from partitioner.errors import ConfigError
from partitioner.reducers.mean import Mean
from partitioner.reducers.moments import Moments


class Variance(Mean):
    """Squared deviations from the mean over n - ``ddof``: 1 (default) for the sample variance, 0 for the population's."""

    name = "variance"

    def __init__(self, ddof: int = 1, columns: Sequence[str] | None = None) -> None:
        super().__init__(columns)
        if ddof < 0:
            raise ConfigError(f"ddof = {ddof}; it is 0 (population) or 1 (sample).")
        self.ddof = ddof

    def extract_output(self, accumulator: Moments | None) -> Any:
        """A float, an array or a dict by column; NaN where there are not more than ``ddof`` observations."""
        if accumulator is None:
            return nan
        left = accumulator.count - self.ddof
        return accumulator.shaped(np.where(left > 0, accumulator.squares / np.maximum(left, 1), nan))
