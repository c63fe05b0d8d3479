"""Targets key by key: heavy keys alone, light ones in hash buckets, all placed longest first."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from partitioner.model.data import Floats, Ints
from partitioner.rebalancing.rows import longest_first

BUCKETS = 64
"""Hash buckets of light keys per partition."""

Hashes = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True, eq=False)
class Routes:
    """From the hash of a key to its partition: a key goes where its hash says, so equal keys stay together.

    ``heavy`` uint64, sorted, with ``heavy_targets``; every other hash goes by ``bucket_targets[hash % buckets]``.
    """

    heavy: Hashes
    heavy_targets: Ints
    bucket_targets: Ints

    def targets(self, hashes: Hashes) -> Ints:
        """int64[n]."""
        found = self.bucket_targets[(hashes % np.uint64(len(self.bucket_targets))).astype(np.int64)]
        if len(self.heavy):
            at = np.minimum(np.searchsorted(self.heavy, hashes), len(self.heavy) - 1)
            found = np.where(self.heavy[at] == hashes, self.heavy_targets[at], found)
        return found


def buckets_for(partitions: int) -> int:
    """How many hash buckets the light keys are counted in."""
    return BUCKETS * partitions


def routes(heavy: Hashes, heavy_costs: Floats, bucket_costs: Floats, partitions: int) -> Routes:
    """From the costs of the heavy keys and of the buckets of all others."""
    targets, _ = longest_first(np.concatenate([heavy_costs, bucket_costs]), np.zeros(partitions))
    order = np.argsort(heavy)
    return Routes(heavy[order], targets[: len(heavy)][order], targets[len(heavy) :])
