"""The size of the next batch, from how long the batches before it took."""

from __future__ import annotations

from collections import deque
from math import inf

import numpy as np

from partitioner.errors import ConfigError
from partitioner.model.data import Floats

KEPT = 100
"""Observations the fit looks at."""


class AutoSize:
    """Fits seconds = fixed + rate * size and asks for batches of ``target_seconds``, as Beam's BatchElements does.

    Sizes are in rows or in weight. The first observation is dropped (imports, lazily built state); until the fit says
    otherwise sizes double from a single row, and never grow faster. The smallest size observed stays in the fit, else equal
    batches would leave the fixed part unknown. Where the fixed part alone is above half of the target,
    a batch is made large enough for its rows to take as long as the fixed part.
    """

    __slots__ = ("_seen", "_smallest", "_target", "_warm")

    def __init__(self, target_seconds: float = 1.0) -> None:
        if not target_seconds > 0:
            raise ConfigError(f"target_batch_seconds = {target_seconds}; it is a number of seconds above 0.")
        self._target = target_seconds
        self._seen: deque[tuple[float, float]] = deque(maxlen=KEPT)
        self._smallest: tuple[float, float] | None = None
        self._warm = False

    def observe(self, size: float, seconds: float) -> None:
        """A batch of ``size`` took ``seconds``."""
        if self._warm and size > 0:
            self._seen.append((size, seconds))
            if self._smallest is None or size < self._smallest[0]:
                self._smallest = size, seconds
        self._warm = True

    def size(self) -> float:
        """The size to aim for; 0, which stands for a single row, while nothing was observed."""
        if self._smallest is None:
            return 0.0
        sizes, seconds = np.array([self._smallest, *self._seen]).T
        double = 2 * float(sizes.max())
        if double == 2 * self._smallest[0]:
            return double
        fixed, rate = _line(sizes, seconds)
        wanted = max(self._target - fixed, fixed) / rate if rate > 0 else inf
        return min(wanted * (1 + 1e-9), double)


def _line(sizes: Floats, seconds: Floats) -> tuple[float, float]:
    """Least squares with fixed part and rate of at least 0; the sizes are not all equal."""
    apart = sizes - sizes.mean()
    rate = float(apart @ seconds) / float(apart @ apart)
    fixed = float(seconds.mean()) - rate * float(sizes.mean())
    if rate <= 0 or fixed < 0:
        return 0.0, float(sizes @ seconds) / float(sizes @ sizes)
    return fixed, rate
