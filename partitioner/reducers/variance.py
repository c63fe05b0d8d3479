"""``variance`` of everything the program returned, per column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import nan as not_a_number
from typing import Any

import numpy as np

from partitioner.errors import ConfigError
from partitioner.model.given import check_number
from partitioner.reducers.mean import Mean
from partitioner.reducers.totals import Totals


class Variance(Mean):
    """Squared deviations from the mean over n - ``ddof``: 1 (default) for the sample variance, 0 for the population's.

    From exact sums of the numbers and of their squares, rounded once: nothing cancels, whatever the mean.
    """

    name = "variance"
    squares = True
    group_parts = ("count", "mean", "squares")

    def __init__(self, ddof: int = 1, columns: str | Sequence[str] | None = None, nan: str = "raise") -> None:
        super().__init__(columns, nan)
        check_number("ddof", ddof, whole=True)
        if ddof < 0:
            raise ConfigError(f"ddof = {ddof}; it is 0 (population) or 1 (sample).")
        self.ddof = ddof

    def _of_groups(self, parts: Mapping[str, Any]) -> Any:
        left = parts["count"] - self.ddof
        return np.where(left > 0, parts["squares"] / np.maximum(left, 1), not_a_number)

    def extract_output(self, accumulator: Totals | None) -> Any:
        """A float, an array or a dict by column; NaN where there are not more than ``ddof`` observations."""
        return not_a_number if accumulator is None else accumulator.shaped(accumulator.variance(self.ddof))
