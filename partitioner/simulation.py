"""``pt.simulate``: the coordinator that drives real runs, under a fake clock with injected faults."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from math import inf
from typing import Any

from partitioner.coordinator.driver import drive
from partitioner.coordinator.policy import Policy
from partitioner.coordinator.state import Action, State, Submit, initial
from partitioner.engines.simulated import SimulatedEngine
from partitioner.engines.simulated_world import Faults
from partitioner.errors import ConfigError, PartitionerError, nearest
from partitioner.model import Event, EventKind, Plan

TIMEOUT_FACTOR = 10.0
"""A simulated attempt that takes so many times the upper end of its prediction hangs."""


@dataclass(frozen=True, slots=True)
class Simulation:
    """How a plan went under the fake clock.

    ``makespan`` simulated seconds; ``planned`` the plan's makespan; ``attempts`` submitted, ``failures`` raised,
    ``losses`` to dying workers; ``moved`` sub-tasks that ran elsewhere than planned; ``busy`` share of slot time used;
    ``error`` the reason where the run stopped early, else None; ``timeline`` (task_key, worker_id, start, finish).
    """

    makespan: float
    planned: float
    attempts: int
    failures: int
    losses: int
    moved: int
    busy: float
    error: str | None
    timeline: tuple[tuple[str, str, float, float], ...]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {f.name: getattr(self, f.name) for f in fields(self)}


class _Watch:
    def __init__(self) -> None:
        self.attempts = 0
        self.ends: dict[EventKind, int] = {}
        self.timeline: list[tuple[str, str, float, float]] = []

    def observe(self, state: State, events: Sequence[Event], actions: Sequence[Action]) -> None:
        self.attempts += sum(isinstance(a, Submit) for a in actions)
        for event in events:
            self.ends[event.kind] = self.ends.get(event.kind, 0) + 1
            if event.record is not None:
                r = event.record
                self.timeline.append((r.task_key, r.worker_id, r.started, r.finished))


def simulate(plan: Plan, faults: Faults | Mapping[str, Any] | None = None, seed: int = 0) -> Simulation:
    """Run ``plan`` under a seeded fake clock; the same plan, faults and seed give the same simulation.

    ``faults``: noise, failure_rate, deaths as (worker id, second) pairs, restart_seconds, slowdowns as (worker id, second,
    factor); see ``engines.simulated.Faults``.
    """
    wanted = faults_of(faults)
    engine = SimulatedEngine(plan.workers, wanted, seed, rows_of(plan))
    policy = Policy(quarantine=True, divisible=plan.tasks.fragments is not None, timeout_factor=TIMEOUT_FACTOR)
    state, watch, error = initial(plan, "simulated://", policy), _Watch(), None
    try:
        drive(engine, state, [watch], engine.clock)
    except PartitionerError as stopped:
        error = str(stopped)
    ids, where = plan.tasks.task_id.to_pylist(), plan.workers.worker_id
    home = {ids[i]: where[j] for i, j in enumerate(plan.worker)}
    makespan = max((finish for *_, finish in watch.timeline), default=0.0)
    used = sum(finish - start for _, _, start, finish in watch.timeline)
    return Simulation(
        makespan=makespan,
        planned=plan.makespan,
        attempts=watch.attempts,
        failures=watch.ends.get(EventKind.FAILED, 0),
        losses=watch.ends.get(EventKind.LOST, 0),
        moved=sum(home[key.partition(".")[0]] != worker for key, worker, _, _ in watch.timeline),
        busy=used / (makespan * max(1, plan.workers.slots)) if makespan else 0.0,
        error=error,
        timeline=tuple(watch.timeline),
    )


def rows_of(plan: Plan) -> dict[str, int]:
    """Rows of each sub-task, where the input says so."""
    fragments, tasks = plan.tasks.fragments, plan.tasks
    if fragments is None:
        return {}
    ids = tasks.task_id.to_pylist()
    return {key: int(fragments.rows[tasks.fragments_of(i)].sum()) for i, key in enumerate(ids)}


def faults_of(faults: Faults | Mapping[str, Any] | None) -> Faults:
    """Faults from a mapping; ConfigError for an unknown key."""
    if faults is None or isinstance(faults, Faults):
        return faults or Faults()
    known = [f.name for f in fields(Faults)]
    for key in faults:
        if key not in known:
            raise ConfigError(f"faults have no {key!r}; there are {', '.join(known)}.{nearest(key, known)}")
    values: dict[str, Any] = {}
    for key, value in faults.items():
        values[key] = _entries(key, value) if key in _SHAPES else _number(key, value)
    return Faults(**values)


def _entries(key: str, value: Any) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise ConfigError(f"faults: {key} is {value!r}; write a list of entries.")
    return tuple(_row(key, row, _SHAPES[key]) for row in value)


def _number(key: str, value: Any) -> float:
    """A number of at least 0; ConfigError for anything else, and for a share above 1."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < inf:
        raise ConfigError(f"faults: {key} is {value!r}; write a number of at least 0.")
    if key in _SHARES and value > 1:
        raise ConfigError(f"faults: {key} is {value!r}; it is a share, 1 at most.")
    return float(value)


_SHARES = ("failure_rate", "doubled", "late", "lost", "misplaced")


_SHAPES: dict[str, tuple[type, ...]] = {
    "deaths": (str, float),
    "retired": (str, float),
    "bad_workers": (str, float),
    "slowdowns": (str, float, float),
    "poison": (str, int),
    "killers": (str, int),
    "hangs": (str, int),
    "too_many": (str, int),
    "jumps": (float, float),
    "disk_errors": (int,),
    "driver_deaths": (int,),
}


def _row(key: str, row: Any, types: tuple[type, ...]) -> Any:
    """One entry of a list of faults; ConfigError names one of another shape."""
    found = row if isinstance(row, list | tuple) else (row,)
    try:
        made = tuple(kind(value) for kind, value in zip(types, found, strict=True))
    except (TypeError, ValueError):
        wanted = ", ".join(kind.__name__ for kind in types)
        raise ConfigError(f"faults: {key} holds {row!r}; write a list of entries ({wanted}).") from None
    return made[0] if len(types) == 1 else made
