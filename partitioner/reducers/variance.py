"""``variance`` of everything the program returned, per column."""

from __future__ import annotations

from collections.abc import Sequence
from math import nan as not_a_number
from typing import Any

from partitioner.errors import ConfigError
from partitioner.reducers.mean import Mean
from partitioner.reducers.totals import Totals


class Variance(Mean):
    """Squared deviations from the mean over n - ``ddof``: 1 (default) for the sample variance, 0 for the population's.

    From exact sums of the numbers and of their squares, rounded once: nothing cancels, whatever the mean.
    """

    name = "variance"
    squares = True

    def __init__(self, ddof: int = 1, columns: Sequence[str] | None = None, nan: str = "raise") -> None:
        super().__init__(columns, nan)
        if ddof < 0:
            raise ConfigError(f"ddof = {ddof}; it is 0 (population) or 1 (sample).")
        self.ddof = ddof

    def extract_output(self, accumulator: Totals | None) -> Any:
        """A float, an array or a dict by column; NaN where there are not more than ``ddof`` observations."""
        return not_a_number if accumulator is None else accumulator.shaped(accumulator.variance(self.ddof))
