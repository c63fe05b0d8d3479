"""Worker groups that plan for themselves from their own view, then exchange work in pairs until they are level."""

from __future__ import annotations

import numpy as np

from partitioner.model import Workers
from partitioner.model.data import Floats, Ints
from partitioner.placement.base import INDEPENDENT, Algorithm
from partitioner.placement.objectives import Objective
from partitioner.placement.options import count
from partitioner.placement.problem import Problem
from partitioner.placement.schedule import Schedule
from partitioner.placement.schedules.list_rules import list_schedule
from partitioner.placement.subset import take_tasks

_SWEEPS = 3


class DimensionExchange(Algorithm):
    """About sqrt(m) groups, each with every kind of worker. Tasks are dealt in turn, nobody sees all of them.

    Then dimension exchange: in round d group k talks to group k xor 2**d only. Both say how full they are relative to
    what they can do (one message each), the fuller one sends tasks to meet the mean (one message). Three sweeps over the
    dimensions make at most 4.5 x groups x log2(groups) messages, whatever the number of tasks. Last, each group runs lpt.
    """

    name = "dimension_exchange"
    role = "none"
    supports = INDEPENDENT
    guarantee = "that of lpt within a group; groups level to within one task after the exchange"
    complexity = "O(n log n) in all; O(groups log groups) messages"
    source = "G. Cybenko, Dynamic load balancing for distributed memory multiprocessors, JPDC 7 (1989)"

    def __init__(self, groups: int | None = None) -> None:
        self.groups = count("groups", groups)

    def solve(self, problem: Problem, objective: Objective, seed: int, deadline: float) -> Schedule:
        """See ``Algorithm.solve``."""
        crews = deal_workers(problem, self.groups)
        owner = _deal_tasks(problem, crews)
        messages, moved = _exchange(problem, crews, owner, np.random.default_rng(seed))
        worker = np.empty(problem.n, np.int32)
        start, finish = np.empty(problem.n), np.empty(problem.n)
        devices: dict[int, tuple[int, ...]] = {}
        before = np.full(problem.n, -1, np.int32)
        by_owner = np.argsort(owner, kind="stable")
        cuts = np.searchsorted(owner[by_owner], np.arange(1, len(crews)))
        for crew, mine in zip(crews, np.split(by_owner, cuts), strict=True):
            if not len(mine):
                continue
            part = Problem(take_tasks(problem.tasks, mine), _take_workers(problem.workers, crew), problem.bandwidth)
            local = list_schedule(part, -part.fastest)
            worker[mine] = crew[local.worker]
            start[mine], finish[mine] = local.start, local.finish
            devices |= {int(mine[i]): d for i, d in local.devices.items()}
            if local.before is not None:
                before[mine] = np.where(local.before >= 0, mine[local.before], -1)
        notes = {"groups": len(crews), "messages": messages, "tasks_moved": moved}
        return Schedule(worker, start, finish, notes=notes, devices=devices, before=before)


def deal_workers(problem: Problem, groups: int | None) -> list[Ints]:
    """The workers of each group: every kind is dealt out in turn, so that groups look alike."""
    count = max(1, min(problem.m, groups or round(np.sqrt(problem.m))))
    by_kind = np.argsort(problem.group_of, kind="stable")
    return [np.sort(by_kind[k::count]) for k in range(count)]


def _take_workers(workers: Workers, crew: Ints) -> Workers:
    return workers.take(crew)


def _able(problem: Problem, crews: list[Ints]) -> tuple[Floats, np.ndarray]:
    """(strength float64[crews], has bool[crews, G]): work per second of each crew, and which kinds of workers it has."""
    slots = problem.slots
    at_once = problem.capacity[:, 0] if slots is None and len(problem.resources) else np.ones(problem.groups)
    at_once = at_once if slots is None else slots.per_group.astype(np.float64)
    rate = (np.where(np.isfinite(at_once), at_once, 1.0) * problem.speed)[problem.group_of]
    has = np.zeros((len(crews), problem.groups), np.bool_)
    for k, crew in enumerate(crews):
        has[k, problem.group_of[crew]] = True
    return np.array([float(rate[crew].sum()) for crew in crews]), has


def _deal_tasks(problem: Problem, crews: list[Ints]) -> Ints:
    """int64[n]: the crew that first gets each task: in turn, or the next one in turn that can run it."""
    owner = np.arange(problem.n, dtype=np.int64) % len(crews)
    if problem.eligible_everywhere:
        return owner
    has = _able(problem, crews)[1]
    for i in range(problem.n):
        able = np.flatnonzero((has & np.isfinite(problem.times_of(i))).any(axis=1))
        owner[i] = able[i % len(able)]
    return owner


def _exchange(problem: Problem, crews: list[Ints], owner: Ints, random: np.random.Generator) -> tuple[int, int]:
    """Level the crews pair by pair, changing ``owner``; returns messages and how often a task changed hands."""
    strength, has = _able(problem, crews)
    work = problem.tasks.seconds if problem.related else problem.fastest
    movable = problem.eligible_everywhere
    messages = moved = 0
    dimensions = max(1, int(np.ceil(np.log2(max(2, len(crews))))))
    held = _held(owner, len(crews))
    load = np.array([float(work[tasks].sum()) for tasks in held])
    for _ in range(_SWEEPS):
        for d in range(dimensions):
            for k in range(len(crews)):
                other = k ^ (1 << d)
                if not k < other < len(crews):
                    continue
                messages += 2
                fair = (load[k] + load[other]) / (strength[k] + strength[other])
                giver, taker = (k, other) if load[k] / strength[k] > load[other] / strength[other] else (other, k)
                excess = load[giver] - fair * strength[giver]
                if not movable and not np.array_equal(has[k], has[other]):
                    continue
                sent = _pick(work, held[giver], excess, random)
                if not len(sent):
                    continue
                messages += 1
                moved += len(sent)
                owner[sent] = taker
                held[giver] = np.setdiff1d(held[giver], sent, assume_unique=True)
                held[taker] = np.concatenate([held[taker], sent])
                amount = float(work[sent].sum())
                load[giver] -= amount
                load[taker] += amount
    return messages, moved


def _held(owner: Ints, crews: int) -> list[Ints]:
    """The tasks of each crew."""
    order = np.argsort(owner, kind="stable")
    return np.split(order, np.searchsorted(owner[order], np.arange(1, crews)))


def _pick(work: Floats, tasks: Ints, excess: float, random: np.random.Generator) -> Ints:
    """Tasks, in random order, whose work adds up to ``excess`` without passing it."""
    if excess <= 0 or not len(tasks):
        return np.empty(0, np.int64)
    shuffled = random.permutation(tasks)
    before = np.cumsum(work[shuffled])
    first = shuffled[before <= excess]
    rest = excess - (float(work[first].sum()) if len(first) else 0.0)
    others = shuffled[before > excess]
    if len(others):
        small = others[work[others] <= rest]
        if len(small):
            return np.append(first, small[int(np.argmax(work[small]))])
    return first
