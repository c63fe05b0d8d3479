"""A cost model."""

import numpy as np

from partitioner.costs.base import CostModel
from partitioner.model import Costs, Dataset


class Squared(CostModel):
    """Seconds grow with the square of a fragment's bytes."""

    name = "squared"

    def __init__(self, seconds_per_megabyte: float = 1.0) -> None:
        self.seconds_per_megabyte = seconds_per_megabyte

    def estimate(self, dataset: Dataset) -> Costs:
        size = dataset.fragments.bytes.astype(np.float64)
        return Costs(
            seconds=self.seconds_per_megabyte * (size / 1e6) ** 2 + 1e-6,
            memory_bytes=3.0 * size,
            source=self.name,
            details={"seconds per megabyte": self.seconds_per_megabyte},
        )
