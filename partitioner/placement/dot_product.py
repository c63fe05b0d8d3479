"""Vector packing by dot product: put a task where what is left points in the direction of what it needs."""

from __future__ import annotations

import numpy as np

from partitioner.model.data import Ints
from partitioner.placement.cluster_state import ClusterState
from partitioner.placement.packing import Packing


class DotProduct(Packing):
    """The worker whose free resources, as shares of the largest worker, have the largest dot product with the demand."""

    name = "dot_product"
    guarantee = "none proven; no task waits while it fits somewhere"
    source = "R. Panigrahy et al., Heuristics for vector bin packing (2011); R. Grandl et al., SIGCOMM (2014)"

    def choose(self, state: ClusterState, i: int, able: Ints) -> int:
        """See ``Packing.choose``."""
        problem = state.problem
        bounded = np.isfinite(state.free[able])
        free = np.where(bounded, state.free[able], 0.0) / state.largest
        score = free @ (problem.demand[i] / state.largest)
        if problem.gpus[i] > 0:
            most = max(1, int(state.devices.max(initial=1)))
            score = score + state.share[able].sum(axis=1) / most * (problem.gpus[i] / most)
        return int(able[int(np.argmax(score))])
