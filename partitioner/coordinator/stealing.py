"""Late re-placement: a worker that runs dry takes a waiting sub-task of another."""

from __future__ import annotations

import heapq
from itertools import islice
from math import inf

from partitioner.coordinator import forecast
from partitioner.coordinator.capacity import can_hold, has_room
from partitioner.coordinator.state import State, WorkerState
from partitioner.coordinator.transitions import READY

EPSILON = 1e-9
VICTIMS = 8  # workers with the most waiting work that are looked at
WAKE = 4  # idle workers that look again at every step
LOOK_SECONDS = 0.5  # between two looks of idle workers where nothing happens
LOOK_SHARE = 0.01  # the same, of what the run took so far: a longer one has more time
LOOK = 50  # first ready sub-tasks of a queue that are looked at


def wake_some(state: State, now: float) -> None:
    """Let some idle workers look again, in turn: as time passes, others turn out to be late."""
    for name in list(islice(state.idle, WAKE)):
        del state.idle[name]
        state.hungry.setdefault(name)
    if state.hungry and now >= state.look_again and state.remaining > len(state.attempts):
        state.look_again = now + max(LOOK_SECONDS, LOOK_SHARE * state.second(now))
        state.alarm(state.look_again)


def steal(state: State, thief: WorkerState, now: float) -> int | None:
    """The longest sub-task of the most loaded other worker that the thief would finish sooner than its owner is done."""
    if thief.used_cpus >= thief.worker.cpus:
        return None  # never take another's work only to let it wait here
    kept: list[tuple[float, str]] = []
    found, until = None, _until(state, thief, now)
    while state.richest and found is None and len(kept) <= VICTIMS:
        stored, name = heapq.heappop(state.richest)
        victim = state.workers.get(name)
        if victim is None or not victim.queue:
            continue
        if -stored > victim.backlog + EPSILON:
            heapq.heappush(state.richest, (-victim.backlog, name))
            continue
        kept.append((stored, name))
        if victim is not thief:
            found = _take_from(state, victim, thief, now, until)
    for item in kept:
        heapq.heappush(state.richest, item)
    if found is None and state.policy.recall and until == inf:
        _recall(state, thief, now)
    return found


def _until(state: State, thief: WorkerState, now: float) -> float:
    """When what the thief takes is to have ended: once the first of its own queue, which waits for room, is expected to fit.

    So that it is not passed for ever (EASY backfilling; Lifka, JSSPP 1995). Infinity where none waits for room.
    """
    task = thief.queue[0] if thief.queue else None
    if task is None or state.status[task] != READY or not can_hold(state, thief, task) or has_room(state, thief, task):
        return inf
    cpus = state.demands.kinds[state.demands.kind[task]].cpus - (thief.worker.cpus - thief.used_cpus)
    memory = state.demands.memory[task] - (thief.worker.memory_bytes - thief.used_memory)
    ends = sorted((forecast.left(state, thief, live, now), name) for name, live in thief.live.items())
    for left, name in ends:
        live = thief.live[name]
        cpus -= live.attempt.cpus
        memory -= live.attempt.memory_bytes
        if cpus <= EPSILON and memory <= EPSILON * thief.worker.memory_bytes:
            return now + left
    return now + ends[-1][0] if ends else inf


def _recall(state: State, thief: WorkerState, now: float) -> None:
    """Ask for a sub-task back that was sent ahead to a worker that turned out late: it returns to all, and goes here."""
    name = thief.worker.worker_id
    for holder in state.workers.values():
        if holder is thief or holder.ahead <= 0 or not _is_late(state, holder, now):
            continue
        for live in holder.live.values():
            task = live.attempt.task
            if live.started is not None or task in state.recalled or name in state.moved.get(task, ()):
                continue
            wait = forecast.next_end(state, holder, now) - now
            slower = forecast.seconds(state, thief, task) - forecast.seconds(state, holder, task)
            if wait > max(state.policy.next_seconds, slower) and can_hold(state, thief, task):
                state.recalled.add(task)
                state.moved.setdefault(task, set()).add(holder.worker.worker_id)
                state.recalls.append(live.attempt.attempt_id)
                return


def take_back(state: State, name: str) -> None:
    """Ask for all that was sent ahead to a worker that has fallen behind: others get it while there are any."""
    holder = state.workers.get(name)
    if holder is None or not state.policy.recall or len(state.workers) < 2:
        return
    for live in holder.live.values():
        task = live.attempt.task
        if live.started is None and task not in state.recalled:
            state.recalled.add(task)
            state.moved.setdefault(task, set()).add(name)
            state.trouble(task).slow_on |= {name}
            state.recalls.append(live.attempt.attempt_id)


def _is_late(state: State, holder: WorkerState, now: float) -> bool:
    """Whether something runs there for longer than it was expected to."""
    factor = forecast.factor(state, holder)
    return any(
        live.started is not None and now - live.started > live.expected * factor for live in holder.live.values()
    )


def _take_from(state: State, victim: WorkerState, thief: WorkerState, now: float, until: float) -> int | None:
    forecast.look(state, victim, now)
    forecast.look(state, thief, now)
    end = forecast.end(state, victim, now)
    name = thief.worker.worker_id
    best, longest, looked = None, -1.0, 0
    for task in victim.queue:
        if state.status[task] != READY:
            continue
        looked += 1
        if looked > LOOK:
            break
        seconds = forecast.seconds(state, thief, task)
        better = seconds > longest and now + seconds < min(end, until)
        allowed = better and name not in state.moved.get(task, ()) and can_hold(state, thief, task)
        if allowed and (not thief.live or has_room(state, thief, task)):
            best, longest = task, seconds
    if best is not None:
        victim.queue.remove(best)
        victim.backlog -= forecast.load(state, victim, best)
        state.moved.setdefault(best, set()).add(victim.worker.worker_id)
    return best
