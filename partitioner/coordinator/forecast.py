"""How fast each worker turns out to be, and waiting work placed again where that shows the plan to be uneven.

A factor common to all workers (``State.scale``) corrects the ETA and what is sent ahead; it changes no placement. Sub-tasks
keep their cuts, for output files are named by them.
"""

from __future__ import annotations

import heapq
from collections import deque
from math import exp, log, sqrt

from partitioner.coordinator.dispatch import can_hold
from partitioner.coordinator.state import State, WorkerState
from partitioner.coordinator.transitions import READY

WORTH = 0.1
"""Waiting work is placed again where that saves this share of what is left."""

PRIOR = 3.0
"""A worker's declared speed counts as much as this many completions."""


def observe(state: State, holder: WorkerState, task: int, seconds: float) -> None:
    """Note a completion that took ``seconds`` wall on ``holder``.

    Forecasts come at 8, 16, 32, ... completions of the run, so that all together are cheap.
    """
    if state.seconds[task] <= 0:
        return
    ratio = log(seconds * holder.worker.speed / state.seconds[task])
    holder.log_ratios += ratio
    state.log_ratios += ratio
    state.squares += ratio * ratio
    holder.completions += 1
    state.completions += 1
    if state.completions >= state.next_forecast:
        state.next_forecast *= 2
        _set_paces(state)
        if state.may_replace:
            _place_again(state)


def _set_paces(state: State) -> None:
    """``pace`` 0.5: half as fast, beside the others, as its declared speed says.

    The mean log ratio of actual to predicted seconds against that of all workers, shrunk by ``PRIOR``; 1 where it is within
    two standard errors, so that the scatter of single sub-tasks is not taken for a slow worker.
    """
    mean = state.log_ratios / state.completions
    seen = [h for h in state.workers.values() if h.completions]
    within = state.squares - sum(h.log_ratios**2 / h.completions for h in seen)
    deviation = sqrt(max(within, 0.0) / max(1, state.completions - len(seen)))
    for holder in state.workers.values():
        n = holder.completions
        slower = holder.log_ratios / n - mean if n else 0.0
        noticeable = n > 0 and abs(slower) > 2 * deviation / sqrt(n)
        holder.pace = exp(-slower * n / (n + PRIOR)) if noticeable else 1.0


def _place_again(state: State) -> None:
    """Take from workers with more than their share what is last in their queues, and give it, longest first, to the
    worker that would finish it first."""
    holders = list(state.workers.values())
    loads = [sum(live.seconds for live in h.live.values()) / h.rate for h in holders]
    queues = [[i for i in h.queue if state.status[i] == READY] for h in holders]
    loads = [
        load + sum(state.seconds[i] for i in q) / h.rate for load, q, h in zip(loads, queues, holders, strict=True)
    ]
    planned, rates = max(loads), sum(h.rate for h in holders)
    share = sum(load * h.rate for load, h in zip(loads, holders, strict=True)) / rates
    if share > (1 - WORTH) * planned:
        return
    excess = []
    for j, holder in enumerate(holders):
        while queues[j] and loads[j] - state.seconds[queues[j][-1]] / holder.rate >= share:
            excess.append(queues[j].pop())
            loads[j] -= state.seconds[excess[-1]] / holder.rate
    free = [(load, j) for j, load in enumerate(loads)]
    heapq.heapify(free)
    for task in sorted(excess, key=lambda i: (-state.seconds[i], i)):
        if not _give(state, holders, free, queues, task):
            return  # only a worker that is gone could hold it
    for holder, queue in zip(holders, queues, strict=True):
        holder.queue = deque(queue)
        holder.backlog = sum(state.seconds[i] for i in queue)
    state.richest = sorted((-h.backlog, name) for name, h in state.workers.items())


def _give(
    state: State, holders: list[WorkerState], free: list[tuple[float, int]], queues: list[list[int]], task: int
) -> bool:
    passed = []
    while free and not can_hold(state, holders[free[0][1]], task):
        passed.append(heapq.heappop(free))
    found = bool(free)
    if found:
        load, j = heapq.heappop(free)
        queues[j].append(task)
        heapq.heappush(free, (load + state.seconds[task] / holders[j].rate, j))
    for item in passed:
        heapq.heappush(free, item)
    return found
