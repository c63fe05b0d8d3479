"""Fragmentation gradient descent: put a task where the GPU room left over stays most useful to the tasks there are."""

from __future__ import annotations

import numpy as np

from partitioner.model.data import Floats, Ints
from partitioner.placement.problem import TOLERANCE, Problem
from partitioner.placement.schedules.cluster_state import ClusterState
from partitioner.placement.schedules.packing import Packing

_KINDS = 40


class FragmentationAware(Packing):
    """The worker whose expected unusable GPU share grows least; ties to the tightest.

    The tasks are summed up as at most 40 kinds by GPU wish, with their frequencies and median demands. The fragment of a
    worker for one kind is the free GPU share that a task of that kind could not use there; the measure is their mean.
    """

    name = "fragmentation_aware"
    counts = True
    spreads = False
    guarantee = "none proven; no task waits while it fits somewhere"
    source = "Q. Weng et al., Beware of fragmentation, USENIX ATC (2023)"

    def prepare(self, problem: Problem) -> None:
        """See ``Packing.prepare``."""
        wish, code, counts = np.unique(np.round(problem.gpus * 20) / 20, return_inverse=True, return_counts=True)
        common = np.argsort(-counts, kind="stable")[:_KINDS]
        self.gpus: Floats = wish[common]
        self.demand: Floats = np.array([np.median(problem.demand[code == k], axis=0) for k in common])
        self.weight: Floats = counts[common] / counts[common].sum()

    def choose(self, state: ClusterState, i: int, able: Ints) -> int:
        """See ``Packing.choose``."""
        problem = state.problem
        free, share = state.free[able], state.share[able]
        after = share.copy()
        gpus = float(problem.gpus[i])
        if gpus > 0:
            want, count = (gpus, 1) if gpus < 1 else (1.0, round(gpus))
            open_share = np.where(share + TOLERANCE >= want, share, np.inf)
            tightest = np.argsort(open_share, axis=1, kind="stable")[:, :count]
            after[np.arange(len(able))[:, None], tightest] -= want
        growth = self._fragment(free - problem.demand[i], after) - self._fragment(free, share)
        scale = np.where(np.isfinite(free), free, 0.0) / state.largest
        tight = scale.mean(axis=1) + after.sum(axis=1) / max(1, share.shape[1])
        return int(able[int(np.lexsort((tight, np.round(growth, 9)))[0])])

    def _fragment(self, free: Floats, share: Floats) -> Floats:
        """float64[workers]: the expected free GPU share that a task of the mix cannot use on each worker."""
        if not share.shape[1]:
            # without GPUs: the expected number of kinds that no longer fit
            room = np.all(free[:, None, :] + TOLERANCE >= self.demand[None, :, :], axis=2)
            missed: Floats = (~room) @ self.weight
            return missed
        left = share.sum(axis=1)
        want = np.where(self.gpus < 1, self.gpus, 1.0)
        open_share = share[:, None, :] + TOLERANCE >= np.maximum(want, TOLERANCE)[None, :, None]
        enough = open_share.sum(axis=2) >= np.maximum(1, np.round(self.gpus))[None, :]
        fits = enough & np.all(free[:, None, :] + TOLERANCE * 1e3 >= self.demand[None, :, :], axis=2)
        usable = np.where(open_share, share[:, None, :], 0.0).sum(axis=2)
        lost = np.where(fits & (self.gpus > 0)[None, :], left[:, None] - usable, left[:, None])
        result: Floats = lost @ self.weight
        return result
