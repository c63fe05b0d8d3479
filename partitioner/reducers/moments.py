"""Counts, means and sums of squared deviations that merge without cancellation.

Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances" (1979).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from partitioner.errors import ProgramError
from partitioner.model.data import Floats
from partitioner.reducers.observations import Observations


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """float64[d] each: ``count`` of observations, their ``mean``, and ``squares``, the squared deviations from it summed.

    ``shape`` and ``names`` as in ``Observations``.
    """

    count: Floats
    mean: Floats
    squares: Floats
    shape: tuple[int, ...]
    names: tuple[str, ...] | None

    @classmethod
    def of(cls, seen: Observations) -> Moments:
        """Of one output, in two passes."""
        count = seen.known.sum(axis=0).astype(np.float64)
        mean = np.where(seen.known, seen.values, 0.0).sum(axis=0) / np.maximum(count, 1)
        apart = np.where(seen.known, seen.values - mean, 0.0)
        return cls(count, mean, (apart * apart).sum(axis=0), seen.shape, seen.names)

    def merged(self, later: Moments) -> Moments:
        """Both as one. Raises ProgramError where their columns or shapes differ."""
        if (self.shape, self.names) != (later.shape, later.names):
            raise ProgramError(
                f"The program returned {_words(self)} first and {_words(later)} later; outputs that are "
                "averaged need the same columns every time."
            )
        count = self.count + later.count
        share = later.count / np.maximum(count, 1)
        delta = later.mean - self.mean
        mean = np.where(later.count == 0, self.mean, np.where(self.count == 0, later.mean, self.mean + delta * share))
        squares = self.squares + later.squares + delta * delta * self.count * share
        return Moments(count, mean, squares, self.shape, self.names)

    def shaped(self, values: Floats) -> Any:
        """Per-column ``values`` as the program's outputs were: a float, an array, or a dict by column name."""
        if self.names is not None:
            return dict(zip(self.names, values.tolist(), strict=True))
        return values.reshape(self.shape) if self.shape else float(values[0])


def _words(moments: Moments) -> str:
    if moments.names is not None:
        return f"columns {', '.join(moments.names)}"
    return f"observations of shape {moments.shape}"
