"""What a placement algorithm sees: tasks and workers as arrays, workers collapsed into groups of equal ones.

A million sub-tasks on a thousand workers need no n x m matrix: times and eligibility exist per *group* of workers that
agree in speed, class, capacities and the labels that matter.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from partitioner.errors import ConfigError
from partitioner.model import SubTasks, Workers
from partitioner.model.data import Codes, Floats, Ints
from partitioner.model.tasks import Bools
from partitioner.placement.graph import Links, links, topological_order

TOLERANCE = 1e-9
"""Relative slack when demands are compared with capacities, so that ten tenths fit into one."""

_DENSE_LIMIT = 20_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Slots:
    """Workers as independent slots that run one sub-task at a time: exact when demands allow no other packing.

    ``worker`` int32[S] the worker of each slot, ``group`` int32[S] its group; ``per_group`` int64[G] slots of one worker.
    Breadth first: one slot of every worker, then a second one of each that has it, and so on. Ties go to the first slot,
    so that tasks spread over workers before they share one.
    """

    worker: Codes
    group: Codes
    per_group: Ints

    def __len__(self) -> int:
        return len(self.worker)


class Problem:
    """n sub-tasks, m workers in G groups, K resources (those that somebody demands).

    ``group_of`` int32[m]; ``members`` the workers of each group; ``speed`` float64[G]; ``demand`` float64[n, K] and
    ``capacity`` float64[G, K] for ``resources`` (``cpus``, ``memory_bytes``, named ones; GPUs are apart, by device);
    ``gpus`` and ``gpu_memory`` float64[n]; ``devices`` int64[G] and ``device_memory`` float64[G] per device;
    ``parents`` and ``children`` are dependency links with delays in seconds and transfer seconds, which count between
    two different workers only (edge bytes / ``bandwidth`` bytes per second).
    """

    def __init__(self, tasks: SubTasks, workers: Workers, bandwidth: float = float("inf")) -> None:
        self.tasks = tasks
        self.workers = workers
        self.bandwidth = bandwidth
        self.n = len(tasks)
        self.m = len(workers)
        self.release: Floats = tasks.release
        self.deadline: Floats = tasks.deadline
        self.priority: Floats = tasks.priority
        self.gpus: Floats = tasks.gpus
        self.gpu_memory: Floats = tasks.gpu_memory_bytes
        self.uses_gpu: Bools = (tasks.gpus > 0) | (tasks.gpu_memory_bytes > 0)
        self.resources, self.demand = _demands(tasks)
        self.group_of, self.members = _collapse(tasks, workers, self.resources, bool(self.uses_gpu.any()))
        self.first: Ints = np.array([m[0] for m in self.members], np.int64)
        self.size: Ints = np.array([len(m) for m in self.members], np.int64)
        self.speed: Floats = workers.speed[self.first]
        self.devices: Ints = np.floor(workers.gpus[self.first] + TOLERANCE).astype(np.int64)
        self.device_memory: Floats = workers.gpu_memory_bytes[self.first]
        self.capacity: Floats = np.array([_capacities(workers, name)[self.first] for name in self.resources]).T.reshape(
            self.groups, len(self.resources)
        )
        edges = tasks.edges
        transfer = np.nan_to_num(edges.bytes) / bandwidth if len(edges.bytes) else np.zeros(len(edges))
        self.parents: Links = links(self.n, edges.target, edges.source, edges.delay, transfer)
        self.children: Links = links(self.n, edges.source, edges.target, edges.delay, transfer)

    @property
    def groups(self) -> int:
        """How many groups of equal workers there are."""
        return len(self.members)

    @cached_property
    def topological(self) -> Ints:
        """int64[n]: an order in which every task comes after all it depends on; ConfigError shows a cycle."""
        return topological_order(self.tasks, self.parents, self.children)

    def eligible_on(self, group: int) -> Bools:
        """bool[n]: which tasks a worker of ``group`` can hold, alone, in resources, GPUs and labels."""
        limit = self.capacity[group] * (1 + TOLERANCE)
        fits: Bools = np.all(self.demand <= limit, axis=1) if len(limit) else np.ones(self.n, np.bool_)
        if self.uses_gpu.any():
            devices, memory = int(self.devices[group]), float(self.device_memory[group])
            room = (self.gpus <= devices) & (self.gpu_memory <= memory * (1 + TOLERANCE)) & (devices > 0)
            fits &= room | ~self.uses_gpu
        labels = self.workers.labels[int(self.first[group])]
        for label, wanted in self.tasks.requires.items():
            if label not in labels:
                fits &= ~wanted
        return fits

    def raw_times_on(self, group: int) -> Floats:
        """float64[n]: seconds on ``group`` whether it fits or not; NaN where the class says it cannot run."""
        by_class = self.tasks.seconds_by_class.get(self.workers.worker_class[int(self.first[group])])
        if by_class is not None:
            return by_class
        speed = float(self.speed[group])
        return self.tasks.seconds if speed == 1.0 else self.tasks.seconds / speed

    def times_on(self, group: int) -> Floats:
        """float64[n]: seconds of each task on a worker of ``group``; infinity where it cannot run."""
        if self.dense is not None:
            return self.dense[:, group]
        return self._times_on(group)

    def _times_on(self, group: int) -> Floats:
        raw = self.raw_times_on(group)
        return np.where(self.eligible_on(group) & ~np.isnan(raw), raw, np.inf)

    def times_of(self, i: int) -> Floats:
        """float64[G]: seconds of task i on each group; infinity where it cannot run."""
        if self.dense is not None:
            row: Floats = self.dense[i]
            return row
        if self.related and self.eligible_everywhere:
            return float(self.tasks.seconds[i]) / self.speed
        return np.array([self.times_on(g)[i] for g in range(self.groups)])

    @cached_property
    def dense(self) -> Floats | None:
        """float64[n, G] of ``times_on``, or None where it would take more than 160 MB."""
        if self.n * self.groups > _DENSE_LIMIT:
            return None
        table = np.empty((self.n, self.groups), order="F")
        for g in range(self.groups):
            table[:, g] = self._times_on(g)
        return table

    @cached_property
    def matrix(self) -> Floats:
        """float64[n, G] seconds, infinity where a task cannot run; ConfigError where it would not fit in memory."""
        if self.dense is None:
            raise ConfigError(
                f"{self.n} tasks on {self.groups} different kinds of workers are too many for this algorithm "
                f"(limit {_DENSE_LIMIT} pairs). Use lpt, round_robin, least_loaded or dimension_exchange."
            )
        return self.dense

    @cached_property
    def fastest(self) -> Floats:
        """float64[n]: seconds of each task on its best worker; infinity where none can run it."""
        best = np.full(self.n, np.inf)
        for g in range(self.groups):
            np.minimum(best, self.times_on(g), out=best)
        return best

    @cached_property
    def eligible_everywhere(self) -> bool:
        """Whether every worker can run every task."""
        return all(bool(np.isfinite(self.times_on(g)).all()) for g in range(self.groups))

    @cached_property
    def related(self) -> bool:
        """Whether times are seconds / speed on every worker (no per-class times in use)."""
        classes = {self.workers.worker_class[int(f)] for f in self.first}
        return not (classes & set(self.tasks.seconds_by_class))

    @cached_property
    def identical(self) -> bool:
        """Whether every task takes equally long on every worker and may run on each."""
        if not self.eligible_everywhere:
            return False
        first = self.times_on(0)
        return all(bool(np.array_equal(first, self.times_on(g))) for g in range(1, self.groups))

    @property
    def has_edges(self) -> bool:
        """Whether anything depends on anything."""
        return len(self.tasks.edges) > 0

    @property
    def has_releases(self) -> bool:
        """Whether some task may not start at once."""
        return bool(np.any(self.release > 0))

    @property
    def hard(self) -> Bools:
        """bool[n]: which deadlines must hold."""
        marked = self.tasks.hard_deadline
        return np.zeros(self.n, np.bool_) if marked is None else marked & np.isfinite(self.deadline)

    @property
    def has_fractions(self) -> bool:
        """Whether some task shares a GPU."""
        return bool(np.any(self.uses_gpu & (self.gpus < 1)))

    @cached_property
    def slots(self) -> Slots | None:
        """The workers as slots, where as many tasks fit whatever tasks they are; else None."""
        per_group = np.array([_slots_of(self, g) for g in range(self.groups)], np.int64)
        if np.any(per_group < 0):
            return None
        per_worker = per_group[self.group_of]
        worker = np.repeat(np.arange(self.m, dtype=np.int32), per_worker)
        first = np.repeat(np.cumsum(per_worker) - per_worker, per_worker)
        worker = worker[np.argsort(np.arange(len(worker)) - first, kind="stable")]
        return Slots(worker, self.group_of[worker], per_group)


def _demands(tasks: SubTasks) -> tuple[tuple[str, ...], Floats]:
    """Names of the resources that somebody demands, and float64[n, K] of the demands."""
    columns = {"cpus": tasks.cpus, "memory_bytes": tasks.memory_bytes, **tasks.resources}
    used = {name: column for name, column in columns.items() if len(column) and np.any(column > 0)}
    table = np.empty((len(tasks), len(used)))
    for k, column in enumerate(used.values()):
        table[:, k] = column
    return tuple(used), table


def _capacities(workers: Workers, resource: str) -> Floats:
    """float64[m]: how much of ``resource`` each worker has; 0 where it is not named."""
    plain: Mapping[str, Floats] = {"cpus": workers.cpus, "memory_bytes": workers.memory_bytes}
    return plain[resource] if resource in plain else workers.resources.get(resource, np.zeros(len(workers)))


def _collapse(tasks: SubTasks, workers: Workers, resources: tuple[str, ...], gpu: bool) -> tuple[Codes, list[Ints]]:
    """Group index of each worker and the members of each group, groups in order of their first worker."""
    labels = frozenset(tasks.requires)
    columns = [workers.speed, *(_capacities(workers, name) for name in resources)]
    if gpu:
        columns += [workers.gpus, workers.gpu_memory_bytes]
    numbers = np.stack(columns, axis=1).tolist()
    code: dict[object, int] = {}
    group_of = np.empty(len(workers), np.int32)
    for j, row in enumerate(numbers):
        name = workers.worker_class[j]
        key = (tuple(row), name if name in tasks.seconds_by_class else "", workers.labels[j] & labels)
        group_of[j] = code.setdefault(key, len(code))
    order = np.argsort(group_of, kind="stable")
    if not code:
        return group_of, []
    return group_of, np.split(order, np.cumsum(np.bincount(group_of, minlength=len(code)))[:-1])


def _slots_of(problem: Problem, group: int) -> int:
    """How many tasks of any kind run at once on a worker of ``group``; -1 where that depends on which tasks."""
    able = np.isfinite(problem.times_on(group))
    if not able.any():
        return 0
    most, least = np.inf, np.inf
    for k in range(len(problem.resources)):
        demand, capacity = problem.demand[able, k], problem.capacity[group, k] * (1 + TOLERANCE)
        low, high = float(demand.min()), float(demand.max())
        most = min(most, np.floor(capacity / low) if low > 0 else np.inf)
        least = min(least, np.floor(capacity / high) if high > 0 else np.inf)
    if problem.uses_gpu[able].any():
        low_gpu, high_gpu = _gpu_slots(problem, group, able)
        most, least = min(most, high_gpu), min(least, low_gpu)
    return int(most) if most == least and np.isfinite(most) else -1


def _gpu_slots(problem: Problem, group: int, able: Bools) -> tuple[float, float]:
    """Fewest and most tasks that the devices of one worker hold at once."""
    if not problem.uses_gpu[able].all():
        return 0.0, np.inf
    counts = []
    for pick in (np.max, np.min):
        share, memory = float(pick(problem.gpus[able])), float(pick(problem.gpu_memory[able]))
        devices = int(problem.devices[group])
        if share >= 1:
            counts.append(float(devices // round(share)))
            continue
        per_share = np.floor((1 + TOLERANCE) / share) if share > 0 else np.inf
        per_memory = np.floor(problem.device_memory[group] * (1 + TOLERANCE) / memory) if memory > 0 else np.inf
        counts.append(float(devices * min(per_share, per_memory)))
    return counts[0], counts[1]
