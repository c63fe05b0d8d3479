"""Vector packing by dot product: put a task where what is left points in the direction of what it needs."""

from __future__ import annotations

import numpy as np

from partitioner.model.data import Ints
from partitioner.placement.schedules.cluster_state import ClusterState
from partitioner.placement.schedules.packing import Packing


class DotProduct(Packing):
    """The worker with the largest 2 (left . demand) - |left|^2, amounts as shares of the largest worker, GPUs included.

    The dot product alone sends every task to the emptiest worker; with the length of what is left taken off, it is the
    worker where least would remain, in squared length: aligned with the demand, and tight.
    """

    name = "dot_product"
    counts = True
    spreads = False
    guarantee = "none proven; no task waits while it fits somewhere"
    source = "R. Panigrahy et al., Heuristics for vector bin packing (2011); R. Grandl et al., SIGCOMM (2014)"

    def choose(self, state: ClusterState, i: int, able: Ints) -> int:
        """See ``Packing.choose``."""
        problem = state.problem
        left = np.where(np.isfinite(state.free[able]), state.free[able], 0.0) / state.largest
        demand = problem.demand[i] / state.largest
        if state.share.shape[1]:
            most = state.share.shape[1]
            left = np.column_stack([left, state.share[able].sum(axis=1) / most])
            demand = np.append(demand, problem.gpus[i] / most)
        return int(able[int(np.argmax(2 * (left @ demand) - (left**2).sum(axis=1)))])
