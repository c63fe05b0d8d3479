"""When a run will be done: an interval that holds the truth nine times in ten, and the sub-task that decides.

What is left is scheduled many times, each time with other durations: drawn around the forecasts with the spread of
actual over predicted seconds seen so far. What runs is drawn from what it may take given that it has not ended yet.
The longest sub-tasks are scheduled one by one, longest first, to where they end first; the many short ones fill up what is
between them. Where the plan takes longer than that (memory, dependencies), waiting work takes as much longer.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from partitioner.coordinator import forecast
from partitioner.coordinator.ratios import Ratios, normal_chance, normal_quantile, ratios
from partitioner.coordinator.state import Live, State, WorkerState
from partitioner.coordinator.transitions import BLOCKED, READY
from partitioner.model.data import Floats, Ints

SHARE = 0.9
"""Of the truths that the interval is to hold."""

DRAWS = 100
"""Schedules that are tried: the ends of the interval are then right within about 3 % of what is left."""

SINGLE = 200
"""The longest sub-tasks, scheduled one by one: a few milliseconds with 40 slots."""

CELLS = 20_000
"""Draws times slots at most, so that thousands of slots cost no more; at least ``FEWEST`` draws."""

FEWEST = 20

MODEL = 0.2
"""How far a run keeps to such schedules at all, as a standard deviation in logs: so many times the square of the spread of
single sub-tasks. Chosen on 100 random plans with noise of 0.1, 0.15, 0.3, 0.5 and 0.8 each (``benchmarks.keeps_plan``)."""

CHANGE = 0.35
"""How far the speed of machines in what is left may differ from that in what the run has shown, as a part of the doubt in
all work (``Plan.doubt``): how far they differ between a pilot and a run. Without it 35 of 44 real runs on shared cores ended
in what was said half-way (``benchmarks.documents``), and an interval 1.3 times as wide, as it is with this, would hold nine
in ten. Where the cost model doubts nothing it is nothing."""

FEW_WORKERS, FEW_SLOTS = 32, 256
"""Up to so many are sub-tasks of several cores placed core by core: some ten milliseconds."""

FAR = 3.0
"""Spreads by which an attempt is late when nothing of what was predicted for it is believed."""

NOTICEABLE = 3.0
"""Standard errors by which a worker differs from the others before its own mean counts."""


@dataclass(frozen=True, slots=True)
class Eta:
    """Seconds from now until the run is done: ``seconds`` in the middle, ``low`` and ``high`` the ends of the interval.

    ``task_key`` and ``worker_id``: the sub-task that ends last in most of the forecasts, and where; empty where many short
    ones decide together.
    """

    seconds: float
    low: float
    high: float
    task_key: str = ""
    worker_id: str = ""

    @property
    def reason(self) -> str:
        """Who decides, in words."""
        return f"{self.task_key} on {self.worker_id} decides" if self.task_key else ""


def eta(state: State, now: float, seed: int = 0) -> Eta | None:
    """The interval at ``now`` on the driver's clock; None while nothing has shown what the costs mean."""
    if state.remaining == 0:
        return Eta(0.0, 0.0, 0.0)
    if not state.workers or not state.scale_known:
        return None
    if state.stretch is None:
        state.stretch = _stretch(state)
    return _Draws(state, now, seed, ratios(state, now), state.stretch).result()


def _stretch(state: State) -> float:
    """How much longer the plan takes than its sub-tasks on as many free slots: what constraints and order cost."""
    free = _Draws(state, 0.0, 0, None, 1.0).planned()
    return state.makespan / free if free > 0 and state.makespan > 0 else 1.0


def _unit(state: State, holders: list[WorkerState]) -> tuple[float, bool]:
    """Cores of a slot, and whether some sub-tasks take several of them.

    What all sub-tasks need alike; else the least that one needs, of few workers, and the mean of many, where sub-tasks of
    several slots would take too long to place.
    """
    cpus = state.tasks.cpus
    least, mean = max(float(cpus.min()), 1e-9), max(float(cpus.mean()), 1e-9)
    slots = sum(h.worker.cpus for h in holders) / least
    several = float(cpus.max()) > least * 1.5 and len(holders) <= FEW_WORKERS and slots <= FEW_SLOTS
    return (least, True) if several else (mean, False)


class _Draws:
    """One row a draw, one column a slot: when the slot is free, in seconds from now, and which sub-task was last there."""

    def __init__(self, state: State, now: float, seed: int, known: Ratios | None, stretch: float) -> None:
        self.state, self.now, self.stretch = state, now, stretch
        self.rng = np.random.default_rng(seed)
        self.seconds = np.array(state.seconds[: len(state.tasks)]) if state.by_class else state.tasks.seconds
        holders = list(state.workers.values())
        self.unit, self.several = _unit(state, holders)
        counts = [max(1, int(h.worker.cpus / self.unit + 1e-9)) for h in holders]
        self.slots = [h for h, count in zip(holders, counts, strict=True) for _ in range(count)]
        starts = np.cumsum([0, *counts])
        self.blocks = [slice(int(a), int(b)) for a, b in pairwise(starts)]
        self.draws = 1 if known is None else max(FEWEST, min(DRAWS, CELLS // len(self.slots)))
        mean, self.spread = (np.zeros(1), np.zeros(1)) if known is None else known.drawn(self.draws, self.rng)
        around = np.hypot(MODEL * self.spread**2, CHANGE * state.doubt)
        self.common: Floats = np.exp(mean + around * self._normal())
        self.factors = {} if known is None else self._factors(holders, known.typical)
        slower = [self.factors.get(h.worker.worker_id, 1.0) / h.worker.speed for h in self.slots]
        self.slower: Floats = self.common[:, None] * np.array(slower)
        self.free: Floats = np.zeros((self.draws, len(self.slots)))
        self.last: Ints = np.full(self.free.shape, -1, np.int64)

    def _factors(self, holders: list[WorkerState], spread: float) -> dict[str, float]:
        """How much slower than all of them every worker is: where its completions differ by more than they scatter."""
        state = self.state
        seen = state.log_ratios / max(1, state.completions)
        found = {}
        for holder in holders:
            own = np.log(forecast.factor(state, holder)) - seen
            scatter = spread / np.sqrt(holder.weight) if holder.weight else np.inf
            found[holder.worker.worker_id] = float(np.exp(own)) if abs(own) > NOTICEABLE * scatter else 1.0
        return found

    def result(self) -> Eta:
        self._running()
        ends = self._scheduled(self._waiting())
        low, middle, high = np.quantile(ends, [(1 - SHARE) / 2, 0.5, (1 + SHARE) / 2]).tolist()
        return Eta(middle, low, high, *self._decider())

    def planned(self) -> float:
        """Seconds that all sub-tasks would take from the start, as predicted, if only their length counted."""
        self.slower = np.array([[1 / h.worker.speed for h in self.slots]])
        return float(self._scheduled(np.argsort(-self.seconds, kind="stable"))[0])

    def _scheduled(self, longest_first: Ints) -> Floats:
        before = self.free.max(axis=1)
        for i in longest_first[:SINGLE].tolist():
            self._place(i)
        ends = self._filled(self._slot_seconds(longest_first[SINGLE:]))
        # The last ones end less evenly than that, and not always later: workers keep to their queues until they run dry.
        last = self._slot_seconds(longest_first[-len(self.slots) :]) / self.stretch
        shortest = float(last.sum()) / len(self.slots) * self.slower.mean(axis=1)
        uneven = ends + shortest * (0.3 + 0.8 * self._normal()) * (self.spread > 0)
        return np.where(ends > before, np.maximum(uneven, before), ends)

    def _waiting(self) -> Ints:
        """Sub-tasks that wait, the longest first."""
        status = np.frombuffer(self.state.status, np.uint8)[: len(self.state.tasks)]
        waiting = np.flatnonzero((status == READY) | (status == BLOCKED))
        ordered: Ints = waiting[np.argsort(-self.seconds[waiting], kind="stable")]
        return ordered

    def _slot_seconds(self, tasks: Ints) -> Floats:
        """Seconds of slots at reference speed, as many more as the plan says that constraints make them."""
        width = self.state.tasks.cpus[tasks] / self.unit if self.several else 1.0
        found: Floats = self.seconds[tasks] * width * self.stretch
        return found

    def _running(self) -> None:
        """Each live attempt takes the slot of its worker that is free first."""
        first: dict[str, int] = {}
        for j, holder in enumerate(self.slots):
            first.setdefault(holder.worker.worker_id, j)
        taken: Counter[str] = Counter()
        for live in sorted(self.state.attempts.values(), key=lambda live: live.started is None):
            name = live.attempt.worker_id
            if name not in first or live.attempt.task >= len(self.state.tasks):
                continue
            holder = self.state.workers[name]
            count = sum(h is holder for h in self.slots[first[name] : first[name] + 512])
            left = self._left(holder, live)
            for _ in range(min(self._width(live.attempt.task), count)):
                j = first[name] + taken[name] % count
                taken[name] += 1
                self.free[:, j] += left
                self.last[:, j] = live.attempt.task

    def _left(self, holder: WorkerState, live: Live) -> Floats:
        """Draws of what is left of an attempt, given that it has not ended."""
        expected = max(live.expected * self.factors[holder.worker.worker_id], 1e-9) * self.common
        elapsed = 0.0 if live.started is None else max(0.0, self.now - live.started)
        reached = np.log(elapsed / expected) / self.spread if elapsed > 0 else np.full(self.draws, -9.0)
        if np.median(reached) > FAR:  # far beyond what is likely: the worker or the sub-task is not as it was thought
            return forecast.left(self.state, holder, live, self.now) * np.exp(0.5 * self._normal())
        passed = normal_chance(reached)
        chance = passed + (1 - passed) * self.rng.random(self.draws)
        return np.maximum(0.0, expected * np.exp(self.spread * normal_quantile(chance)) - elapsed)

    def _normal(self) -> Floats:
        normal: Floats = self.rng.standard_normal(self.draws)
        return normal

    def _place(self, i: int) -> None:
        """One sub-task to where it ends first, in every draw."""
        seconds = self.seconds[i] * self.stretch * np.exp(self.spread * self._normal())
        if self.several:
            self._place_together(i, seconds)
            return
        end = self.free + seconds[:, None] * self.slower
        rows, j = np.arange(self.draws), end.argmin(axis=1)
        self.free[rows, j] = end[rows, j]
        self.last[rows, j] = i

    def _width(self, i: int) -> int:
        """Slots that a sub-task takes at once."""
        return max(1, round(float(self.state.tasks.cpus[i]) / self.unit)) if self.several else 1

    def _place_together(self, i: int, seconds: Floats) -> None:
        """The same of a sub-task that takes several slots of one worker, once so many are free together."""
        width, rows = self._width(i), np.arange(self.draws)[:, None]
        able = [block for block in self.blocks if block.stop - block.start >= width] or [
            max(self.blocks, key=lambda block: block.stop - block.start)
        ]
        ends, chosen = [], []
        for block in able:
            first = np.argsort(self.free[:, block], axis=1, kind="stable")[:, :width] + block.start
            ends.append(self.free[rows, first][:, -1] + seconds * self.slower[:, block.start])
            chosen.append(first)
        best = np.argmin(ends, axis=0)
        for k, (end, first) in enumerate(zip(ends, chosen, strict=True)):
            here = np.flatnonzero(best == k)[:, None]
            self.free[here, first[here[:, 0]]] = end[here]
            self.last[here, first[here[:, 0]]] = i

    def _filled(self, rest: Floats) -> Floats:
        """float64[draws] the ends, once many short sub-tasks have filled up the slots that are free first."""
        if not len(rest):
            ends: Floats = self.free.max(axis=1)
            return ends
        mean = float(rest.sum()) * np.exp(self.spread**2 / 2)
        work = np.maximum(0.0, mean + self.spread * float(np.sqrt((rest**2).sum())) * self._normal())
        rate = 1 / self.slower
        open_now = np.ones(self.free.shape, bool)
        level: Floats = np.zeros(self.draws)
        for _ in range(8):  # slots that are busy beyond the level take nothing
            weight = np.where(open_now, rate, 0.0)
            level = ((weight * self.free).sum(axis=1) + work) / weight.sum(axis=1)
            level = np.maximum(level, self.free.min(axis=1))  # with nothing to fill in, rounding may leave it below
            still = self.free <= level[:, None]
            if (still == open_now).all():
                break
            open_now = still
        over = self.free > level[:, None]
        self.last = np.where(over, self.last, -1)
        found: Floats = np.maximum(level, self.free.max(axis=1))
        return found

    def _decider(self) -> tuple[str, str]:
        """The sub-task and worker that end last most often; none where short ones decide together."""
        j = self.free.argmax(axis=1)
        rows = np.arange(self.draws)
        who = Counter(zip(self.last[rows, j].tolist(), j.tolist(), strict=True))
        (task, slot), _ = max(who.items(), key=lambda pair: (pair[1], pair[0]))
        if task < 0:
            return "", ""
        return str(self.state.tasks.task_id[task].as_py()), self.slots[slot].worker.worker_id
