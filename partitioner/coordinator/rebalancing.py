"""Waiting work placed again, once completions have shown that some worker will be done much later than the others.

Sub-tasks keep their cuts, for output files are named by them. The longest go first, each to the worker that would finish it
first, and take their place there among the others in the order of the plan. None comes back to a worker it was moved from.
"""

from __future__ import annotations

import heapq
from collections import deque
from math import sqrt

from partitioner.coordinator import forecast
from partitioner.coordinator.capacity import can_hold
from partitioner.coordinator.state import State, WorkerState
from partitioner.coordinator.transitions import READY

FEWEST = 8  # completions before the first forecast, and between two
SHARE = 32  # of the rest of the run: so many forecasts while what is left shrinks by a factor of e
VAIN = 8  # the same after one that found nothing worth moving, which takes the longest
LEAST = 0.02  # of what is left: less is not worth moving anything
DECISION = 3e-5  # seconds that placing one waiting sub-task again takes: to win less than all of them cost is a loss
CANDIDATES = 8  # workers that are done first that are asked whether they can hold a sub-task


def consider(state: State, now: float) -> None:
    """Every few completions: place waiting work again where that ends the run earlier by more than its uncertainty."""
    if state.completions < state.next_forecast:
        return
    state.next_forecast = state.completions + max(FEWEST, state.remaining // SHARE)
    holders = [holder for name, holder in state.workers.items() if name not in state.awaited]
    if state.as_planned or not state.may_replace or len(holders) < 2:
        return
    for holder in holders:
        forecast.look(state, holder, now)
    left = [forecast.end(state, holder, now) - now for holder in holders]
    rates = [h.worker.speed * h.worker.cpus / forecast.factor(state, h) for h in holders]
    level = sum(a * b for a, b in zip(left, rates, strict=True)) / max(sum(rates), 1e-300)
    last = max(range(len(holders)), key=lambda j: left[j])
    dear = DECISION * sum(len(h.queue) for h in holders)
    doubt = max(uncertainty(state, holders[last], left[last]), dear)
    if left[last] - level > doubt and not _Attempt(state, holders, left, now).run(level, doubt):
        state.next_forecast = state.completions + max(FEWEST, state.remaining // VAIN)


def uncertainty(state: State, holder: WorkerState, left: float) -> float:
    """Seconds by which the forecast of ``left`` seconds on a worker may well be wrong: one standard deviation."""
    count = len(holder.queue) + len(holder.live)
    scatter = 1 / sqrt(max(1, count)) + 1 / sqrt(1.0 + holder.weight)
    return left * max(LEAST, forecast.spread(state) * scatter)


class _Attempt:
    """Longest first over the waiting sub-tasks of the workers that will be late; kept only where it pays."""

    def __init__(self, state: State, holders: list[WorkerState], left: list[float], now: float) -> None:
        self.state, self.holders, self.now = state, holders, now
        self.before = max(left)
        self.load = [forecast.busy(state, h, now) + h.backlog * forecast.factor(state, h) for h in holders]
        self.left = left

    def run(self, level: float, doubt: float) -> bool:
        """Place what waits on the workers that are late beyond ``level``; moved if the last ends earlier by ``doubt``."""
        late = [j for j, seconds in enumerate(self.left) if seconds > level + doubt / 2 and self.holders[j].queue]
        tasks = [(i, j) for j in late for i in self.holders[j].queue if self.state.status[i] == READY]
        for i, j in tasks:
            self.load[j] -= self._load(i, j)
        tasks.sort(key=lambda pair: (-self._seconds(*pair), pair[0]))
        free = [(load, j) for j, load in enumerate(self.load)]
        heapq.heapify(free)
        moves, after = [], 0.0
        for i, j in tasks:
            to = self._best(i, j, free)
            after = max(after, self._seconds(i, to))
            self.load[to] += self._load(i, to)
            heapq.heappush(free, (self.load[to], to))
            if to != j:
                moves.append((i, j, to))
        pays = bool(moves) and self.before - max(after, *self.load) > doubt
        if pays:
            self._apply(moves)
        return pays

    def _load(self, i: int, j: int) -> float:
        return forecast.load(self.state, self.holders[j], i) * forecast.factor(self.state, self.holders[j])

    def _seconds(self, i: int, j: int) -> float:
        return forecast.seconds(self.state, self.holders[j], i)

    def _finish(self, i: int, j: int) -> float:
        return max(self.load[j] + self._load(i, j), self._seconds(i, j))

    def _best(self, i: int, home: int, free: list[tuple[float, int]]) -> int:
        """Where the sub-task ends first: its own worker, or one of those that are done first."""
        best, finish = home, self._finish(i, home)
        passed: list[tuple[float, int]] = []
        while free and len(passed) < CANDIDATES:
            load, j = heapq.heappop(free)
            if load != self.load[j]:
                continue  # an older entry of a worker that has more by now
            passed.append((load, j))
            if load >= finish:
                break
            holder = self.holders[j]
            allowed = holder.worker.worker_id not in self.state.moved.get(i, ()) and can_hold(self.state, holder, i)
            if j != home and allowed and self._finish(i, j) < finish:
                best, finish = j, self._finish(i, j)
        for item in passed:
            heapq.heappush(free, item)
        return best

    def _apply(self, moves: list[tuple[int, int, int]]) -> None:
        state = self.state
        gone = {i for i, _, _ in moves}
        arrivals: dict[int, list[int]] = {}
        for i, home, to in moves:
            state.moved.setdefault(i, set()).add(self.holders[home].worker.worker_id)
            state.home[i] = self.holders[to].worker.worker_id
            arrivals.setdefault(to, []).append(i)
        for j in {home for _, home, _ in moves} | arrivals.keys():
            holder = self.holders[j]
            kept = [i for i in holder.queue if i not in gone] + arrivals.get(j, [])
            holder.queue = deque(sorted(kept, key=lambda i: (state.planned[i], i)))
            holder.backlog = sum(forecast.load(state, holder, i) for i in holder.queue)
            state.hungry[holder.worker.worker_id] = None
        state.richest = sorted((-h.backlog, name) for name, h in state.workers.items())
