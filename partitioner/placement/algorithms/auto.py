"""A portfolio: everything applicable within a budget, searches from the best plan so far, the best plan kept."""

from __future__ import annotations

from partitioner import registry
from partitioner.errors import ConfigError
from partitioner.placement import clock
from partitioner.placement.base import EVERYTHING, NEVER, Algorithm
from partitioner.placement.objectives import Objective
from partitioner.placement.portfolio import Portfolio
from partitioner.placement.problem import Problem
from partitioner.placement.schedule import Schedule
from partitioner.placement.schedules.cheapest import cheapest

LEAST_SECONDS = 1.0
"""The budget of a small problem, seconds; ``benchmarks.placement_quality`` shows what more would gain."""
TASKS_PER_SECOND = 250_000
"""A second more per so many tasks: about what ``lpt`` and the bounds take on a busy machine."""
GRAPH_TASKS_PER_SECOND, MOST_FOR_GRAPHS = 100, 14.0
"""With dependencies a second more per so many tasks, up to so many seconds: searches on graphs gain for longer."""
LISTS, LISTS_OF_SHARED, LISTS_OF_GRAPHS = 0.4, 0.8, 0.2
"""Parts of the budget in which list schedulers may begin: on slots, on shared workers (searches help less), on graphs."""
EARLY = 0.15
"""Part of the budget that the first search gets before the other list schedulers; it often ends the matter."""
SHORT_TURNS = 0.25
"""Part of the budget for short turns of all searches and exact methods on graphs: many are settled there."""
FEW_PAIRS = 600
"""Pairs of task and worker up to which schedulers made for graphs run on independent tasks too: below 10 ms each."""
SURE_PAIRS = 2_000_000
"""Pairs up to which the first scheduler made for graphs runs on every graph, whatever the budget: some seconds."""
PAIR_SECONDS = 3e-7
"""Seconds per n^2 m that a scheduler made for graphs takes at worst."""
LARGE = 100_000
"""Tasks from which on the searches have one turn only: they are over before the time is."""
LEAST_TURN = 0.1
"""Seconds of the shortest turn: below it most of a turn is its start."""
MOST_ROUNDS = 1_000
"""Turns of each search at most, each with a seed of its own."""
LOADING = 0.25
"""Seconds that importing a solver takes: with less left it is not loaded."""


class Auto(Algorithm):
    """The first list scheduler, then the others, then searches from the best plan, then exact methods.

    Members are whatever the registry holds whose declared support covers the problem; their ``role``, ``turn``, ``suits``
    and ``share`` say when each comes and how long it has. What one member proves, the next know. Task graphs get short turns
    of searches and exact methods first. Budget, counted in steps unless a time limit is given: 1 s plus 1 s per 250,000
    tasks; with dependencies 1 s more per 100 tasks, up to 15 s. A result comes at any limit; what got no turn is listed.
    """

    name = "auto"
    counts = True
    proves = True
    role = "none"
    supports = EVERYTHING
    guarantee = "never worse than its best member within the budget, hence never worse than lpt"
    complexity = "the budget"
    source = "C. P. Gomes, B. Selman, Algorithm portfolios, Artificial Intelligence 126 (2001)"
    anytime = True

    def solve(self, problem: Problem, objective: Objective, seed: int, deadline: float) -> Schedule:
        """See ``Algorithm.solve``."""
        if deadline == NEVER:
            graph = min(MOST_FOR_GRAPHS, problem.n / GRAPH_TASKS_PER_SECOND) if problem.has_edges else 0.0
            deadline = clock.now() + LEAST_SECONDS + problem.n / TASKS_PER_SECOND + graph
        run = _Turns(problem, objective, seed, deadline)
        run.lists()
        run.searches()
        return run.portfolio.result()


class _Turns:
    """Who comes when."""

    def __init__(self, problem: Problem, objective: Objective, seed: int, deadline: float) -> None:
        self.problem, self.objective, self.seed, self.deadline = problem, objective, seed, deadline
        self.portfolio = Portfolio(problem, objective, seed)
        self.packages = False

    def lists(self) -> None:
        """List schedulers: the first always, then those that suit the objective, the first search, and the rest.

        Each is expected to take as long as the slowest so far.
        """
        portfolio, graph = self.portfolio, self.problem.has_edges
        members = self._members("list")
        longest = portfolio.run(members[0], self.deadline)
        self._suited(members)
        searches = self._members("search")
        if not graph and searches:
            self._first_search(searches[0])
        part = LISTS_OF_GRAPHS if graph else (LISTS if self.problem.slots is not None else LISTS_OF_SHARED)
        until = clock.now() + part * (self.deadline - clock.now())
        sure = next((a for a in members if a.quadratic), None) if self._is_small_graph() else None
        for algorithm in sorted(members[1:], key=lambda a: a is not sure):
            if algorithm.name in portfolio.turns:
                continue
            always = algorithm is sure and not portfolio.is_done()
            if always or not (self._too_large(algorithm, until) or self._over(algorithm.name, longest, until)):
                longest = max(longest, portfolio.run(algorithm, self.deadline))

    def searches(self) -> None:
        """A turn for each search and exact method, then the searches again from the best plan while there is time."""
        self.packages = True
        searches = self._members("search")
        turns = [*searches, *self._members("exact")]
        if self.problem.has_edges:
            now = clock.now()
            self._run_turns(turns, now + SHORT_TURNS * (self.deadline - now), self.seed)
        self._run_turns(turns, self.deadline, self.seed + MOST_ROUNDS)
        if self.problem.n <= LARGE:
            self._use_the_rest(searches)

    def _is_small_graph(self) -> bool:
        return self.problem.has_edges and self.problem.n * self.problem.m <= SURE_PAIRS

    def _suited(self, members: list[Algorithm]) -> None:
        """What is made for an objective other than the makespan, whatever the budget."""
        if self.objective.is_makespan:
            return
        begun = clock.now()
        thrifty = cheapest(self.problem, self.objective)
        if thrifty is not None:
            self.portfolio.keep("cheapest", thrifty, clock.now() - begun)
        wanted = {part for part, weight in self.objective.weights if weight > 0}
        for algorithm in members:
            if wanted & algorithm.suits and algorithm.name not in self.portfolio.turns:
                self.portfolio.run(algorithm, self.deadline)

    def _first_search(self, search: Algorithm) -> None:
        now = clock.now()
        if not self._over(search.name, 0.0, self.deadline):
            label = f"{search.name} on {self.portfolio.winner}"
            self.portfolio.run(search, now + EARLY * (self.deadline - now), label=label)

    def _too_large(self, algorithm: Algorithm, until: float) -> bool:
        """Whether a scheduler made for graphs would eat up the budget: without dependencies it is lpt, only slower."""
        if not algorithm.quadratic:
            return False
        pairs = self.problem.n * self.problem.m
        if self.problem.has_edges and self.problem.n * pairs * PAIR_SECONDS <= until - clock.now():
            return False
        if not self.problem.has_edges and pairs <= FEW_PAIRS:
            return False
        self.portfolio.not_run[algorithm.name] = "too many tasks for the time budget"
        return True

    def _run_turns(self, turns: list[Algorithm], until: float, seed: int) -> None:
        """The time is divided by the shares; whoever stops early leaves its time to the next."""
        for k, algorithm in enumerate(turns):
            if self._over(algorithm.name, 0.0, until):
                continue
            now = clock.now()
            parts = sum(a.share(self.problem) for a in turns[k:])
            self.portfolio.run(algorithm, now + (until - now) * algorithm.share(self.problem) / parts, seed=seed)

    def _use_the_rest(self, searches: list[Algorithm]) -> None:
        """Searches in turn, each time with another seed, while there is time and they use it."""
        for again in range(1, MOST_ROUNDS):
            begun = clock.now()
            for algorithm in searches:
                now = clock.now()
                if self.portfolio.is_done() or now >= self.deadline:
                    return
                turn = max(LEAST_TURN, (self.deadline - now) / (len(searches) + 1)) * algorithm.share(self.problem)
                until = min(now + turn, self.deadline)
                self.portfolio.run(algorithm, until, label=f"{algorithm.name} again", seed=self.seed + again)
            if clock.now() - begun < LEAST_TURN / 10:
                return

    def _over(self, name: str, expected: float, until: float) -> bool:
        """Whether ``name`` must do without a turn; notes why."""
        if self.portfolio.is_done():
            why = "plan proven optimal"
        elif clock.now() + expected > until:
            why = "time budget"
        else:
            return False
        if name not in self.portfolio.turns:
            self.portfolio.not_run[name] = why
        return True

    def _may_load(self) -> bool:
        return self.packages and not self.portfolio.is_done() and self.deadline - clock.now() >= LOADING

    def _members(self, role: str) -> list[Algorithm]:
        """Registered algorithms of a role that support the problem, in their turn, those that need an extra package last.

        Those are loaded for the searches only, and where time is left for them. Who cannot count is left out where steps do.
        """
        members: list[tuple[bool, int, str, Algorithm]] = []
        for name, entry in registry.entries("placements").items():
            if entry.extra and not self._may_load():
                continue
            try:
                algorithm = registry.load("placements", name)()
            except (ConfigError, ImportError) as error:
                self.portfolio.not_run[name] = str(error)
                continue
            if algorithm.role != role or algorithm.refusals(self.problem) or not algorithm.share(self.problem) > 0:
                continue
            if clock.is_counted() and algorithm.anytime and not algorithm.counts:
                self.portfolio.not_run[name] = "it stops by the clock, here steps count; give a time limit"
                continue
            members.append((bool(entry.extra), algorithm.turn, name, algorithm))
        return [algorithm for *_, algorithm in sorted(members, key=lambda member: member[:3])]
