"""Urgent work: a reserved share of the slots that only urgent tasks may use, so that they never queue behind the rest."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from partitioner.model.data import Ints
from partitioner.placement.base import Algorithm, Supports
from partitioner.placement.objectives import Objective
from partitioner.placement.options import number
from partitioner.placement.problem import Problem
from partitioner.placement.schedule import Schedule
from partitioner.placement.schedules.sequence import longest_first, run_in_order, slots_of


class Urgent(Algorithm):
    """Tasks of priority >= ``level`` are urgent: placed first, on any slot; the others keep off the reserved slots.

    ``share`` of the slots (0 to 1, rounded up, never all) is reserved while there is urgent work. The reserved slots are the
    last ones that can run every urgent task.
    """

    name = "urgent"
    role = "none"
    supports = Supports(uniform=True, unrelated=False)
    guarantee = "urgent tasks alone bound their own finish: at most 4/3 - 1/(3m) of their optimum on identical workers"
    complexity = "O(n S)"
    source = "trunk reservation in loss networks, F. P. Kelly (1991)"

    def __init__(self, share: float = 0.1, level: float = 1.0) -> None:
        self.reserved, self.level = number("share", share, 0, below=1), number("level", level, -float("inf"))

    def solve(self, problem: Problem, objective: Objective, seed: int, deadline: float) -> Schedule:
        """See ``Algorithm.solve``."""
        count = len(slots_of(problem))
        urgent = problem.priority >= self.level
        reserved = min(int(np.ceil(self.reserved * count)), count - 1) if urgent.any() else 0
        speed = problem.speed[slots_of(problem).group]
        order = longest_first(problem)
        order = np.concatenate([order[urgent[order]], order[~urgent[order]]])
        slot: Ints = np.empty(problem.n, np.int64)
        load = np.zeros(count)
        for i in order.tolist():
            open_slots = count if urgent[i] else count - reserved
            finish = load[:open_slots] + problem.tasks.seconds[i] / speed[:open_slots]
            slot[i] = int(finish.argmin())
            load[slot[i]] = finish[slot[i]]
        schedule = run_in_order(problem, slot, order)
        return replace(schedule, notes={"urgent": int(urgent.sum()), "reserved_slots": reserved})
