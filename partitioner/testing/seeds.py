"""Seeded histories: a plan and faults drawn from a seed, the true machine under a fake clock, laws checked after every step.

``run_seed(seed, tasks)`` plays one; where a law is broken, ``shrunk`` takes faults away as long as it stays broken, so that
what is left is a short story.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace

import numpy as np

from partitioner.coordinator.execute import resume_parts
from partitioner.coordinator.machine import step
from partitioner.coordinator.policy import Policy
from partitioner.coordinator.state import Action, Cancel, HandOver, State, Stop, Submit, initial
from partitioner.engines.simulated import SimulatedEngine
from partitioner.engines.simulated_world import Faults
from partitioner.model import (
    CommitRecord,
    Edges,
    Event,
    EventKind,
    Fragment,
    Fragments,
    Plan,
    SubTasks,
    Worker,
    Workers,
)
from partitioner.placement.algorithms.lpt import Lpt
from partitioner.simulation import rows_of

MOST_STEPS = 100_000
"""In which something happens."""

MOST_QUIET_STEPS = 1_000_000
"""One after the other in which nothing does, as while something hangs that is given a day; 247,219 in one of 10,000."""

ATTEMPTS_PER_TASK = 12  # on the average, besides what each fault by row may cost
ATTEMPTS_PER_ROW_FAULT = 60


@dataclass(frozen=True, slots=True)
class Story:
    """What one seed stands for."""

    seed: int
    plan: Plan
    faults: Faults
    policy: Policy


@dataclass(slots=True)
class Played:
    """How it went: ``steps``, the law that was broken (or nothing), whether the run ``stopped`` early, and the history."""

    steps: int = 0
    broken: str = ""
    stopped: str = ""
    history: list[str] = field(default_factory=list)


def story(seed: int, tasks: int) -> Story:
    """A plan of up to ``tasks`` sub-tasks on a few workers, and faults of every kind, each with some probability."""
    draw = random.Random(seed)
    n = draw.randint(1, tasks)
    many = draw.randint(2, 6)
    workers = Workers.of(
        Worker(
            f"w{j}", cpus=draw.choice([1, 1, 2, 4]), memory_bytes=draw.choice([8e9, 16e9]), speed=draw.choice([1, 1, 2])
        )
        for j in range(many)
    )
    rows = [draw.choice([1, 3, 16, 100, 1000]) for _ in range(n)]
    fragments = Fragments.of([Fragment(i, "f", 0, 0, r, r, 1) for i, r in enumerate(rows)])
    columns = {"memory_bytes": [draw.choice([0.0, 1e9, 4e9]) for _ in range(n)]}
    edges = Edges()
    if draw.random() < 0.3 and n > 1:
        pairs = [(draw.randrange(i), i) for i in range(1, n) if draw.random() < 0.3]
        source, target = np.array(pairs, np.int64).reshape(-1, 2).T
        edges = Edges(source, target, np.zeros(len(pairs)), np.zeros(len(pairs)))
    table = SubTasks.build(
        [draw.lognormvariate(0.0, 1.0) for _ in range(n)],
        fragments=fragments,
        offsets=np.arange(n + 1),
        fragment_index=np.arange(n),
        **columns,
    )
    plan = Lpt().place(table, workers, "makespan", 0, None)
    plan = replace(plan, tasks=table.with_columns(edges=edges))
    faults = _faults(draw, plan, rows)
    rerouted = draw.random() < 0.2  # an engine that takes a placement as a hint
    rests = draw.choice([float("inf"), 0.2, 2.0])
    faults = replace(faults, misplaced=draw.choice([0.1, 0.5])) if rerouted else faults
    if faults.wrong > 1:  # no limit of time could tell what hangs from what was predicted wrongly
        policy = Policy(quarantine=True, divisible=True, rerouted=rerouted, hand_over_seconds=rests)
        return Story(seed, plan, replace(faults, hangs=(), lost=0.0), policy)
    longest = 1_000.0 * float(table.seconds.max())  # more than noise and slowness make of it
    return Story(
        seed,
        plan,
        faults,
        Policy(quarantine=True, divisible=True, timeout_seconds=longest, rerouted=rerouted, hand_over_seconds=rests),
    )


def _faults(draw: random.Random, plan: Plan, rows: Sequence[int]) -> Faults:
    names, keys = plan.workers.worker_id, plan.tasks.task_id.to_pylist()
    horizon = max(1.0, plan.makespan)

    def some(most: int, probability: float = 0.4) -> range:
        return range(draw.randint(1, most) if draw.random() < probability else 0)

    def row() -> tuple[str, int]:
        i = draw.randrange(len(keys))
        return keys[i], draw.randrange(rows[i])

    def times() -> tuple[str, float]:
        return draw.choice(names), draw.uniform(0.0, 1.5 * horizon)

    healthy = names[0]  # one worker can be trusted, so that every run can end
    bad = [n for n in names if n != healthy and draw.random() < 0.2]
    return Faults(
        noise=draw.choice([0.0, 0.3, 1.0]),
        failure_rate=draw.choice([0.0, 0.0, 0.02]),
        deaths=tuple(times() for _ in some(5)),
        restart_seconds=draw.choice([0.5, 5.0]),
        slowdowns=tuple((*times(), draw.choice([3.0, 10.0])) for _ in some(2)),
        poison=tuple(row() for _ in some(4)),
        killers=tuple(row() for _ in some(2)),
        hangs=tuple(row() for _ in some(1, 0.2)),
        too_many=tuple((key, draw.randint(1, 60)) for key, _ in (row() for _ in some(2, 0.3))),
        bad_workers=tuple((name, draw.choice([0.5, 1.0])) for name in bad),
        retired=tuple(times() for _ in some(3)),
        disk_errors=tuple(draw.randint(1, 2 * len(keys)) for _ in some(3)),
        doubled=draw.choice([0.0, 0.2]),
        late=draw.choice([0.0, 0.2]),
        lost=draw.choice([0.0, 0.0, 0.05]),
        jumps=tuple((draw.uniform(0, horizon), draw.choice([3600.0, -3600.0, 40.0])) for _ in some(2, 0.2)),
        wrong=draw.choice([1.0, 1.0, 100.0]),
        driver_deaths=tuple(sorted(draw.randint(1, 200) for _ in some(2, 0.3))),
    )


class Laws:
    """What holds after every step. ``broken`` says which does not, in one sentence."""

    def __init__(self, told: Story, engine: SimulatedEngine) -> None:
        self.rows, self.faults = rows_of(told.plan), told.faults
        self.engine, self.plan = engine, told.plan
        self.submitted = 0
        self.alone: set[str] = set()  # attempts that were submitted as suspects
        self.bad = {*told.faults.poison, *told.faults.killers, *told.faults.hangs}
        ids = told.plan.tasks.task_id.to_pylist()
        edges = told.plan.tasks.edges
        self.before: dict[str, list[str]] = {}
        for source, target in zip(edges.source.tolist(), edges.target.tolist(), strict=True):
            self.before.setdefault(ids[target], []).append(ids[source])
        self.allowed = len(ids) * ATTEMPTS_PER_TASK + 200 + len(told.faults.deaths) * 50
        self.allowed += (len(self.bad) + 20 * len(told.faults.too_many)) * ATTEMPTS_PER_ROW_FAULT
        self.delivered: dict[str, list[tuple[int, int]]] = {}
        self.checked: set[str] = set()

    def broken(self, state: State, actions: Sequence[Action]) -> str:
        """The first law that does not hold, or nothing."""
        self.submitted += sum(isinstance(a, Submit) for a in actions)
        if self.submitted > self.allowed:
            return f"{self.submitted} attempts for {len(self.rows)} sub-tasks"
        return self._committed() or self._capacity(state) or self._order(actions) or self._ended(state)

    def _capacity(self, state: State) -> str:
        if self.faults.misplaced:
            return ""  # the engine decides then what runs together
        for name, holder in state.workers.items():
            held = sum(live.attempt.memory_bytes for live in holder.live.values())
            if len(holder.live) > 1 and held > holder.worker.memory_bytes * (1 + 1e-6):
                return f"{name} is promised {held:.3g} bytes of {holder.worker.memory_bytes:.3g}"
            suspects = [a for a in holder.live if a in self.alone]
            if suspects and len(holder.live) > 1:
                return f"{suspects[0]} is a suspect and shares {name} with another"
        return ""

    def _order(self, actions: Sequence[Action]) -> str:
        for action in actions:
            if isinstance(action, Submit):
                whole = action.attempt.task_key.partition(".")[0]
                for source in self.before.get(whole, ()):
                    if not self._whole_is_committed(source):
                        return f"{action.attempt.attempt_id} is submitted before {source} is committed"
        return ""

    def _whole_is_committed(self, key: str) -> bool:
        held = sum(b - a for a, b in self.delivered.get(key, ()))
        return held >= self.rows[key]

    def _committed(self) -> str:
        """Every row is committed at most once, and only rows that are bad are set aside."""
        for key, record in self.engine.world.store.items():
            if key in self.checked:
                continue
            self.checked.add(key)
            if record.split:
                continue
            whole = record.whole
            start, stop = record.part or (0, self.rows[whole])
            for a, b in self.delivered.get(whole, ()):
                if start < b and a < stop:
                    return f"rows {max(a, start)} to {min(b, stop)} of {whole} are committed twice"
            self.delivered.setdefault(whole, []).append((start, stop))
            for row in self.engine.world.set_aside.get(key, ()):
                if (whole, row) not in self.bad:
                    return f"row {row} of {whole} is good and was set aside by {record.attempt_id}"
        return ""

    def _ended(self, state: State) -> str:
        if not state.finished:
            return ""
        for key, rows in self.rows.items():
            held = sum(b - a for a, b in self.delivered.get(key, ()))
            if held != rows:
                return f"the run is over and {held} of {rows} rows of {key} are committed"
        found = {(k.partition(".")[0], row) for k, rows in self.engine.world.set_aside.items() for row in rows}
        if found != self.bad:
            return f"the run is over and {sorted(self.bad - found)[:3]} are not set aside"
        return ""


def run_seed(seed: int, tasks: int = 200, told: Story | None = None, keep: bool = False) -> Played:
    """Play one story to its end, or to the first broken law."""
    told = told or story(seed, tasks)
    engine = SimulatedEngine(told.plan.workers, told.faults, told.seed, rows_of(told.plan))
    laws, played, state = Laws(told, engine), Played(), _state(told, engine, {})
    events: list[Event] = []
    busy = quiet = 0
    while busy < MOST_STEPS and quiet < MOST_QUIET_STEPS:
        now = engine.clock()
        if played.steps in told.faults.driver_deaths:
            numbers = {state.key_of(task): number for task, number in state.numbers.items()}
            state = _state(told, engine, state.part_numbers | numbers)
            alive = set(engine.workers().worker_id)
            events = [Event(EventKind.WORKER_LOST, worker_id=name) for name in state.workers if name not in alive]
        state, actions = step(state, events, now)
        laws.alone &= state.attempts.keys()
        laws.alone |= {
            a.attempt.attempt_id for a in actions if isinstance(a, Submit) and a.attempt.task in state.deaths
        }
        played.steps += 1
        busy, quiet = (busy + 1, 0) if events or actions else (busy, quiet + 1)
        if keep:
            played.history += _lines(engine, events, actions)
        played.broken = laws.broken(state, actions)
        played.stopped = next((str(a.error) for a in actions if isinstance(a, Stop)), "")
        if played.broken or played.stopped or state.finished:
            return played
        engine.submit([a.attempt for a in actions if isinstance(a, Submit)])
        engine.cancel([a.attempt_id for a in actions if isinstance(a, Cancel)])
        engine.hand_over([a.attempt_id for a in actions if isinstance(a, HandOver)])
        events = engine.poll(min(told.policy.trusted_seconds, state.quiet_seconds(engine.clock())))
    played.broken = f"no end after {played.steps} steps"
    return played


def _state(told: Story, engine: SimulatedEngine, numbers: dict[str, int]) -> State:
    """The state of a driver that begins: what is committed is in the store, whoever put it there."""
    keys = told.plan.tasks.task_id.to_pylist()
    store: dict[str, CommitRecord] = dict(engine.world.store)
    done = [i for i, key in enumerate(keys) if key in store and not store[key].split]
    fresh = {i: numbers[key] for i, key in enumerate(keys) if key in numbers}
    engine.world.epoch += 1
    epoch = engine.world.epoch
    state = initial(told.plan, "simulated://", told.policy, committed=done, first_numbers=fresh, epoch=epoch)
    state.part_numbers |= numbers
    resume_parts(state, {key: i for i, key in enumerate(keys)}, store)
    return state


def _lines(engine: SimulatedEngine, events: Sequence[Event], actions: Sequence[Action]) -> list[str]:
    told = [f"{engine.clock():10.2f}  {e.kind} {e.attempt_id or e.worker_id}" for e in events]
    for action in actions:
        text = (
            action.attempt.attempt_id + " to " + action.attempt.worker_id if isinstance(action, Submit) else str(action)
        )
        told.append(f"{engine.clock():10.2f}      -> {text}")
    return told


def shrunk(seed: int, tasks: int) -> tuple[Story, Played]:
    """The smallest story with the same broken law that taking faults away one by one leads to, with its history."""
    told = story(seed, tasks)
    plain = Faults()
    for _ in range(3):
        for name in (f.name for f in fields(Faults)):
            whole = getattr(told.faults, name)
            choices = [getattr(plain, name)]
            if isinstance(whole, tuple) and len(whole) > 1:
                choices += [(entry,) for entry in whole]
            for choice in choices:
                simpler = replace(told, faults=replace(told.faults, **{name: choice}))
                if choice != whole and run_seed(seed, tasks, simpler).broken:
                    told = simpler
                    break
    return told, run_seed(seed, tasks, told, keep=True)
