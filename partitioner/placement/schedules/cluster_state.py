"""What is free on every worker right now, as arrays over the workers, so that a rule can compare them all at once."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from partitioner.model.data import Floats, Ints
from partitioner.placement.problem import TOLERANCE, Problem

Bools = npt.NDArray[np.bool_]


class ClusterState:
    """``free`` float64[m, K]; ``share`` and ``memory`` float64[m, D] of each GPU device (0 where there is none).

    ``total`` float64[K] and ``devices`` int64[m] scale what rules compute. Eligibility by label and class comes from the
    problem; capacity from what is free.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.free: Floats = problem.capacity[problem.group_of].copy()
        self.slack: Floats = np.where(np.isfinite(self.free), self.free * TOLERANCE, 0.0)
        self.largest: Floats = np.where(np.isfinite(self.free), self.free, 0.0).max(axis=0, initial=1e-300)
        self.devices: Ints = (
            problem.devices[problem.group_of] if problem.uses_gpu.any() else np.zeros(problem.m, np.int64)
        )
        most = int(self.devices.max(initial=0))
        present = np.arange(most)[None, :] < self.devices[:, None]
        self.share: Floats = np.where(present, 1.0, 0.0)
        memory = problem.device_memory[problem.group_of][:, None]
        self.memory: Floats = np.where(present, memory, 0.0)

    def fits(self, i: int) -> Bools:
        """bool[m]: which workers could start task i this moment."""
        problem = self.problem
        able: Bools = np.isfinite(problem.times_of(i))[problem.group_of]
        able &= np.all(self.free + self.slack >= problem.demand[i], axis=1)
        if problem.uses_gpu[i]:
            count, want = self._wish(i)
            room = (self.share + TOLERANCE >= want) & (self.memory * (1 + TOLERANCE) >= problem.gpu_memory[i])
            room &= np.arange(self.share.shape[1])[None, :] < self.devices[:, None]
            able &= room.sum(axis=1) >= count
        return able

    def fitting(self, tasks: Ints, j: int) -> Bools:
        """bool[len(tasks)]: which of ``tasks`` worker j could start this moment."""
        problem = self.problem
        group = int(problem.group_of[j])
        able: Bools = np.all(self.free[j] + self.slack[j] >= problem.demand[tasks], axis=1)
        able &= np.isfinite(problem.times_on(group)[tasks])
        using = problem.uses_gpu[tasks]
        if using.any():
            devices = int(self.devices[j])
            share, memory = self.share[j, :devices], self.memory[j, :devices]
            gpus, need = problem.gpus[tasks], problem.gpu_memory[tasks]
            want = np.where(gpus < 1, gpus, 1.0)
            room = (share[None, :] + TOLERANCE >= want[:, None]) & (memory[None, :] * (1 + TOLERANCE) >= need[:, None])
            able &= ~using | (room.sum(axis=1) >= np.maximum(1, np.round(gpus)))
        return able

    def take(self, i: int, j: int) -> tuple[int, ...]:
        """Give task i what it needs on worker j; returns its devices, the tightest that hold a fraction."""
        problem = self.problem
        self.free[j] -= problem.demand[i]
        if not problem.uses_gpu[i]:
            return ()
        count, want = self._wish(i)
        devices = int(self.devices[j])
        share = self.share[j, :devices]
        room = (share + TOLERANCE >= want) & (self.memory[j, :devices] * (1 + TOLERANCE) >= problem.gpu_memory[i])
        able = np.flatnonzero(room)
        chosen = able[np.argsort(share[able], kind="stable")[:count]]
        self.share[j, chosen] -= want
        self.memory[j, chosen] -= problem.gpu_memory[i]
        return tuple(chosen.tolist())

    def give_back(self, i: int, j: int, devices: tuple[int, ...]) -> None:
        """Undo ``take`` when task i finishes."""
        self.free[j] += self.problem.demand[i]
        chosen = list(devices)
        if chosen:
            self.share[j, chosen] += self._wish(i)[1]
            self.memory[j, chosen] += self.problem.gpu_memory[i]

    def _wish(self, i: int) -> tuple[int, float]:
        """How many devices task i needs and how much of each."""
        gpus = float(self.problem.gpus[i])
        return max(1, round(gpus)), gpus if gpus < 1 else 1.0
