"""Genetic search over who runs what, with DEAP: elitism, seeded by the quick rules."""

from __future__ import annotations

import math
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from deap import base, tools

from partitioner.model.data import Ints
from partitioner.placement import clock
from partitioner.placement.algorithms.local_search import lanes_of
from partitioner.placement.base import EVERYTHING, Algorithm
from partitioner.placement.bounds.proof import proven
from partitioner.placement.objectives import Objective, ranking
from partitioner.placement.problem import Problem
from partitioner.placement.schedule import Schedule
from partitioner.placement.schedules.insertion import Insertion
from partitioner.placement.schedules.partial import precedence_order
from partitioner.placement.schedules.sequence import longest_first, run_in_order, slots_of
from partitioner.placement.search.seeds import start_plans, too_large

_POPULATION = 40
_ELITE = 4
_TOURNAMENT = 3
_CROSS = 0.7
_MUTATE = 0.6
_SHARE_FOR_SEEDS = 0.2


class Genetic(Algorithm):
    """Chromosomes give each task a worker; crossover mixes two plans, mutation moves a few tasks, the best four survive.

    Fitness is the objective itself, after hard deadlines. The plan returned is the best that any generation saw.
    ``generations`` limits the search, for repeatable results.
    """

    name = "genetic"
    counts = True
    role = "none"  # at equal time the other searches find better plans
    supports = EVERYTHING
    guarantee = "never worse than the best of the quick rules it starts from"
    complexity = (
        "O(n log n) per plan for independent tasks, one list schedule per plan otherwise; 40 plans a generation"
    )
    source = "Fortin et al. 2012, https://www.jmlr.org/papers/v13/fortin12a.html"
    anytime = True
    default_seconds = 5.0

    def __init__(self, generations: int | None = None) -> None:
        self.generations = generations

    def refusals(self, problem: Problem) -> list[str]:
        """As declared, and by size."""
        return super().refusals(problem) + too_large(problem)

    def solve(self, problem: Problem, objective: Objective, seed: int, deadline: float) -> Schedule:
        """The best plan seen, bred from the plans of the quick rules."""
        now = clock.now()
        known = start_plans(problem, objective, now + _SHARE_FOR_SEEDS * (deadline - now))
        with _seeded(seed):
            return _Breeding(problem, objective, known).run(deadline, self.generations)

    def improve(self, problem: Problem, known: Schedule, objective: Objective, seed: int, deadline: float) -> Schedule:
        """The best plan seen, bred from ``known`` and never worse than it."""
        with _seeded(seed):
            return _Breeding(problem, objective, [known]).run(deadline, self.generations)


_ONE_AT_A_TIME = threading.Lock()


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """DEAP draws from the global generator: seed it, and give the caller's state back afterwards."""
    with _ONE_AT_A_TIME:
        state = random.getstate()
        random.seed(seed)
        try:
            yield
        finally:
            random.setstate(state)


class _Fitness(base.Fitness):  # type: ignore[misc]  # DEAP has no types
    """Hard deadlines missed, the objective, sum of squared finishes: all minimised, in this order."""

    weights = (-1.0, -1.0, -1.0)


class _Chromosome(list[int]):
    """Per task a place: a slot where tasks are independent, else a worker."""

    def __init__(self, genes: list[int]) -> None:
        super().__init__(genes)
        self.fitness = _Fitness()


class _Breeding:
    """Population, decoding and the best schedule of one search."""

    def __init__(self, problem: Problem, objective: Objective, known: list[Schedule]) -> None:
        self.problem, self.objective = problem, objective
        self.plain = problem.slots is not None and not (
            problem.has_edges or problem.has_releases or problem.hard.any() or problem.uses_gpu.any()
        )
        self.best = min(known, key=lambda plan: ranking(problem, plan, objective))
        self.rank = ranking(problem, self.best, objective)
        self.goal = max(proven(problem, plan).seconds for plan in known) * (1 + 1e-12)
        self.order = longest_first(problem) if self.plain else precedence_order(problem, self.best.start)
        group = slots_of(problem).group if self.plain else problem.group_of
        able = np.isfinite(problem.matrix)
        self.places: list[list[int]] = [np.flatnonzero(row[group]).tolist() for row in able]
        self.seeds = [_Chromosome(self._genes(plan).tolist()) for plan in known]

    def _genes(self, plan: Schedule) -> Ints:
        return lanes_of(self.problem, plan) if self.plain else plan.worker.astype(np.int64)

    def run(self, deadline: float, generations: int | None) -> Schedule:
        """Breed until the deadline, the number of generations, or the lower bound."""
        count = max(_POPULATION, len(self.seeds))
        population = self.seeds + [self._mutant(random.choice(self.seeds)) for _ in range(count - len(self.seeds))]
        self._evaluate(population, deadline)
        done, limit = 0, math.inf if generations is None else generations
        while done < limit and clock.now() < deadline and not self._optimal():
            elite = tools.selBest(population, _ELITE)
            parents = tools.selTournament(population, len(population) - _ELITE, _TOURNAMENT)
            children = self._offspring([_Chromosome(p) for p in parents])
            self._evaluate(children, deadline)
            population = elite + children
            done += 1
        return self.best

    def _optimal(self) -> bool:
        within = self.best.makespan <= self.goal
        return self.objective.is_makespan and self.rank[0] == 0 and within

    def _offspring(self, children: list[_Chromosome]) -> list[_Chromosome]:
        for one, other in zip(children[::2], children[1::2], strict=False):
            if random.random() < _CROSS:
                tools.cxUniform(one, other, 0.5)
        return [self._mutant(child) if random.random() < _MUTATE else child for child in children]

    def _mutant(self, parent: _Chromosome) -> _Chromosome:
        """A copy with one to five tasks moved, or two tasks' places exchanged where both may run there."""
        child = _Chromosome(parent)
        a, b = random.randrange(len(child)), random.randrange(len(child))
        if random.random() < 0.5 and child[b] in self.places[a] and child[a] in self.places[b]:
            child[a], child[b] = child[b], child[a]
            return child
        for _ in range(random.randint(1, 5)):
            i = random.randrange(len(child))
            child[i] = random.choice(self.places[i])
        return child

    def _evaluate(self, chromosomes: list[_Chromosome], deadline: float) -> None:
        """Give every chromosome its fitness; past the deadline the worst there is, without decoding."""
        for chromosome in chromosomes:
            if clock.now() > deadline:
                chromosome.fitness.values = (math.inf, math.inf, math.inf)
                continue
            clock.spend(60 + (0.5 if self.plain else 30.0) * self.problem.n)
            schedule = self._decode(chromosome)
            rank = ranking(self.problem, schedule, self.objective)
            chromosome.fitness.values = rank
            if rank < self.rank:
                self.best, self.rank = schedule, rank

    def _decode(self, chromosome: _Chromosome) -> Schedule:
        if self.plain:
            return run_in_order(self.problem, np.array(chromosome, np.int64), self.order)
        built = Insertion(self.problem)
        for i in self.order.tolist():
            j = chromosome[i]
            built.put(i, j, built.ready_times(i)[j])
        return built.schedule()
