"""``pt.simulate``: the coordinator that drives real runs, under a fake clock with injected faults."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from partitioner.coordinator.driver import drive
from partitioner.coordinator.policy import Policy
from partitioner.coordinator.state import Action, State, Submit, initial
from partitioner.engines.simulated import Faults, SimulatedEngine
from partitioner.errors import ConfigError, PartitionerError, nearest
from partitioner.model import Event, EventKind, Plan


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
    engine = SimulatedEngine(plan.workers, faults_of(faults), seed)
    state, watch, error = initial(plan, "simulated://", Policy()), _Watch(), None
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
        moved=sum(home[key] != worker for key, worker, _, _ in watch.timeline),
        busy=used / (makespan * max(1, plan.workers.slots)) if makespan else 0.0,
        error=error,
        timeline=tuple(watch.timeline),
    )


def faults_of(faults: Faults | Mapping[str, Any] | None) -> Faults:
    """Faults from a mapping; ConfigError for an unknown key."""
    if faults is None or isinstance(faults, Faults):
        return faults or Faults()
    known = [f.name for f in fields(Faults)]
    for key in faults:
        if key not in known:
            raise ConfigError(f"faults have no {key!r}; there are {', '.join(known)}.{nearest(key, known)}")
    values = dict(faults)
    if "deaths" in values:
        values["deaths"] = tuple((str(name), float(at)) for name, at in values["deaths"])
    if "slowdowns" in values:
        values["slowdowns"] = tuple((str(name), float(at), float(factor)) for name, at, factor in values["slowdowns"])
    return Faults(**values)
