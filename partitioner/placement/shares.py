"""Fair shares: whole units by largest remainder, and how much of what was asked was granted."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from partitioner.errors import ConfigError
from partitioner.model.data import Floats, Ints


def capability_shares(capability: npt.ArrayLike) -> Floats:
    """Each capability's part of their sum; ConfigError unless they are at least 0 and not all 0."""
    values = np.asarray(capability, np.float64)
    if np.any(~(values >= 0)) or not values.sum() > 0:
        raise ConfigError(f"capabilities {values.tolist()}: they must be at least 0 and not all 0")
    shares: Floats = values / values.sum()
    return shares


def largest_remainder(total: int, weights: npt.ArrayLike) -> Ints:
    """``total`` whole units in proportion to ``weights`` (Hamilton's method): floors, then the largest remainders."""
    exact = capability_shares(weights) * total
    units = np.floor(exact + 1e-9).astype(np.int64)
    most = np.lexsort((np.arange(len(units)), -(exact - units)))
    units[most[: total - int(units.sum())]] += 1
    return units


def granted_shares(requested: npt.ArrayLike, granted: npt.ArrayLike) -> tuple[float, float]:
    """(pooled share, mean of the shares) of requests granted, both in [0, 1].

    ConfigError where a request is not above 0 or a grant exceeds its request: a share above 1 is a bug.
    """
    asked, given = np.asarray(requested, np.float64), np.asarray(granted, np.float64)
    if np.any(~(asked > 0)):
        raise ConfigError(f"requested {asked.tolist()}: every request must be above 0")
    wrong = np.flatnonzero(~((given >= 0) & (given <= asked)))
    if len(wrong):
        i = int(wrong[0])
        raise ConfigError(
            f"granted {given[i]} of {asked[i]} requested (entry {i + 1}): it must lie between 0 and the request"
        )
    return float(given.sum() / asked.sum()), float((given / asked).mean())
