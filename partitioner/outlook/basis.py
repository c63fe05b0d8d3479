"""What a question about other fleets rests on: the seconds of a plan, or those that a run measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from partitioner import registry
from partitioner.config import RunConfig
from partitioner.errors import ConfigError
from partitioner.model import CommitRecord, Plan, SubTasks, Worker, Workers
from partitioner.model.data import Floats
from partitioner.placement.api import place
from partitioner.placement.explain.interval import PRIOR
from partitioner.report.facts import Facts, read
from partitioner.report.summary import Summary, summarise
from partitioner.running import planner
from partitioner.store.run_directory import RunDirectory

DEFAULT = "refined_lpt"

MOST_GAPS = 1.5
"""Times as long as its sub-tasks explain that a run may take for gaps: more has causes that need not come again."""


@dataclass(frozen=True, slots=True)
class Basis:
    """``plan_on`` plans the work on a fleet; ``like`` are the workers there were, or would be.

    ``start_seconds`` pass before the first sub-task and are in no plan; ``seen`` completions and their ``spread`` of
    log(actual / predicted); ``about`` says in words where the seconds come from; ``notes`` further sentences;
    ``recut``: the plan of every fleet is cut for it, else the sub-tasks stay as they are.
    """

    plan_on: Callable[[Workers], Plan]
    like: Workers
    start_seconds: float
    about: str
    seen: int = 0
    spread: float = PRIOR
    recut: bool = False
    notes: tuple[str, ...] = ()


def of_plan(plan: Plan, algorithm: Any = None) -> Basis:
    """The predicted seconds of a plan. ConfigError where its costs are no seconds."""
    _check_seconds(plan)
    start = plan.about.notes.get("start")
    load = float(sum(start.values())) if isinstance(start, Mapping) else 0.0  # type: ignore[arg-type]
    # A plan without a cluster has the load in its times; that of a run has not, for there the load is over.
    held = load if len(plan) and float(plan.start.min()) >= load - 1e-9 else 0.0
    known = plan.about.cost
    about = "as they were given" if known is None else f"predicted by cost {known.source!r}"
    return Basis(_placed(plan.tasks, algorithm or _name(plan.algorithm)), plan.workers, held, about)


def of_config(config: RunConfig) -> Basis:
    """A configuration: its costs once, and then a split and a plan for every fleet. Runs a pilot where the cost does."""
    plan_on, like, load_seconds = planner(config)
    first = plan_on(like)
    _check_seconds(first)
    assert first.about.cost is not None, "a plan of a configuration knows its costs"
    return Basis(plan_on, like, load_seconds, f"predicted by cost {first.about.cost.source!r}", recut=True)


def of_run(run: RunDirectory, algorithm: Any = None) -> Basis:
    """The seconds that a run measured; of what it has not run, those predicted, corrected by the rest.

    ConfigError where the run has measured nothing and its costs are no seconds.
    """
    facts = read(run)
    summary = summarise(facts)
    tasks, workers = run.read_tasks(), workers_of(facts.plan)
    measured = measured_seconds(facts)
    known = np.isfinite(measured)
    if not known.any() and facts.unit != "seconds":
        raise ConfigError(
            f"run {facts.run_id} has no sub-task committed and its costs are {facts.unit or 'no seconds'}: nothing tells "
            "how long they take. Ask once some are committed, or about a run with cost='calibrate'."
        )
    again, spread = as_measured(tasks, measured, facts, workers)
    chosen = algorithm or _setting(facts.config.get("placement"))
    n, done = len(tasks), int(known.sum())
    about = f"measured in run {facts.run_id}" if done else f"predicted for run {facts.run_id}, which has measured none"
    again, gaps = _with_gaps(again, workers, chosen, summary)
    rest = f"{n - done} of {n} sub-tasks are not measured: predicted, corrected by the rest."
    notes = (rest, *gaps) if 0 < done < n else gaps
    return Basis(_placed(again, chosen), workers, summary.start_seconds, about, done, spread, notes=notes)


def _with_gaps(tasks: SubTasks, workers: Workers, algorithm: Any, summary: Summary) -> tuple[SubTasks, tuple[str, ...]]:
    """Sub-tasks as much longer as the run took longer than they explain, up to ``MOST_GAPS``, and what there is to say."""
    if summary.status != "complete" or summary.sessions != 1 or not summary.makespan:
        return tasks, ()
    explained = place(tasks, workers, algorithm=algorithm).makespan
    ratio = summary.makespan / explained if explained > 0 else 1.0
    own = f"{summary.makespan:.4g} s on its own {len(workers)} workers"
    took = f"the run took {own}, its sub-tasks explain {explained:.4g} s"
    if ratio <= 1:
        return tasks, ()
    if ratio > MOST_GAPS:
        return tasks, (f"Not counted: {took}; retries, lost workers or idle time made the difference.",)
    longer = {name: column * ratio for name, column in tasks.seconds_by_class.items()}
    note = f"Every sub-task counts {ratio - 1:.1%} longer than it took, for gaps between them: {took}."
    return tasks.with_columns(seconds=tasks.seconds * ratio, seconds_by_class=longer), (note,)


def measured_seconds(facts: Facts) -> Floats:
    """float64[n]: seconds of every sub-task, of one that was divided those of its parts; NaN where it did not commit."""
    found = facts.seconds.copy()
    place = {key: i for i, key in enumerate(facts.keys)}
    parts: dict[int, float] = {}
    for record in facts.commits.values():
        if record.part is not None and record.whole in place:
            parts[place[record.whole]] = parts.get(place[record.whole], 0.0) + _seconds(record)
    for i, seconds in parts.items():
        found[i] = seconds
    return found


def _seconds(record: CommitRecord) -> float:
    return 0.0 if record.split else record.seconds


def as_measured(tasks: SubTasks, measured: Floats, facts: Facts, workers: Workers) -> tuple[SubTasks, float]:
    """The sub-tasks with measured seconds at reference speed, and the spread of log(actual / predicted) among them.

    The spread holds what the cost model missed too, which measured seconds do not; it is an upper end, ``PRIOR`` at most.
    """
    expected, speed = _expected(tasks, facts, workers)
    known = np.isfinite(measured) & (measured > 0)
    fair = known & np.isfinite(expected) & (expected > 0)
    overall = float(measured[fair].sum() / expected[fair].sum()) if fair.any() else 1.0
    ratio = np.where(fair, measured / np.where(fair, expected, 1.0), overall)
    free = known & ~fair
    seconds = np.where(free, measured * speed, tasks.seconds * ratio)
    by_class = {name: np.where(free, measured, column * ratio) for name, column in tasks.seconds_by_class.items()}
    logs = np.log(ratio[fair]) if fair.any() else np.zeros(0)
    spread = min(PRIOR, float(np.std(logs))) if len(logs) > 1 else PRIOR
    return tasks.with_columns(seconds=seconds, seconds_by_class=by_class), spread


def _expected(tasks: SubTasks, facts: Facts, workers: Workers) -> tuple[Floats, Floats]:
    """Predicted seconds on the worker that ran each sub-task, and that worker's speed; 1 where it is not known."""
    by_id = {name: j for j, name in enumerate(workers.worker_id)}
    where = [by_id.get(a or b, -1) for a, b in zip(facts.worker, facts.planned_worker, strict=True)]
    speed = np.array([float(workers.speed[j]) if j >= 0 else 1.0 for j in where])
    expected = tasks.seconds / speed
    for name, column in tasks.seconds_by_class.items():
        here = np.array([j >= 0 and workers.worker_class[j] == name for j in where], bool)
        expected = np.where(here & np.isfinite(column), column, expected)
    return expected, speed


def workers_of(plan: Mapping[str, Any]) -> Workers:
    """The workers that ``plan.json`` tells. ConfigError where the run stopped before it had a plan."""
    rows = plan.get("workers", [])
    if not rows:
        raise ConfigError(
            "the run stopped before it had a plan, so nothing is known of its workers; ask about another, or a plan."
        )
    return Workers.of(Worker(**{**row, "labels": frozenset(row.get("labels", ()))}) for row in rows)


def _placed(tasks: SubTasks, algorithm: Any) -> Callable[[Workers], Plan]:
    return lambda fleet: place(tasks, fleet, algorithm=algorithm)


def _name(algorithm: str) -> str:
    return algorithm if algorithm in registry.names("placements") else DEFAULT


def _setting(placement: Any) -> Any:
    """As the run's settings name it; an object that they could only describe is replaced by the default."""
    return DEFAULT if placement is None or str(placement).startswith("<") else placement


def _check_seconds(plan: Plan) -> None:
    known = plan.about.cost
    if known is not None and known.unit != "seconds":
        raise ConfigError(
            f"the costs of this plan are {known.unit}, not seconds, so nothing tells how long a fleet takes. Give "
            "cost='calibrate' (a pilot), seconds_per_row or seconds_per_byte, declared seconds, or ask about a finished run."
        )
