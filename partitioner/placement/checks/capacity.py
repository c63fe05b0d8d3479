"""Every resource of every worker at every instant."""

from __future__ import annotations

import numpy as np

from partitioner.model import Plan
from partitioner.model.data import Codes, Floats, Ints
from partitioner.placement.checks.violation import EXACT, MOST, ROOM, Violation


def capacity(plan: Plan, before: Codes | None = None) -> list[Violation]:
    """What some worker holds above its capacity, at most five per resource."""
    limits = _limits(plan)
    found = [wrong for name, limit in limits.items() for wrong in _alone(plan, name, limit)]
    if found:
        return found
    open_names = list(limits)
    if before is not None:
        at_once = _chains(plan, before)
        if at_once is not None:
            open_names = [name for name in open_names if not _enough(plan, name, limits[name], at_once)]
    if not open_names:
        return found
    sweep = Sweep(plan, np.arange(len(plan)), plan.worker)
    return [wrong for name in open_names for wrong in _together(plan, name, limits[name], sweep)]


def demand_of(plan: Plan, name: str) -> Floats:
    """float64[n]: how much of a resource each task needs."""
    plain = {"cpus": plan.tasks.cpus, "memory_bytes": plan.tasks.memory_bytes}
    return plain[name] if name in plain else plan.tasks.resources[name]


def _limits(plan: Plan) -> dict[str, Floats]:
    """float64[m] by resource that some task needs and some worker has only so much of."""
    workers, none = plan.workers, np.zeros(len(plan.workers))
    named = {name: workers.resources.get(name, none) for name in plan.tasks.resources}
    limits = {"cpus": workers.cpus, "memory_bytes": workers.memory_bytes, **named}
    return {
        name: limit
        for name, limit in limits.items()
        if not np.all(np.isposinf(limit)) and np.any(demand_of(plan, name) > 0)
    }


def _most(limit: Floats) -> Floats:
    return limit * (1 + ROOM)


def _alone(plan: Plan, name: str, limit: Floats) -> list[Violation]:
    """Tasks that their worker cannot hold even alone, those of no seconds too."""
    demand = demand_of(plan, name)
    if float(demand.max()) <= float(_most(limit).min()):
        return []
    over = np.flatnonzero(demand > _most(limit)[plan.worker])[:MOST].tolist()
    return [
        Violation(
            f"worker {plan.workers.worker_id[plan.worker[i]]} holds {demand[i]} of {name}, "
            f"its capacity is {limit[plan.worker[i]]}",
            i,
        )
        for i in over
    ]


def _chains(plan: Plan, before: Codes) -> Ints | None:
    """int64[m]: how many chains the tasks of a worker fall into, such that no two of a chain overlap; None if unproven.

    Chains that cover all tasks of a worker are at least as many as the tasks that ever run at once (Dilworth 1950).
    """
    n = len(plan)
    if len(before) != n or np.any((before < -1) | (before >= n)):
        return None
    later = np.flatnonzero(before >= 0)
    earlier = before[later]
    used = np.zeros(n, np.bool_)
    used[earlier] = True
    alike = np.array_equal(plan.worker[earlier], plan.worker[later])
    if int(np.count_nonzero(used)) != len(later) or not alike:  # two tasks follow the same one, or one elsewhere
        return None
    if not np.all(plan.start[earlier] < plan.start[later]) or not np.all(ends_of(plan)[earlier] <= plan.start[later]):
        return None
    return np.bincount(plan.worker[before < 0], minlength=len(plan.workers))


def _enough(plan: Plan, name: str, limit: Floats, at_once: Ints) -> bool:
    """Whether as many of the largest demand as ever run at once fit on every worker."""
    most = float(demand_of(plan, name).max())
    return bool(np.all((at_once * most <= _most(limit)) | (at_once == 0)))


def ends_of(plan: Plan) -> Floats:
    """float64[n]: when each task is gone for those that start then: its finish, within rounding."""
    close = EXACT * float(plan.finish.max())
    ends: Floats = np.maximum(plan.finish - close, (plan.start + plan.finish) / 2)
    return ends


class Sweep:
    """Starts and ends of k ``tasks`` in order of their ``owner`` int[k] (a worker, a device), then of time."""

    def __init__(self, plan: Plan, tasks: Ints, owner: Codes | Ints) -> None:
        self.kept = np.flatnonzero(plan.finish[tasks] > plan.start[tasks])
        kept = tasks[self.kept]
        self.owner = np.concatenate([owner[self.kept], owner[self.kept]])
        by_time = np.argsort(np.concatenate([plan.start[kept], ends_of(plan)[kept]]))
        self.order = by_time[np.argsort(_short(self.owner[by_time]), kind="stable")]

    def peaks(self, amount: Floats) -> tuple[Ints, Floats, Ints]:
        """(owners, the largest sum of ``amount`` float64[k] at any instant, the entry of ``tasks`` that starts then)."""
        change = np.concatenate([amount[self.kept], -amount[self.kept]])[self.order]
        level = np.cumsum(change)
        owner = self.owner[self.order]
        first = np.flatnonzero(np.diff(owner, prepend=-1))
        if not len(first):
            return np.empty(0, np.int64), np.empty(0), np.empty(0, np.int64)
        base = level[first] - change[first]
        peak = np.maximum.reduceat(level, first)
        reached = np.flatnonzero(level == np.repeat(peak, np.diff(np.append(first, len(level)))))
        at = reached[np.searchsorted(reached, first)]
        return owner[first].astype(np.int64), peak - base, self.kept[self.order[at] % max(1, len(self.kept))]


def _short(codes: Codes | Ints) -> Codes | Ints:
    """The same codes in 16 bits where they fit, which numpy sorts by radix."""
    return codes.astype(np.uint16) if int(codes.max(initial=0)) < 2**16 else codes  # type: ignore[return-value]


def _together(plan: Plan, name: str, limit: Floats, sweep: Sweep) -> list[Violation]:
    """Workers that hold too much at some instant."""
    owner, peak, task = sweep.peaks(demand_of(plan, name))
    over = np.flatnonzero(peak > _most(limit)[owner])[:MOST].tolist()
    return [
        Violation(
            f"worker {plan.workers.worker_id[owner[k]]} holds {peak[k]} of {name}, its capacity is {limit[owner[k]]}",
            int(task[k]),
        )
        for k in over
    ]
