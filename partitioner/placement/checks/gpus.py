"""GPUs: every task holds the same devices from start to finish, shares of a device and its memory add up to no more."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from partitioner.model import Plan
from partitioner.model.data import Floats, Ints
from partitioner.placement.checks.capacity import Sweep
from partitioner.placement.checks.violation import EXACT, MOST, ROOM, Violation, name_of


def gpus(plan: Plan) -> list[Violation]:
    """What the GPUs of some worker cannot hold."""
    tasks = plan.tasks
    using = np.flatnonzero((tasks.gpus > 0) | (tasks.gpu_memory_bytes > 0))
    if not len(using):
        return []
    if all(int(i) in plan.devices for i in using):
        return _given(plan, using)
    if np.all(tasks.gpus[using] >= 1) and not plan.devices:
        return _whole(plan, using)
    return _found(plan, using)


def _count(plan: Plan, i: int) -> int:
    """How many devices task i holds, a share of one counts as one."""
    return max(1, round(float(plan.tasks.gpus[i])))


def _given(plan: Plan, using: Ints) -> list[Violation]:
    """The devices that the plan names, checked all at once: a device of a worker is an owner of its own."""
    wrong = [i for i in using.tolist() if not _is_possible(plan, i)]
    if wrong:
        return [_sentence(plan, i) for i in wrong[:MOST]]
    pairs = [(i, d) for i in using.tolist() for d in plan.devices[i]]
    task = np.array([i for i, _ in pairs], np.int64)
    most = max(d for _, d in pairs) + 1
    owner = plan.worker[task].astype(np.int64) * most + np.array([d for _, d in pairs])
    share = np.where(plan.tasks.gpus[task] < 1, plan.tasks.gpus[task], 1.0)
    return _over(plan, task, owner, most, share)


def _over(plan: Plan, task: Ints, owner: Ints, most: int, share: Floats) -> list[Violation]:
    """Devices that hold more than one device's worth, or more than its memory, at some instant."""
    codes, code = np.unique(owner, return_inverse=True)
    sweep = Sweep(plan, task, code.reshape(-1))
    found = []
    memory = plan.workers.gpu_memory_bytes[codes // most]
    for amount, limit, what in (
        (share, np.ones(len(codes)), "of its GPU"),
        (plan.tasks.gpu_memory_bytes[task], memory, "bytes of its GPU"),
    ):
        device, peak, at = sweep.peaks(amount)
        for k in np.flatnonzero(peak > limit[device] * (1 + ROOM))[:MOST].tolist():
            worker = plan.workers.worker_id[int(codes[device[k]] // most)]
            held = f"worker {worker} holds {peak[k]} {what} {codes[device[k]] % most}, there is {limit[device[k]]}"
            found.append(Violation(held, int(task[at[k]])))
    return found


def _whole(plan: Plan, using: Ints) -> list[Violation]:
    """Whole devices are all alike: as many as are in use at any instant must be there."""
    memory = plan.tasks.gpu_memory_bytes[using] > plan.workers.gpu_memory_bytes[plan.worker[using]] * (1 + ROOM)
    alone = plan.tasks.gpus[using] > plan.workers.gpus[plan.worker[using]] + ROOM
    if np.any(memory | alone):
        return [_sentence(plan, int(i)) for i in using[memory | alone][:MOST].tolist()]
    owner, peak, at = Sweep(plan, using, plan.worker[using]).peaks(np.round(plan.tasks.gpus[using]))
    over = np.flatnonzero(peak > np.floor(plan.workers.gpus[owner] + ROOM))[:MOST]
    return [
        Violation(
            f"worker {plan.workers.worker_id[owner[k]]} runs tasks on {peak[k]:g} GPUs at once, "
            f"it has {plan.workers.gpus[owner[k]]:g}",
            int(using[at[k]]),
        )
        for k in over.tolist()
    ]


def _is_possible(plan: Plan, i: int) -> bool:
    """Whether the devices named for task i exist and are as many as it needs."""
    held = plan.devices[i]
    there = int(plan.workers.gpus[plan.worker[i]] + ROOM)
    return len(set(held)) == len(held) == _count(plan, i) and all(0 <= d < there for d in held)


def _found(plan: Plan, using: Ints) -> list[Violation]:
    """Shares without devices named: by start, each to the fullest device that can take it (a proof where it works out).

    For equal shares on equal devices it always works out where anything does; a plan of unequal shares names its devices.
    """
    running: dict[tuple[int, int], list[tuple[float, float, float]]] = defaultdict(list)
    wrong = []
    for i in using[np.lexsort((using, plan.finish[using], plan.start[using]))].tolist():
        j, start = int(plan.worker[i]), float(plan.start[i])
        share = float(plan.tasks.gpus[i]) if plan.tasks.gpus[i] < 1 else 1.0
        memory, limit = float(plan.tasks.gpu_memory_bytes[i]), float(plan.workers.gpu_memory_bytes[j])
        able = []
        for d in range(int(plan.workers.gpus[j] + ROOM)):
            now = running[j, d] = [r for r in running[j, d] if r[0] > start + EXACT * start]
            used, filled = sum(r[1] for r in now), sum(r[2] for r in now)
            if used + share <= 1 + ROOM and filled + memory <= limit * (1 + ROOM):
                able.append((1 - used, d))
        free = [d for _, d in sorted(able)]
        take = plan.devices.get(i, tuple(free[: _count(plan, i)]))
        if len(set(take)) != _count(plan, i) or not set(take) <= set(free):
            wrong.append(i)
            continue
        for d in take:
            running[j, d].append((float(plan.finish[i]), share, memory))
    return [_sentence(plan, i) for i in wrong[:MOST]]


def _sentence(plan: Plan, i: int) -> Violation:
    worker = plan.workers.worker_id[plan.worker[i]]
    return Violation(
        f"worker {worker} has no {_count(plan, i)} GPU(s) for task {name_of(plan, i)} at {plan.start[i]} s", i
    )
