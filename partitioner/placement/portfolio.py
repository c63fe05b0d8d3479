"""Several algorithms on one problem: the best schedule so far, what is proven, and what each came to."""

from __future__ import annotations

from dataclasses import replace

from partitioner import model
from partitioner.errors import ConfigError, InfeasiblePlan, InvalidPlan
from partitioner.model import Turn
from partitioner.placement import clock
from partitioner.placement.base import NEVER, Algorithm
from partitioner.placement.bounds.proof import proven
from partitioner.placement.objectives import Objective, ranking
from partitioner.placement.problem import Problem
from partitioner.placement.schedule import Schedule
from partitioner.placement.soundness import sound

GOOD_ENOUGH, LARGE = 1e-4, 100_000
"""A gap of 0.01 % ends the matter from so many tasks on: more search is not worth the time. Nor are members checked."""
SLOT_STEPS = 2.0
"""Steps (microseconds) per task of a list scheduler on slots."""
TIMELINE_STEPS, MOST_TIMELINE_STEPS = (40.0, 3.0), 100.0
"""Steps per task, and per task and worker, where timelines are searched; at most so many per task on large problems."""
INSERTION_STEPS = (20.0, 8.0)
"""Steps per task, and per task and worker, of schedulers that compare all workers and fill holes."""


class Portfolio:
    """What the members of one run share; it grows by ``run`` and ``keep``."""

    def __init__(self, problem: Problem, objective: Objective, seed: int) -> None:
        self.problem, self.objective, self.seed = problem, objective, seed
        self.proof = proven(problem)
        self.best: Schedule | None = None
        self.winner = ""
        self.rank = (NEVER, NEVER, NEVER)
        self.turns: dict[str, Turn] = {}
        self.not_run: dict[str, str] = {}

    def run(self, algorithm: Algorithm, until: float, label: str = "", seed: int | None = None) -> float:
        """Run one member until a reading of ``clock.now()``; returns the seconds it took."""
        begun, name = clock.now(), label or algorithm.name
        seed = self.seed if seed is None else seed
        try:
            if self.best is None or algorithm.role == "list":
                found = algorithm.solve(self.problem, self.objective, seed, until)
                clock.spend(_steps_of(algorithm, self.problem))
            else:
                found = algorithm.improve(self.problem, self.known(), self.objective, seed, until)
            self.keep(name, found, clock.now() - begun, algorithm.proves)
        except (ConfigError, InfeasiblePlan, InvalidPlan) as error:
            if self.best is None and not isinstance(error, ConfigError):
                raise
            self.not_run[name] = str(error)
        return clock.now() - begun

    def keep(self, name: str, found: Schedule, taken: float, proves: bool = False) -> None:
        """Take note of a schedule, and keep it where it is the best; InvalidPlan where it does not pass the checker.

        On large problems only the winner is checked, when it becomes a plan: twice would take a tenth of the time.
        """
        if self.problem.n < LARGE:
            found = sound(self.problem, found, name, proves or found.bound <= self.proof.seconds)
        self.proof = self.proof.or_higher(found.bound, found.bound_by or name)
        rank = ranking(self.problem, found, self.objective)
        before = self.turns[name].seconds if name in self.turns else 0.0
        self.turns[name] = Turn(found.makespan, rank[1], round(before + taken, 4))
        if self.best is None or rank < self.rank:
            self.best, self.rank, self.winner = found, rank, name

    def known(self) -> Schedule:
        """The best schedule, with all that is proven."""
        assert self.best is not None
        return replace(self.best, bound=self.proof.seconds, bound_by=self.proof.source)

    def is_done(self) -> bool:
        """Optimal by the bound; or so close on a huge problem that more search is not worth the time."""
        if self.best is None or not self.objective.is_makespan or self.rank[0] > 0:
            return False
        slack = GOOD_ENOUGH if self.problem.n >= LARGE else 1e-12
        return self.best.makespan <= self.proof.seconds * (1 + slack)

    def result(self) -> Schedule:
        """The winner with the story of the portfolio."""
        return replace(self.known(), portfolio=model.Portfolio(self.winner, self.turns, self.not_run))


def _steps_of(algorithm: Algorithm, problem: Problem) -> float:
    """About what a list scheduler does that does not count by itself, in steps."""
    if algorithm.quadratic:
        return problem.n * (INSERTION_STEPS[0] + INSERTION_STEPS[1] * problem.m)
    if problem.slots is not None and not problem.has_edges:
        return problem.n * SLOT_STEPS
    each = TIMELINE_STEPS[0] + TIMELINE_STEPS[1] * problem.m
    return problem.n * (each if problem.has_edges else min(each, MOST_TIMELINE_STEPS))
