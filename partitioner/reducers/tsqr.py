"""``tsqr``: the triangular factor of a tall matrix, part by part: least squares and PCA, no condition number squared.

Demmel, Grigori, Hoemmen and Langou, "Communication-optimal parallel and sequential QR and LU factorizations" (2012).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from partitioner.errors import ProgramError
from partitioner.model.data import Floats
from partitioner.reducers.base import Reducer

Factor = tuple[Floats, int]
"""R, float64[at most d, d], and how many rows it stands for."""


class Tsqr(Reducer):
    """The program returns float64[n, d]; the result is R with R.T @ R = A.T @ A over all rows, its diagonal not negative."""

    name = "tsqr"
    takes = "data"
    commutative = True
    mergeable = True

    def create_accumulator(self) -> Factor | None:
        """No rows."""
        return None

    def add_input(self, accumulator: Factor | None, value: Any) -> Factor | None:
        """With the rows of one output. Raises ProgramError where that is no matrix."""
        rows = np.asarray(value, np.float64)
        if rows.ndim != 2:
            raise ProgramError(
                f"The program returned an array of shape {rows.shape}; tsqr needs rows of a matrix, (n, d)."
            )
        return self.merge_accumulators(accumulator, (triangle(rows), len(rows)))

    def merge_accumulators(self, left: Factor | None, right: Factor | None) -> Factor | None:
        """The factor of both. Raises ProgramError where their widths differ."""
        if left is None or right is None:
            return left if right is None else right
        if left[0].shape[1] != right[0].shape[1]:
            raise ProgramError(
                f"Matrices of {left[0].shape[1]} and of {right[0].shape[1]} columns; return equal widths."
            )
        return triangle(np.vstack([left[0], right[0]])), left[1] + right[1]

    def extract_output(self, accumulator: Factor | None) -> Any:
        """``{"r": R, "rows": n}``; None of no rows."""
        return None if accumulator is None else {"r": accumulator[0], "rows": accumulator[1]}


def triangle(rows: Floats) -> Floats:
    """The triangular factor of a matrix, its diagonal not negative."""
    factor = np.linalg.qr(rows, mode="r")
    signs = np.where(np.diagonal(factor) < 0, -1.0, 1.0)
    return np.asarray(factor * signs[:, None])
