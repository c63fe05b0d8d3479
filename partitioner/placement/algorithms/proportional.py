"""Work in proportion to each worker's capability: weighted fair shares, adjustable while running."""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from partitioner.errors import ConfigError, nearest
from partitioner.model.data import Floats, Ints
from partitioner.placement.base import EVERYTHING, Algorithm
from partitioner.placement.objectives import Objective
from partitioner.placement.options import numbers
from partitioner.placement.problem import Problem
from partitioner.placement.schedule import Schedule
from partitioner.placement.schedules.partial import precedence_order
from partitioner.placement.schedules.worker_queues import run_assigned
from partitioner.placement.shares import capability_shares, largest_remainder

LAST_RESORT = 1e300
"""The used share of a worker of weight 0: it gets what nobody else may run."""


class Proportional(Algorithm):
    """Worker j gets the share w_j / sum w of the work, in seconds: by largest remainder for equal tasks.

    Unequal tasks, the longest first (predecessors before their successors), go to the worker whose part of its share would
    stay least. Weights are speed x slots unless ``weights`` (worker id to weight) are given; ``adjusted`` returns a copy
    with new ones, for a run that measures its workers.
    """

    name = "proportional"
    role = "none"
    supports = EVERYTHING
    guarantee = "shares within one task of the exact proportion for equal tasks, the work of one task for others"
    complexity = "O(n (k + log m)) for k distinct weights; O(n m) where not every worker may run every task"
    source = "A. Demers, S. Keshav, S. Shenker, Analysis and simulation of a fair queueing algorithm, SIGCOMM (1989)"

    def __init__(self, weights: Mapping[str, float] | None = None) -> None:
        self.weights = numbers("weights", weights)

    def adjusted(self, measured_speed: Mapping[str, float], rate: float = 0.5) -> Proportional:
        """A copy whose weights move by ``rate`` (0 to 1) towards the speeds just measured; workers not named keep theirs."""
        if not 0 <= rate <= 1:
            raise ConfigError(f"rate {rate}: it must lie between 0 and 1")
        weights = dict(self.weights)
        for worker, speed in measured_speed.items():
            if not speed > 0:
                raise ConfigError(f"measured speed {speed} of worker {worker!r}: it must be above 0")
            weights[worker] = (1 - rate) * weights.get(worker, speed) + rate * speed
        return Proportional(weights)

    def solve(self, problem: Problem, objective: Objective, seed: int, deadline: float) -> Schedule:
        """See ``Algorithm.solve``."""
        weight = self._weights_of(problem)
        order = precedence_order(problem, -problem.fastest)
        seconds = problem.tasks.seconds if problem.related else problem.fastest
        if problem.eligible_everywhere and problem.n and float(np.ptp(seconds)) == 0:
            worker = _equal_tasks(order, weight)
        else:
            worker = _least_used_share(problem, order, weight, seconds)
        schedule = run_assigned(problem, worker, order)
        if problem.m > 20:
            return schedule
        shares = capability_shares(weight).round(4).tolist()
        return replace(schedule, notes={"shares": dict(zip(problem.workers.worker_id, shares, strict=True))})

    def _weights_of(self, problem: Problem) -> Floats:
        """float64[m]: the given weights, else speed x how many tasks run at once."""
        slots = problem.slots
        at_once = problem.workers.cpus if slots is None else slots.per_group[problem.group_of].astype(np.float64)
        weight = problem.workers.speed * np.maximum(at_once, 1e-9)
        unknown = sorted(set(self.weights) - set(problem.workers.worker_id))
        if unknown:
            close = nearest(unknown[0], list(problem.workers.worker_id))
            raise ConfigError(f"weights name worker {unknown[0]!r}, which is not among the workers.{close}")
        for j, name in enumerate(problem.workers.worker_id):
            if name in self.weights:
                weight[j] = self.weights[name]
        if not weight.sum() > 0:
            raise ConfigError("weights are 0 for every worker; give one of them a weight above 0")
        return weight


def _equal_tasks(order: Ints, weight: Floats) -> Ints:
    """Largest remainder, the workers interleaved so that early tasks spread."""
    count = largest_remainder(len(order), weight)
    owner = np.repeat(np.arange(len(count)), count)
    rank = np.concatenate([(np.arange(c) + 0.5) / c for c in count.tolist() if c] or [np.empty(0)])
    worker = np.empty(len(order), np.int64)
    worker[order] = owner[np.lexsort((owner, rank))]
    return worker


def _least_used_share(problem: Problem, order: Ints, weight: Floats, seconds: Floats) -> Ints:
    """Each task, in order, to the eligible worker whose work / weight would stay least (heaps while all may run all)."""
    if problem.eligible_everywhere:
        return _by_weight(order, weight, seconds)
    worker = np.empty(problem.n, np.int64)
    used = np.where(weight > 0, 0.0, LAST_RESORT)
    for i in order.tolist():
        able = np.isfinite(problem.times_of(i))[problem.group_of]
        part = used + seconds[i] / np.maximum(weight, 1e-12)
        j = int(np.argmin(np.where(able, part, np.inf)))
        worker[i], used[j] = j, part[j]
    return worker


def _by_weight(order: Ints, weight: Floats, seconds: Floats) -> Ints:
    """A heap of (used part of the share, worker) for each distinct weight above 0."""
    worker = np.empty(len(order), np.int64)
    weights = np.unique(weight[weight > 0]).tolist()
    heaps = [[(0.0, int(j)) for j in np.flatnonzero(weight == w)] for w in weights]
    pairs = list(zip(heaps, weights, strict=True))
    for i, amount in zip(order.tolist(), seconds[order].tolist(), strict=True):
        heap, w = min(pairs, key=lambda pair: (pair[0][0][0] + amount / pair[1], pair[0][0][1]))
        used, j = heap[0]
        worker[i] = j
        heapq.heapreplace(heap, (used + amount / w, j))
    return worker
