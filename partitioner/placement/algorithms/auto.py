"""A portfolio: everything applicable within a time budget, local search on the winner, the best plan kept."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from partitioner import registry
from partitioner.errors import ConfigError, InfeasiblePlan, InvalidPlan
from partitioner.model import Portfolio, Turn
from partitioner.placement import clock
from partitioner.placement.base import EVERYTHING, NEVER, Algorithm
from partitioner.placement.bounds.proof import Bound, proven
from partitioner.placement.objectives import Objective, ranking
from partitioner.placement.problem import Problem
from partitioner.placement.schedule import Schedule
from partitioner.placement.schedules.cheapest import cheapest
from partitioner.placement.soundness import sound

_TASKS_PER_SECOND = 250_000
_GOOD_ENOUGH = 1e-4
_LARGE = 100_000
_FIRST = "lpt"
_SUITED = {"total_completion": "sjf", "loss": "edf"}
_LOADING = 0.25
_STEP_SECONDS = 3e-7
_FEW_PAIRS = 600
_FIRST_OF_GRAPHS = "heft"
_LISTS_OF_GRAPHS = 0.2
_PAIRS_OF_GRAPHS = 2_000_000
_LISTS = 0.4
_LISTS_OF_SHARED = 0.8
_FIRST_SEARCH = "local_search"
_EARLY = 0.15
_MOST_ROUNDS = 1_000
_LEAST_TURN = 0.1
_SHORT_TURNS = 0.25
_GRAPH_TASKS_PER_SECOND = 100
_MOST_FOR_GRAPHS = 14.0


class Auto(Algorithm):
    """Runs ``lpt`` first, then the other list schedulers, then searches from the best plan, then exact methods.

    Task graphs get short turns of searches and exact methods first. What one member proves, the next know.
    Budget: the time limit, or 1 s plus 1 s per 250,000 tasks; with dependencies 1 s more per 100 tasks, up to 15 s.
    A result comes at any limit; what got no turn is listed.
    Members are whatever the registry holds whose declared support covers the problem.
    """

    name = "auto"
    counts = True
    proves = True
    role = "none"
    supports = EVERYTHING
    guarantee = "never worse than its best member within the budget, hence never worse than lpt"
    complexity = "the time budget"
    source = "C. P. Gomes, B. Selman, Algorithm portfolios, Artificial Intelligence 126 (2001)"
    anytime = True

    def solve(self, problem: Problem, objective: Objective, seed: int, deadline: float) -> Schedule:
        """See ``Algorithm.solve``."""
        begun = clock.now()
        if deadline == NEVER:
            graph = min(_MOST_FOR_GRAPHS, problem.n / _GRAPH_TASKS_PER_SECOND) if problem.has_edges else 0.0
            deadline = begun + 1.0 + problem.n / _TASKS_PER_SECOND + graph
        state = _Portfolio(problem, objective, seed, deadline, proven(problem))
        state.run_lists()
        state.run_searches()
        return state.result()


@dataclass(slots=True)
class _Portfolio:
    """The best schedule so far and the figures of everyone who took part."""

    problem: Problem
    objective: Objective
    seed: int
    deadline: float
    proof: Bound
    best: Schedule | None = None
    winner: str = ""
    rank: tuple[float, float, float] = (NEVER, NEVER, NEVER)
    turns: dict[str, Turn] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)

    def run_lists(self) -> None:
        """The fast ones, ``lpt`` first; each is expected to take as long as the slowest so far.

        With dependencies, ``heft`` always runs up to two million pairs of task and worker, and the rest leave most of the
        time to the searches.
        """
        longest = self._try(registry.load("placements", _FIRST)(), self.deadline)
        self._run_suited()
        graph = self.problem.has_edges
        if not graph:
            self._first_search()
        now = clock.now()
        part = _LISTS_OF_GRAPHS if graph else (_LISTS if self.problem.slots is not None else _LISTS_OF_SHARED)
        until = now + part * (self.deadline - now)
        members = self._members("list")
        members.sort(key=lambda a: (a.name != _FIRST_OF_GRAPHS, a.quadratic))
        for algorithm in members:
            if algorithm.name in self.turns:
                continue
            small = self.problem.has_edges and self.problem.n * self.problem.m <= _PAIRS_OF_GRAPHS
            always = algorithm.name == _FIRST_OF_GRAPHS and small and not self._done()
            if not always and (self._too_large(algorithm, until) or self._over(algorithm.name, longest, until)):
                continue
            longest = max(longest, self._try(algorithm, self.deadline))

    def _first_search(self) -> None:
        """Independent tasks: a short local search before anything else, which often ends the matter."""
        search = registry.load("placements", _FIRST_SEARCH)()
        now = clock.now()
        if not self._over(search.name, 0.0, self.deadline):
            self._try(search, now + _EARLY * (self.deadline - now), label=f"{search.name} on {self.winner}")

    def _too_large(self, algorithm: Algorithm, until: float) -> bool:
        """Whether a scheduler made for graphs would eat up the budget: without dependencies it is lpt, only slower."""
        if not algorithm.quadratic:
            return False
        pairs = self.problem.n * self.problem.m
        if self.problem.has_edges and self.problem.n * pairs * _STEP_SECONDS <= until - clock.now():
            return False
        if not self.problem.has_edges and pairs <= _FEW_PAIRS:
            return False
        self.skipped[algorithm.name] = "too many tasks for the time budget"
        return True

    def _run_suited(self) -> None:
        """What is made for an objective other than the makespan, whatever the budget."""
        if self.objective.is_makespan:
            return
        start = clock.now()
        thrifty = cheapest(self.problem, self.objective)
        if thrifty is not None:
            self._keep("cheapest", thrifty, clock.now() - start)
        for name in [_SUITED[part] for part, weight in self.objective.weights if weight > 0 and part in _SUITED]:
            self._try(registry.load("placements", name)(), self.deadline)

    def run_searches(self) -> None:
        """A turn for each search and exact method; of task graphs many are settled by short turns that come first."""
        searches = self._members("search")
        searches.sort(key=lambda a: (a.name != _FIRST_SEARCH, a.name != "hybrid", a.name))
        turns = [*searches, *self._members("exact")]
        if self.problem.has_edges:
            now = clock.now()
            self._run_turns(turns, now + _SHORT_TURNS * (self.deadline - now), self.seed)
        self._run_turns(turns, self.deadline, self.seed + _MOST_ROUNDS)
        self._use_the_rest(searches)

    def _run_turns(self, turns: list[Algorithm], until: float, seed: int) -> None:
        """The time is divided by the shares; whoever stops early leaves its time to the next."""
        for k, algorithm in enumerate(turns):
            if self._over(algorithm.name, 0.0, until):
                continue
            now = clock.now()
            parts = sum(a.share(self.problem) for a in turns[k:])
            self._try(algorithm, now + (until - now) * algorithm.share(self.problem) / parts, seed=seed)

    def _use_the_rest(self, searches: list[Algorithm]) -> None:
        """Searches in turn from the best plan, each time with another seed, while there is time and they use it."""
        if self.problem.n > _LARGE:
            return
        for again in range(1, _MOST_ROUNDS):
            begun = clock.now()
            for algorithm in searches:
                now = clock.now()
                if self._done() or now >= self.deadline:
                    return
                left = self.deadline - now
                until = now + max(_LEAST_TURN, left / (len(searches) + 1)) * algorithm.share(self.problem)
                self._try(algorithm, min(until, self.deadline), label=f"{algorithm.name} again", seed=self.seed + again)
            if clock.now() - begun < _LEAST_TURN / 10:
                return

    def _over(self, name: str, expected: float, until: float) -> bool:
        """Whether ``name`` must do without a turn; notes why."""
        if self._done():
            why = "plan proven optimal"
        elif clock.now() + expected > until:
            why = "time budget"
        else:
            return False
        if name not in self.turns:
            self.skipped[name] = why
        return True

    def _members(self, role: str) -> list[Algorithm]:
        """Registered algorithms of a role that support the problem, those that need an extra package last.

        Solvers are not even loaded when there is no time left for them.
        """
        members: list[Algorithm] = []
        entries = registry.entries("placements")
        for name in sorted(entries, key=lambda n: (bool(entries[n].extra), n)):
            if name in (Auto.name, _FIRST):
                continue
            if entries[name].extra and (self._done() or self.deadline - clock.now() < _LOADING):
                continue
            try:
                algorithm = registry.load("placements", name)()
            except (ConfigError, ImportError) as error:
                self.skipped[name] = str(error)
                continue
            if algorithm.role == role and not algorithm.refusals(self.problem) and algorithm.share(self.problem) > 0:
                members.append(algorithm)
        return members

    def _try(self, algorithm: Algorithm, until: float, label: str = "", seed: int | None = None) -> float:
        """Run one member; returns the seconds it took."""
        start = clock.now()
        name = label or algorithm.name
        seed = self.seed if seed is None else seed
        try:
            if self.best is None or algorithm.role == "list":
                found = algorithm.solve(self.problem, self.objective, seed, until)
            else:
                found = algorithm.improve(self.problem, self._known(), self.objective, seed, until)
            self._keep(name, found, clock.now() - start, algorithm.proves)
        except (ConfigError, InfeasiblePlan, InvalidPlan) as error:
            if self.best is None and not isinstance(error, ConfigError):
                raise
            self.skipped[name] = str(error)
            return clock.now() - start
        return clock.now() - start

    def _known(self) -> Schedule:
        """The best schedule, with all that is proven."""
        assert self.best is not None
        return replace(self.best, bound=self.proof.seconds, bound_by=self.proof.source)

    def _keep(self, name: str, found: Schedule, taken: float, proves: bool = False) -> None:
        """Take note of a schedule, and keep it where it is the best; InvalidPlan where it does not pass the checker."""
        found = sound(self.problem, found, name, proves or found.bound <= self.proof.seconds)
        self.proof = self.proof.or_higher(found.bound, found.bound_by or name)
        rank = ranking(self.problem, found, self.objective)
        before = self.turns[name].seconds if name in self.turns else 0.0
        self.turns[name] = Turn(found.makespan, rank[1], round(before + taken, 4))
        if self.best is None or rank < self.rank:
            self.best, self.rank, self.winner = found, rank, name

    def _done(self) -> bool:
        """Optimal by the bound; or so close on a huge problem that more search is not worth the user's time."""
        if self.best is None or not self.objective.is_makespan or self.rank[0] > 0:
            return False
        slack = _GOOD_ENOUGH if self.problem.n >= _LARGE else 1e-12
        return self.best.makespan <= self.proof.seconds * (1 + slack)

    def result(self) -> Schedule:
        """The winner with the story of the portfolio."""
        story = Portfolio(self.winner, self.turns, self.skipped)
        return replace(self._known(), portfolio=story)
