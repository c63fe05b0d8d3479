"""Which waiting sub-task goes to which worker next.

The plan is followed worker by worker, in the order in which it starts the sub-tasks, each as soon as it is ready and fits.
While nothing has differed from the plan, that is all, so that durations as predicted give the run that was planned. Once
something has, a sub-task that waits for a late predecessor is passed by later ones, and a worker that runs dry takes from
others: see ``stealing``.
"""

from __future__ import annotations

from dataclasses import replace

from partitioner.coordinator import blame, bundling, forecast, ladder, splitting, stealing, timers
from partitioner.coordinator.capacity import EPSILON, can_hold, devices_for, give_back, has_room, take
from partitioner.coordinator.readiness import TOLERANCE
from partitioner.coordinator.state import Action, Cancel, Live, State, Submit, WorkerState
from partitioner.coordinator.transitions import BLOCKED, READY, Change
from partitioner.coordinator.upcoming import upcoming
from partitioner.model import Attempt

LOOK = 100
"""Sub-tasks of a queue that are looked at behind one that waits for a late predecessor: enough to find work, and bounded."""

SHORTEST = 0.05
"""Seconds between two looks at whether the next sub-task may be sent ahead: a late attempt seems to end ever later."""


def free(state: State, now: float) -> None:
    """Sub-tasks that wait for nothing any more become ready; the next that only waits for time sets an alarm."""
    for task in state.readiness.free(state.second(now)):
        state.change(task, Change.FREED)
        if task in state.held_back:
            splitting.go_on(state, task, *state.held_back.pop(task), second=state.second(now))
            continue
        if state.home[task] in state.workers:
            state.hungry[state.home[task]] = None
        else:
            state.pool.append(task)
            state.wake()
        if not state.as_planned:
            state.wake()
    soonest = state.readiness.soonest
    if soonest != state.readiness.announced:
        state.readiness.announced = soonest
        state.alarm(now - state.second(now) + soonest)


def orphan(state: State, holder: WorkerState) -> None:
    """A worker is gone: what waited for it waits for any worker now."""
    state.as_planned = False
    waiting = [*holder.queue, *([] if holder.reserved is None else [holder.reserved])]
    for task in waiting:
        state.home[task] = ""
        state.moved.pop(task, None)
    state.pool.extend(task for task in waiting if state.status[task] == READY)


def fill(state: State, now: float) -> list[Action]:
    """Give every worker that has room its next sub-tasks."""
    actions: list[Action] = []
    bundling.refresh(state)
    if not state.as_planned:
        stealing.wake_some(state, now)
    hungry, state.hungry = state.hungry, {}
    for name in hungry:
        holder = state.workers.get(name)
        if holder is None:
            continue
        while (task := _next(state, holder, now)) is not None:
            actions.append(submit(state, holder, task))
        if holder.used_cpus < holder.worker.cpus:
            state.idle[name] = None
        else:
            state.idle.pop(name, None)
    actions += [Cancel(attempt_id) for attempt_id in state.recalls]
    state.recalls.clear()
    return actions


def _next(state: State, holder: WorkerState, now: float) -> int | None:
    """The task this worker should get now, or None: the one it is reserved for, from the pool, or from a queue."""
    name = holder.worker.worker_id
    if holder.exclusive or name in state.excluded or name in state.awaited:
        return None
    if holder.reserved is not None:
        return _reserved(state, holder, now)
    if holder.used_cpus >= holder.worker.cpus and not _may_send_ahead(state, holder, now):
        return None
    found = _from_pool(state, holder, now) if state.pool else None
    if found is None and holder.reserved is None:
        found = _from_queue(state, holder, now)
    if found is None and holder.reserved is None and not state.as_planned:
        found = stealing.steal(state, holder, now)
    return found


def _reserved(state: State, holder: WorkerState, now: float) -> int | None:
    """The reserved sub-task once it fits (a suspect: once the worker is empty), so that smaller ones never starve it."""
    task = holder.reserved
    assert task is not None
    if state.status[task] != READY:
        holder.reserved = None
        return _next(state, holder, now)
    if not (holder.live if task in state.deaths else not fits(state, holder, task, now)):
        holder.reserved = None
        return task
    return None


def _may_send_ahead(state: State, holder: WorkerState, now: float, seconds: float = 0.0) -> bool:
    """Whether work of that many predicted seconds may wait on the worker although it cannot start there at once.

    Short work may, up to a sum, and one longer sub-task shortly before it is expected to start, while enough is left
    behind it for idle workers to take. None may while kinds of sub-tasks are not seen: their order is about to change.
    """
    policy = state.policy
    if state.kinds is not None and not state.kinds.all_seen:
        return False
    if policy.bundle > 1:
        return bundling.has_room(state, holder)
    if not state.scale_known or len(holder.live) >= policy.ahead_tasks + holder.worker.cpus:
        return False
    if forecast.is_suspect(state, holder, now):
        return False
    if (holder.ahead + seconds) * state.scale / holder.worker.speed < policy.ahead_seconds:
        return True
    if holder.ahead > 0 or len(holder.queue) <= policy.keep_queued:
        return False
    wait = forecast.next_end(state, holder, now) - now
    if wait <= policy.next_seconds * (1 + EPSILON):
        return True
    if not now < holder.soon < now + wait:
        holder.soon = now + max(wait - policy.next_seconds, SHORTEST)
        state.alarm(holder.soon, holder.worker.worker_id)
    return False


def _from_pool(state: State, holder: WorkerState, now: float) -> int | None:
    """The first returned sub-task this worker can hold. One that it could hold if it were emptier reserves it."""
    passed: list[int] = []
    found = None
    while state.pool and found is None and holder.reserved is None:
        task = state.pool.popleft()
        if state.status[task] != READY:
            continue
        alone = task in state.deaths
        if not can_hold(state, holder, task):
            passed.append(task)
        elif not holder.live if alone else fits(state, holder, task, now):
            found = task
        elif alone or holder.used_cpus < holder.worker.cpus:
            holder.reserved = task
        else:
            passed.append(task)
    state.pool.extend(passed)
    return found


def _from_queue(state: State, holder: WorkerState, now: float) -> int | None:
    """The head of the worker's queue once it is ready and fits; a later one where the head is held up."""
    queue, status = holder.queue, state.status
    while queue and status[queue[0]] not in (READY, BLOCKED):
        queue.popleft()
    if not queue or not blame.allows(state, holder, queue[0]):
        return None
    if status[queue[0]] == READY:
        # The head waits until it fits, rather than smaller ones passing it for ever.
        return _taken(state, holder, 0) if fits(state, holder, queue[0], now) else None
    if not _is_late(state, holder, queue[0], now):
        return None
    for k in range(1, min(len(queue), LOOK)):
        if status[queue[k]] == READY:
            return _taken(state, holder, k) if fits(state, holder, queue[k], now) else None
    return None


def _taken(state: State, holder: WorkerState, k: int) -> int:
    task = holder.queue[k]
    del holder.queue[k]
    holder.backlog -= forecast.load(state, holder, task)
    holder.held = None
    return task


def _is_late(state: State, holder: WorkerState, task: int, now: float) -> bool:
    """Whether the plan would have started it by now. Until then its place is kept, and an alarm set for that second."""
    assert state.began is not None
    if not state.scale_known:
        return True
    due = state.began + state.planned[task] + TOLERANCE * max(1.0, state.planned[task])
    if now >= due:
        holder.held = None  # from here on it waits for others, and not for its second
        return True
    if holder.held != task:
        holder.held = task
        state.alarm(due, holder.worker.worker_id)
    return False


def fits(state: State, holder: WorkerState, i: int, now: float) -> bool:
    """Whether the sub-task fits beside what the worker holds; cores may be over-subscribed by work sent ahead."""
    if not holder.live:
        return True
    seconds = state.seconds_on(i, holder.worker) * holder.worker.speed  # as ``ahead`` counts them
    ahead = holder.used_cpus >= holder.worker.cpus and _may_send_ahead(state, holder, now, seconds)
    if ahead and state.policy.bundle > 1:  # the engine holds it back until cores and devices are free
        return bundling.memory_is_safe(holder, state.demands.memory[i])
    return has_room(state, holder, i, ahead)


def submit(state: State, holder: WorkerState, i: int, copy: bool = False) -> Submit:
    """Hand the sub-task to the worker; ``copy``: beside the attempt that runs."""
    number = state.numbers.get(i, 0)
    state.numbers[i] = number + 1
    demand = state.demands.kinds[state.demands.kind[i]]
    expected = state.seconds_on(i, holder.worker)
    care = ladder.care(state, holder, i)
    calls_program = not care.condemned and not care.count
    attempt = Attempt(
        task_key=state.key_of(i),
        task=i,
        number=number,
        worker_id=holder.worker.worker_id,
        run_url=state.run_url,
        seconds=expected * holder.worker.speed,
        memory_bytes=state.demands.memory[i],
        cpus=demand.cpus,
        gpus=demand.gpus,
        gpu_memory_bytes=demand.gpu_memory_bytes,
        resources=demand.resources,
        key=state.key,
        devices=devices_for(state, holder, i) or (),
        epoch=state.epoch,
        timeout_seconds=timers.limit_seconds(state, holder, i) if calls_program else timers.READING_SECONDS,
        care=care,
        avoid=blame.avoided(state, holder, i),
        upcoming=None if copy else upcoming(state, holder, i, care),
    )
    live = Live(attempt, attempt.seconds, forecast.load(state, holder, i), expected)
    if not copy:
        state.change(i, Change.SUBMITTED)
        state.home[i] = attempt.worker_id
    state.attempts[attempt.attempt_id] = live
    holder.exclusive = i in state.deaths
    holder.ahead += live.seconds
    take(holder, live)
    timers.submitted(state, live)
    return Submit(attempt)


def release(state: State, live: Live) -> None:
    """Give back what an ended attempt held."""
    holder = state.workers.get(live.attempt.worker_id)
    if holder is None or not give_back(holder, live):
        return
    if live.started is None:
        holder.ahead = max(0.0, holder.ahead - live.seconds)
    holder.exclusive = holder.exclusive and any(other.attempt.task in state.deaths for other in holder.live.values())
    state.hungry[live.attempt.worker_id] = None


def move(state: State, live: Live, worker_id: str) -> None:
    """The engine ran a waiting attempt on another worker than asked: what it holds is held there."""
    there = state.workers[worker_id]
    release(state, live)
    state.as_planned = False
    live.attempt = replace(live.attempt, worker_id=worker_id)
    there.exclusive = there.exclusive or live.attempt.task in state.deaths
    there.ahead += live.seconds
    take(there, live)
