"""Sub-tasks of one kind take about equally long, so the first that is done tells the rest of the run what they cost.

Where a cost is a guess (by the parameters of a model, say), what was seen of a kind takes its place, and what waits is
placed again, the longest first: the guess decides only in which order kinds are tried. Kinds that were not seen yet are
expected to be wrong by as much as those that were, the more alike the more so.
"""

from __future__ import annotations

import heapq
from collections import deque

from partitioner.coordinator import forecast
from partitioner.coordinator.capacity import can_hold
from partitioner.coordinator.kinds import Kinds
from partitioner.coordinator.state import Live, State, WorkerState
from partitioner.coordinator.transitions import DONE, READY

NEWS = 1.25
"""Seen over expected seconds from which on what waits is placed again: less changes no order worth a new one."""


def learn(state: State, holder: WorkerState, task: int, seconds: float, now: float) -> None:
    """A sub-task took ``seconds`` on a worker: expect that of its kind, and place what waits again where that is news."""
    kinds = state.kinds
    if kinds is None or not state.may_replace or seconds <= 0:
        return
    expected, mean = state.seconds[task], kinds.note(task, seconds * holder.worker.speed)
    if kinds.seen[kinds.kind[task]][0] > 1 and (expected <= 0 or 1 / NEWS < mean / expected < NEWS):
        return
    _expect(state, kinds)
    forecast.forget(state)
    _place(state, now)


def _expect(state: State, kinds: Kinds) -> None:
    """Seconds of what is not done: as seen of its kind; where none of it was seen, the guess as others mended theirs."""
    scales = kinds.scales()
    for kind, members in kinds.members.items():
        count, total = kinds.seen.get(kind, (0, 0.0))
        for i in members:
            if state.status[i] != DONE:
                state.seconds[i] = total / count if count else kinds.guess[i] * scales[kind]
    for holder in state.workers.values():
        for live in holder.live.values():
            if live.attempt.task < len(kinds.kind):
                _expected_of(state, holder, live)


def _expected_of(state: State, holder: WorkerState, live: Live) -> None:
    """What a live attempt is expected to take, by what is known now."""
    share = live.load / live.expected if live.expected > 0 else 1.0
    before, live.expected = live.seconds, state.seconds_on(live.attempt.task, holder.worker)
    live.seconds, live.load = live.expected * holder.worker.speed, live.expected * share
    if live.started is None:
        holder.ahead = max(0.0, holder.ahead + live.seconds - before)


def _place(state: State, now: float) -> None:
    """What waits on workers, by priority and then the longest first, each to the worker that will be done with it first."""
    holders = list(state.workers.values())
    waiting = [i for holder in holders for i in holder.queue if state.status[i] == READY]
    waiting.sort(key=lambda i: (-float(state.tasks.priority[i]), -state.seconds[i], i))
    free = [(forecast.busy(state, holder, now), j) for j, holder in enumerate(holders)]
    heapq.heapify(free)
    place = {holder.worker.worker_id: j for j, holder in enumerate(holders)}
    given: list[list[int]] = [[] for _ in holders]
    for i in waiting:
        passed = []
        while free and not can_hold(state, holders[free[0][1]], i):
            passed.append(heapq.heappop(free))
        if free:
            load, j = heapq.heappop(free)
            state.home[i], state.planned[i] = holders[j].worker.worker_id, state.second(now) + load
            passed.append((load + forecast.load(state, holders[j], i), j))
        given[place[state.home[i]]].append(i)
        for item in passed:
            heapq.heappush(free, item)
    for holder, tasks in zip(holders, given, strict=True):
        _wait(state, holder, tasks)
    state.as_planned = False
    state.richest = sorted((-h.backlog, h.worker.worker_id) for h in holders)
    state.wake()


def _wait(state: State, holder: WorkerState, tasks: list[int]) -> None:
    """These wait on a worker now, in this order."""
    holder.queue = deque([*(i for i in holder.queue if state.status[i] != READY), *tasks])
    holder.backlog = sum(forecast.load(state, holder, i) for i in holder.queue)
    state.hungry[holder.worker.worker_id] = None
