"""``pt.whatif``: the same work on other fleets: how long, how sure, how far from the best possible, for how much."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from partitioner.config import RunConfig
from partitioner.errors import ConfigError, InfeasiblePlan
from partitioner.model import Plan
from partitioner.outlook.answer import Outlook, WhatIf
from partitioner.outlook.basis import Basis, of_config, of_plan, of_run
from partitioner.outlook.fleets import MOST, Fleet, fleets_of, priced, repeated
from partitioner.placement.explain.interval import interval
from partitioner.placement.objectives import SECONDS_PER_HOUR
from partitioner.report.words import seconds
from partitioner.runs.run import Run
from partitioner.sizes import parse_seconds
from partitioner.store.run_directory import RunDirectory

FEW = 3
"""Sub-tasks per slot below which whole sub-tasks decide, and a run on that fleet would be cut finer."""


def whatif(
    run_or_plan: Any,
    workers: Any = None,
    deadline: float | str | None = None,
    prices: float | Mapping[str, float] | None = None,
    algorithm: Any = None,
    seed: int = 0,
) -> WhatIf:
    """How long the same work would take on other fleets, and for how much money.

    Parameters
    ----------
    run_or_plan
        A ``Run`` or its directory: the seconds that it measured. A ``Plan`` or ``RunConfig``: those predicted; a
        configuration is cut anew for every fleet.
    workers
        Fleets: a count (so many workers like those there were, in turn), ``Workers``, a list of ``Worker`` or the path of a
        table of workers; a list of these, or a mapping that names them. Half, one, two and four times as many by default.
    deadline
        Seconds from the call to the result, or ``"2h"``: whether each fleet meets it, and the smallest that does.
    prices
        Per worker and hour: one number, or by worker class or id; by default ``price_per_hour`` of the workers.

    The interval is that of the ETA, before the first sub-task: with the spread that the run has shown, else a prior.
    Raises ConfigError for fleets, deadlines or prices that are none, and where costs are no seconds; InfeasiblePlan where no
    fleet can do the work.
    """
    limit = None if deadline is None else parse_seconds(deadline)
    basis = basis_of(run_or_plan, algorithm)
    fleets = fleets_of(workers, basis.like, prices)
    asked = _Asked(basis, limit, seed)
    found = tuple(asked.outlook(fleet) for fleet in fleets)
    if all(o.refused for o in found):
        raise InfeasiblePlan(f"no fleet can do this work. {found[-1].fleet}: {found[-1].refused}")
    smallest, why = (None, ()) if limit is None else asked.smallest(fleets, found, prices)
    return WhatIf(
        basis.about, basis.start_seconds, found, limit, smallest, (*basis.notes, *why, *_coarse(basis, found))
    )


def basis_of(asked: Any, algorithm: Any = None) -> Basis:
    """What ``whatif`` was asked about. ConfigError for anything else."""
    if isinstance(asked, Plan):
        return of_plan(asked, algorithm)
    if isinstance(asked, RunConfig):
        return of_config(asked)
    if isinstance(asked, Run):
        return of_run(asked.directory, algorithm)
    if isinstance(asked, str | Path):
        return of_run(RunDirectory(str(asked)), algorithm)
    if isinstance(asked, RunDirectory):
        return of_run(asked, algorithm)
    raise ConfigError(f"whatif of {asked!r}: give a Run, the path of a run directory, a Plan or a RunConfig.")


@dataclass(slots=True)
class _Asked:
    """One question: outlooks by count of workers are kept, for the search asks for some again."""

    basis: Basis
    limit: float | None
    seed: int
    kept: dict[int, Outlook] = field(default_factory=dict)

    def outlook(self, fleet: Fleet) -> Outlook:
        told = Outlook(fleet.name, len(fleet.workers), fleet.workers.slots)
        try:
            plan = self.basis.plan_on(fleet.workers)
        except InfeasiblePlan as error:
            return replace(told, refused=str(error), meets_deadline=None if self.limit is None else "no")
        start, sure = self.basis.start_seconds, interval(plan, self.basis.seen, self.basis.spread, self.seed)
        makespan, low, middle, high = (start + s for s in (plan.makespan, sure.low, sure.middle, sure.high))
        bound = start + plan.lower_bound
        rate = float(fleet.workers.price_per_hour.sum()) / SECONDS_PER_HOUR
        money, money_low, money_high = (rate * s if rate else None for s in (makespan, low, high))
        return replace(
            told,
            sub_tasks=len(plan),
            makespan=makespan,
            low=low,
            middle=middle,
            high=high,
            lower_bound=bound,
            gap=makespan / bound - 1 if bound else 0.0,
            money=money,
            money_low=money_low,
            money_high=money_high,
            meets_deadline=None if self.limit is None else _meets(middle, high, self.limit),
        )

    def of_count(self, n: int, prices: Any) -> Outlook:
        if n not in self.kept:
            workers = priced(repeated(self.basis.like, n), prices)
            self.kept[n] = self.outlook(Fleet(f"{n} worker{'s' if n > 1 else ''}", workers))
        return self.kept[n]

    def smallest(
        self, fleets: Sequence[Fleet], found: Sequence[Outlook], prices: Any
    ) -> tuple[Outlook | None, tuple[str, ...]]:
        """Of given fleets the one with fewest slots that meets the deadline; of counts the fewest workers of any number."""
        if not any(fleet.counted for fleet in fleets):
            able = [o for o in found if o.meets_deadline == "yes"]
            return min(able, key=lambda o: (o.slots, o.workers), default=None), ()
        self.kept |= {o.workers: o for fleet, o in zip(fleets, found, strict=True) if fleet.counted}
        high = self._first_that_meets(prices)
        if high is None:
            return None, (self._why_none(),)
        low = high // 2
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if self._meets(middle, prices) else (middle, high)
        return self.of_count(high, prices), ()

    def _first_that_meets(self, prices: Any) -> int | None:
        """By doubling, up to a worker for every sub-task; None where none does."""
        n, most = 1, 1
        while n <= MOST:
            if self._meets(n, prices):
                return n
            most = max(most, self.of_count(n, prices).sub_tasks)
            if n >= most and not self.of_count(n, prices).refused:
                return None
            n *= 2
        return None

    def _meets(self, n: int, prices: Any) -> bool:
        return self.of_count(n, prices).meets_deadline == "yes"

    def _why_none(self) -> str:
        best = min((o for o in self.kept.values() if o.high is not None), key=lambda o: o.high or 0.0)
        cut = (
            "" if self.basis.recut else " Sub-tasks are as they were cut; a configuration is cut anew for every fleet."
        )
        return (
            f"However many workers like these: the best outlook ends within {seconds(best.high)} ({best.fleet}), for the "
            f"start and the longest sub-tasks stay.{cut} Shorter sub-tasks (target_task_seconds, min_tasks_per_slot) or "
            "faster workers help."
        )


def _meets(middle: float, high: float, limit: float) -> str:
    if high <= limit:
        return "yes"
    return "likely" if middle <= limit else "no"


def _coarse(basis: Basis, found: Sequence[Outlook]) -> tuple[str, ...]:
    """Said where sub-tasks that were cut for fewer slots decide the makespan of a larger fleet."""
    few = [o for o in found if not o.refused and o.sub_tasks < FEW * o.slots]
    if basis.recut or not few:
        return ()
    n = min(o.slots for o in few)
    return (
        f"From {n} slots on there are fewer than {FEW} of the {few[0].sub_tasks} sub-tasks for each slot: a run on such a "
        "fleet would be cut finer and end sooner.",
    )
