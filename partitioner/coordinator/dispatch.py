"""Which waiting sub-task goes to which worker next: the plan's order, and late re-placement once a worker runs dry."""

from __future__ import annotations

import heapq
from dataclasses import replace

from partitioner.coordinator import bundling
from partitioner.coordinator.state import Action, Live, State, Submit, WorkerState
from partitioner.coordinator.transitions import READY, Change
from partitioner.model import Attempt

EPSILON = 1e-9


def fill(state: State) -> list[Action]:
    """Give every worker that has room its next sub-tasks."""
    actions: list[Action] = []
    bundling.refresh(state)
    hungry, state.hungry = state.hungry, {}
    for name in hungry:
        holder = state.workers.get(name)
        if holder is None:
            continue
        while (task := _next(state, holder)) is not None:
            actions.append(_submit(state, holder, task))
        if holder.used_cpus < holder.worker.cpus:
            state.idle[name] = None
        else:
            state.idle.pop(name, None)
    return actions


def _next(state: State, holder: WorkerState) -> int | None:
    """The task this worker should get now, or None: the one it is reserved for, from the pool, or from a queue."""
    if holder.exclusive:
        return None
    if holder.reserved is not None:
        return _reserved(state, holder)
    if holder.used_cpus >= holder.worker.cpus and not _may_send_ahead(state, holder):
        return None
    found = _from_pool(state, holder) if state.pool else None
    return found if found is not None or holder.reserved is not None else _from_queue(state, holder)


def _reserved(state: State, holder: WorkerState) -> int | None:
    """The reserved sub-task once it fits (a suspect: once the worker is empty), so that smaller ones never starve it."""
    task = holder.reserved
    assert task is not None
    if state.status[task] != READY:
        holder.reserved = None
        return _next(state, holder)
    if not (holder.live if task in state.deaths else not fits(state, holder, task)):
        holder.reserved = None
        return task
    return None


def _may_send_ahead(state: State, holder: WorkerState, seconds: float = 0.0) -> bool:
    """Whether work of that many predicted seconds may wait on the worker although it cannot start there at once.

    Short work may, up to a sum, and one longer sub-task while enough is left behind it for idle workers to take.
    """
    policy = state.policy
    if policy.bundle > 1:
        return bundling.has_room(state, holder)
    if not state.scale_known or len(holder.live) >= policy.ahead_tasks + holder.worker.cpus:
        return False
    wait = (holder.ahead + seconds) * state.scale / holder.worker.speed
    if wait < policy.ahead_seconds:
        return True
    return holder.ahead <= 0 and len(holder.queue) > policy.keep_queued and wait < policy.next_seconds


def _from_pool(state: State, holder: WorkerState) -> int | None:
    """The first returned sub-task this worker can hold. One that it could hold if it were emptier reserves it."""
    for _ in range(len(state.pool)):
        task = state.pool.popleft()
        if state.status[task] != READY:
            continue
        if not can_hold(state, holder, task):
            state.pool.append(task)
            continue
        alone = task in state.deaths
        if not holder.live if alone else fits(state, holder, task):
            return task
        if alone or holder.used_cpus < holder.worker.cpus:
            holder.reserved = task
            return None
        state.pool.append(task)
    return None


def _from_queue(state: State, holder: WorkerState) -> int | None:
    while holder.queue and state.status[holder.queue[0]] != READY:
        holder.queue.popleft()
    if not holder.queue:
        return _from_richest(state, holder)
    # The head waits until it fits, rather than smaller ones passing it for ever.
    if not fits(state, holder, holder.queue[0]):
        return None
    task = holder.queue.popleft()
    holder.backlog -= state.seconds[task]
    return task


def _from_richest(state: State, thief: WorkerState) -> int | None:
    """The longest sub-task of the most loaded other worker that the thief would finish sooner than its owner."""
    if thief.used_cpus >= thief.worker.cpus:
        return None  # never take another's work only to let it wait here
    kept: list[tuple[float, str]] = []
    found = None
    while state.richest and found is None and len(kept) <= 8:
        stored, name = heapq.heappop(state.richest)
        victim = state.workers.get(name)
        if victim is None or not victim.queue:
            continue
        if -stored > victim.backlog + EPSILON:
            heapq.heappush(state.richest, (-victim.backlog, name))
            continue
        kept.append((stored, name))
        if victim is not thief:
            found = _take_from(state, victim, thief)
    for item in kept:
        heapq.heappush(state.richest, item)
    return found


def _take_from(state: State, victim: WorkerState, thief: WorkerState) -> int | None:
    owner_done = (victim.backlog + victim.ahead) / victim.rate
    fast, slow = thief.worker.speed * thief.pace, victim.worker.speed * victim.pace
    busy = bool(victim.live)
    best = None
    for task in victim.queue:
        seconds = state.seconds[task]
        sooner = seconds / fast < owner_done or (busy and fast >= slow)
        longest = best is None or seconds > state.seconds[best]
        able = state.status[task] == READY and sooner and longest and can_hold(state, thief, task)
        if able and fits(state, thief, task):
            best = task
    if best is not None:
        victim.queue.remove(best)
        victim.backlog -= state.seconds[best]
    return best


def can_hold(state: State, holder: WorkerState, i: int) -> bool:
    """Whether the worker, empty, could run the sub-task."""
    kind = state.demands.kind[i]
    if kind not in holder.able:
        holder.able[kind] = state.demands.kinds[kind].runs_on(holder.worker)
    return holder.able[kind] and state.demands.memory[i] <= holder.worker.memory_bytes


def fits(state: State, holder: WorkerState, i: int) -> bool:
    """Whether the sub-task fits beside what the worker holds; cores may be over-subscribed by work sent ahead."""
    if not holder.live:
        return True
    worker, demand = holder.worker, state.demands.kinds[state.demands.kind[i]]
    room = worker.cpus - holder.used_cpus
    ahead = room <= 0 and _may_send_ahead(state, holder, state.seconds[i])
    if ahead and state.policy.bundle > 1:  # the engine holds it back until cores and devices are free
        return bundling.memory_is_safe(state, holder, state.demands.memory[i])
    return (
        (ahead or demand.cpus <= room + EPSILON)
        and holder.used_memory + state.demands.memory[i] <= worker.memory_bytes
        and holder.used_gpus + demand.gpus <= worker.gpus + EPSILON
        and all(
            holder.used.get(k, 0.0) + v <= worker.resources.get(k, 0.0) + EPSILON for k, v in demand.resources.items()
        )
    )


def _submit(state: State, holder: WorkerState, i: int) -> Action:
    number = state.numbers.get(i, 0)
    state.numbers[i] = number + 1
    demand = state.demands.kinds[state.demands.kind[i]]
    attempt = Attempt(
        task_key=state.tasks.task_id[i].as_py(),
        task=i,
        number=number,
        worker_id=holder.worker.worker_id,
        run_url=state.run_url,
        seconds=float(state.tasks.seconds[i]),
        memory_bytes=state.demands.memory[i],
        cpus=demand.cpus,
        gpus=demand.gpus,
        gpu_memory_bytes=demand.gpu_memory_bytes,
        resources=demand.resources,
        key=state.key,
    )
    live = Live(attempt, state.seconds[i])
    state.change(i, Change.SUBMITTED)
    state.attempts[attempt.attempt_id] = live
    holder.live[attempt.attempt_id] = live
    holder.exclusive = i in state.deaths
    holder.ahead += live.seconds
    _count(holder, attempt, 1)
    return Submit(attempt)


def release(state: State, live: Live) -> None:
    """Give back what an ended attempt held."""
    holder = state.workers.get(live.attempt.worker_id)
    if holder is None or holder.live.pop(live.attempt.attempt_id, None) is None:
        return
    if live.started is None:
        holder.ahead = max(0.0, holder.ahead - live.seconds)
    holder.exclusive = False
    _count(holder, live.attempt, -1)
    state.hungry[live.attempt.worker_id] = None


def move(state: State, live: Live, worker_id: str) -> None:
    """The engine ran a waiting attempt on another worker than asked: what it holds is held there."""
    there = state.workers[worker_id]
    release(state, live)
    live.attempt = replace(live.attempt, worker_id=worker_id)
    there.live[live.attempt.attempt_id] = live
    there.ahead += live.seconds
    _count(there, live.attempt, 1)


def _count(holder: WorkerState, attempt: Attempt, sign: int) -> None:
    holder.used_cpus += sign * attempt.cpus
    holder.used_memory += sign * attempt.memory_bytes
    holder.used_gpus += sign * attempt.gpus
    for name, value in attempt.resources.items():
        holder.used[name] = holder.used.get(name, 0.0) + sign * value
