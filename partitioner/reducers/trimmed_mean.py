"""``trimmed_mean`` of parameters, coordinate by coordinate (Yin et al. 2018)."""

from __future__ import annotations

from typing import Any

import numpy as np

from partitioner.errors import ConfigError
from partitioner.model.given import check_number
from partitioner.reducers.median import Median


class TrimmedMean(Median):
    """The mean without the ``share`` of smallest and of largest values of each coordinate (0.1 by default)."""

    name = "trimmed_mean"

    def __init__(self, share: float = 0.1) -> None:
        check_number("share", share)
        if not 0 <= share < 0.5:
            raise ConfigError(f"share is {share}; from 0 up to, but not, 0.5 is cut off at each end.")
        self.share = share

    def _middle(self, values: Any) -> Any:
        cut = int(self.share * len(values))
        ordered = np.sort(values, axis=0)
        return ordered[cut : len(values) - cut].mean(axis=0)
