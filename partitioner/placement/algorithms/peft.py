"""Predict earliest finish time: HEFT that looks ahead by an optimistic cost table."""

from __future__ import annotations

from partitioner.placement.base import EVERYTHING, Algorithm
from partitioner.placement.objectives import Objective
from partitioner.placement.problem import Problem
from partitioner.placement.schedule import Schedule
from partitioner.placement.schedules.insertion import Insertion
from partitioner.placement.schedules.ranks import ReadyQueue, optimistic_cost


class Peft(Algorithm):
    """Ready tasks by mean optimistic cost, each on the worker with the least finish plus optimistic cost of what follows."""

    name = "peft"
    quadratic = True
    supports = EVERYTHING
    guarantee = "none; looks one worker choice ahead where HEFT is greedy"
    complexity = "O((n + e) m) without holes: n tasks, e edges, m workers"
    source = "Arabnejad and Barbosa 2014, https://doi.org/10.1109/TPDS.2013.57"

    def solve(self, problem: Problem, objective: Objective, seed: int, deadline: float) -> Schedule:
        """The PEFT schedule; it does not depend on the objective, the seed or the deadline."""
        table = optimistic_cost(problem)
        ahead = table[:, problem.group_of].tolist()
        rank = table @ problem.size / problem.m
        built = Insertion(problem)
        for i in ReadyQueue(problem, rank):
            ready = built.ready_times(i)
            cost = [finish + left for finish, left in zip(built.finishes(i, ready), ahead[i], strict=True)]
            j = built.first_of(cost)
            built.put(i, j, ready[j])
        return built.schedule()
