"""Lower bounds on the makespan: each true for every feasible plan, the largest is reported with its name."""

from __future__ import annotations

import numpy as np

from partitioner.model.data import Floats
from partitioner.placement.bounds.lagrangian import priced_bound
from partitioner.placement.problem import Problem

_SIGNATURE_LIMIT = 64


def lower_bound(problem: Problem) -> tuple[float, str]:
    """The largest bound, seconds, and what it comes from. 0 for no tasks."""
    if not problem.n:
        return 0.0, "no tasks"
    heads, tails = _heads_and_tails(problem)
    critical = float((heads + problem.fastest + tails).max())
    kind = (
        "critical path"
        if problem.has_edges
        else ("release and longest task" if problem.has_releases else "longest task")
    )
    found = [(critical, kind), *_area_bounds(problem, heads, tails)]
    if problem.slots is not None and problem.eligible_everywhere and problem.related:
        found += _uniform_bounds(problem)
        if problem.identical:
            found += _identical_bounds(problem)
    elif problem.groups > 1 and not (problem.related and problem.eligible_everywhere):
        found.append((priced_bound(problem), "capacity prices"))
    value, which = max(found, key=lambda pair: pair[0])
    if integral(problem):
        value = float(np.ceil(value - 1e-6 * max(1.0, value * 1e-3)))
    return value, which


def earliest_finishes(problem: Problem) -> Floats:
    """float64[n]: when each task could finish were there workers without end, all of them its fastest."""
    return _heads_and_tails(problem)[0] + problem.fastest


def _heads_and_tails(problem: Problem) -> tuple[Floats, Floats]:
    """Least seconds before each task's start and after its finish, from releases and dependencies alone."""
    heads = np.maximum(problem.release, 0.0)
    tails = np.zeros(problem.n)
    if problem.has_edges:
        time = problem.fastest.tolist()
        head, tail = heads.tolist(), tails.tolist()
        order = problem.topological.tolist()
        for i in order:
            for p, delay, _ in problem.parents.rows(i):
                head[i] = max(head[i], head[p] + time[p] + delay)
        for i in reversed(order):
            for c, delay, _ in problem.children.rows(i):
                tail[i] = max(tail[i], delay + time[c] + tail[c])
        heads, tails = np.array(head), np.array(tail)
    return heads, tails


def _rates(problem: Problem) -> tuple[Floats, dict[str, tuple[Floats, Floats]]]:
    """Work of each task on one unit, and per resource (demand float64[n], units offered per second float64[G])."""
    speed = problem.speed if problem.related else np.ones(problem.groups)
    work = problem.tasks.seconds if problem.related else problem.fastest
    count = problem.size * speed
    offers: dict[str, tuple[Floats, Floats]] = {}
    if problem.slots is not None:
        offers["total work"] = (np.ones(problem.n), problem.slots.per_group * count)
        return work, offers
    for k, name in enumerate(problem.resources):
        demand, capacity = problem.demand[:, k], problem.capacity[:, k]
        if np.all(np.isfinite(capacity)):
            whole = bool(np.all(demand == np.floor(demand)))
            offers[f"total {name}"] = (demand, (np.floor(capacity + 1e-9) if whole else capacity) * count)
    if np.any(problem.gpus > 0):
        devices = problem.devices * count
        offers["total gpus"] = (problem.gpus, devices)
        # two tasks of more than half a device never share one (a dual feasible function of bin packing)
        halves = np.where(problem.gpus >= 1, problem.gpus, np.where(problem.gpus > 0.5 + 1e-9, 1.0, 0.0))
        halves = np.where(np.abs(problem.gpus - 0.5) <= 1e-9, 0.5, halves)
        offers["gpus that cannot be shared"] = (halves, devices)
    return work, offers


def _area_bounds(problem: Problem, heads: Floats, tails: Floats) -> list[tuple[float, str]]:
    """Work that only some workers can do, in the time that heads or tails leave for it, over what they offer."""
    work, offers = _rates(problem)
    found = []
    for able, groups in _eligible_sets(problem):
        for name, (demand, offer) in offers.items():
            total = float(offer[groups].sum())
            if total <= 0:
                continue
            area = work[able] * demand[able] / total
            found.append((float(area.sum()), name))
            for edge, label in ((heads, "after release or predecessors"), (tails, "before successors")):
                if np.any(edge[able] > 0):
                    order = np.argsort(-edge[able], kind="stable")
                    value = float((edge[able][order] + np.cumsum(area[order])).max())
                    found.append((value, f"{name} {label}"))
    return found


def _eligible_sets(problem: Problem) -> list[tuple[np.ndarray, np.ndarray]]:
    """Pairs (tasks that can run only within these groups, those groups): all, then each distinct eligible set."""
    everything = (np.arange(problem.n), np.arange(problem.groups))
    if problem.groups == 1 or problem.dense is None or problem.eligible_everywhere:
        return [everything]
    finite = np.isfinite(problem.dense)
    patterns, code = np.unique(finite, axis=0, return_inverse=True)
    code = code.reshape(-1)
    pairs = [everything]
    if len(patterns) <= _SIGNATURE_LIMIT:
        for pattern in patterns:
            inside = ~np.any(patterns & ~pattern, axis=1)
            pairs.append((np.flatnonzero(inside[code]), np.flatnonzero(pattern)))
    return pairs


def _uniform_bounds(problem: Problem) -> list[tuple[float, str]]:
    """The k longest tasks on the k fastest slots, for every k below the number of slots."""
    slots = problem.slots
    if slots is None or not len(slots):
        return []
    k = min(problem.n, len(slots))
    longest = -np.partition(-problem.tasks.seconds, k - 1)[:k]
    longest[::-1].sort()
    speeds = np.sort(problem.speed[slots.group])[::-1][:k]
    return [(float((np.cumsum(longest) / np.cumsum(speeds)).max()), "longest tasks on the fastest slots")]


def _identical_bounds(problem: Problem) -> list[tuple[float, str]]:
    """p_m + p_(m+1) and its kin: of the k m + 1 longest, k + 1 share a slot; then bin packing bounds."""
    slots = problem.slots
    assert slots is not None
    m, n = len(slots), problem.n
    longest = np.sort(problem.times_on(0))[::-1]
    found = []
    prefix = np.concatenate([[0.0], np.cumsum(longest)])
    k = np.arange(1, (n - 1) // m + 1)
    if len(k):
        last = k * m + 1
        sums = prefix[last] - prefix[last - k - 1]
        found.append((float(sums.max()), "tasks that must share a slot"))
    if integral(problem) and n <= 20_000:
        start = max(float(np.ceil(longest.sum() / m - 1e-9)), longest[0], found[0][0] if found else 0.0)
        found.append((_packing_bound(longest, m, start), "bin packing"))
    return found


def _packing_bound(longest: Floats, bins: int, start: float) -> float:
    """The least integer makespan from ``start`` on that the bound L2 of Martello and Toth (1990) does not refute."""
    low, high = start, float(np.ceil(start * 4 / 3))
    while low < high:
        middle = float(np.floor((low + high) / 2))
        if _bins_needed(longest, middle) > bins:
            low = middle + 1
        else:
            high = middle
    return low if low > start and _bins_needed(longest, low - 1) > bins else start


def _bins_needed(longest: Floats, size: float) -> int:
    """L2: a lower bound on the bins of ``size`` for items sorted from the longest."""
    prefix = np.concatenate([[0.0], np.cumsum(longest)])
    small = np.concatenate([[0.0], np.unique(longest[longest <= size / 2])])
    over_half = int(np.searchsorted(-longest, -size / 2, side="left"))
    over_rest = np.minimum(np.searchsorted(-longest, -(size - small), side="left"), over_half)
    at_least = np.searchsorted(-longest, -small, side="right")
    middle = prefix[over_half] - prefix[over_rest]
    little = prefix[np.maximum(at_least, over_half)] - prefix[over_half]
    room = (over_half - over_rest) * size - middle
    extra = np.ceil((little - room) / size - 1e-9)
    return int((over_half + np.maximum(0, extra)).max())


def integral(problem: Problem) -> bool:
    """Whether all times, releases and delays are whole, so that the best makespan is a whole number."""
    parts = [problem.release, problem.parents.delay, problem.parents.transfer]
    parts += [problem.times_on(g) for g in range(problem.groups)] if problem.groups <= 64 else [np.array([0.5])]
    for values in parts:
        finite = values[np.isfinite(values)]
        if len(finite) and (float(np.abs(finite).max()) > 1e15 or np.any(finite != np.floor(finite))):
            return False
    return True
