"""``correlation``: Pearson's coefficients of the columns of what the program returned."""

from __future__ import annotations

from typing import Any

import numpy as np

from partitioner.reducers.statistics.covariance import Covariance


class Correlation(Covariance):
    """As ``covariance``, whatever ``ddof``; NaN for a column that never changes, 1 of a column with itself."""

    name = "correlation"

    def _matrix(self, sums: Any) -> Any:
        found = sums.covariance(0)
        spread = np.sqrt(np.diagonal(found))
        with np.errstate(invalid="ignore", divide="ignore"):
            scaled = np.clip(found / spread[:, None] / spread[None, :], -1.0, 1.0)
        changing = spread > 0
        scaled[changing, changing] = 1.0
        return scaled
