"""Which waiting sub-task goes to which worker next: the plan's order, and late re-placement once a worker runs dry."""

from __future__ import annotations

import heapq
from math import isnan

from partitioner.coordinator.state import DONE, LIVE, WAITING, Action, Live, State, Submit, WorkerState
from partitioner.model import Attempt, SubTask, Worker


def fill(state: State) -> list[Action]:
    """Give every worker that has room its next sub-tasks."""
    actions: list[Action] = []
    hungry = [name for name in state.workers if name in state.hungry] if len(state.hungry) > 1 else list(state.hungry)
    for name in hungry:
        holder = state.workers.get(name)
        while holder is not None and (task := _next(state, holder)) is not None:
            actions.append(_submit(state, holder, task))
    state.hungry.clear()
    return actions


def _next(state: State, holder: WorkerState) -> int | None:
    """The task this worker should get now, or None: from the pool, its own queue, or the richest other queue."""
    if holder.exclusive or (holder.used_cpus >= holder.worker.cpus and not _may_send_ahead(state, holder)):
        return None
    return _from_pool(state, holder) if state.pool else _from_queue(state, holder)


def _may_send_ahead(state: State, holder: WorkerState, seconds: float = 0.0) -> bool:
    """Whether work of that many predicted seconds may wait on the worker although it cannot start there at once."""
    ready = state.scale_known and len(holder.live) < state.policy.ahead_tasks + holder.worker.cpus
    return ready and (holder.ahead + seconds) * state.scale / holder.worker.speed < state.policy.ahead_seconds


def _from_pool(state: State, holder: WorkerState) -> int | None:
    for _ in range(len(state.pool)):
        task = state.pool.popleft()
        if state.status[task] == DONE:
            continue
        alone = task in state.deaths
        if can_hold(holder.worker, state.task(task)) and (not holder.live if alone else fits(state, holder, task)):
            return task
        state.pool.append(task)
    return _from_queue(state, holder)


def _from_queue(state: State, holder: WorkerState) -> int | None:
    while holder.queue and state.status[holder.queue[0]] != WAITING:
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
    kept = []
    found = None
    while state.richest and found is None:
        stored, name = heapq.heappop(state.richest)
        victim = state.workers.get(name)
        if victim is None or not victim.queue:
            continue
        if -stored > victim.backlog + 1e-12:
            heapq.heappush(state.richest, (-victim.backlog, name))
            continue
        kept.append((stored, name))
        if victim is not thief:
            found = _take_from(state, victim, thief)
            if found is None and len(kept) > 8:
                break
    for item in kept:
        heapq.heappush(state.richest, item)
    return found


def _take_from(state: State, victim: WorkerState, thief: WorkerState) -> int | None:
    owner_done = (victim.backlog + victim.ahead) / victim.worker.speed / max(1.0, victim.worker.cpus)
    busy = bool(victim.live)
    best = None
    for task in victim.queue:
        seconds = state.seconds[task]
        sooner = seconds / thief.worker.speed < owner_done or (busy and thief.worker.speed >= victim.worker.speed)
        longest = best is None or seconds > state.seconds[best]
        able = state.status[task] == WAITING and sooner and longest and fits(state, thief, task)
        if able and can_hold(thief.worker, state.task(task)):
            best = task
    if best is not None:
        victim.queue.remove(best)
        victim.backlog -= state.seconds[best]
    return best


def can_hold(worker: Worker, task: SubTask) -> bool:
    """Whether the worker, empty, could run the sub-task."""
    by_class = task.seconds_by_class.get(worker.worker_class)
    return (
        task.cpus <= worker.cpus
        and task.memory_bytes <= worker.memory_bytes
        and task.gpus <= worker.gpus
        and (not task.gpus or task.gpu_memory_bytes <= worker.gpu_memory_bytes)
        and all(worker.resources.get(k, 0.0) >= v for k, v in task.resources.items())
        and task.requires <= worker.labels
        and (by_class is None or not isnan(by_class))
    )


def fits(state: State, holder: WorkerState, i: int) -> bool:
    """Whether the sub-task fits beside what the worker holds; cores may be over-subscribed by work sent ahead."""
    if not holder.live:
        return True
    tasks, worker = state.tasks, holder.worker
    room = holder.worker.cpus - holder.used_cpus
    ahead = room <= 0 and _may_send_ahead(state, holder, state.seconds[i])
    return (
        (ahead or tasks.cpus[i] <= room + 1e-9)
        and holder.used_memory + state.memory.get(i, tasks.memory_bytes[i]) <= worker.memory_bytes
        and holder.used_gpus + tasks.gpus[i] <= worker.gpus + 1e-9
        and all(
            holder.used.get(k, 0.0) + v[i] <= worker.resources.get(k, 0.0) + 1e-9 for k, v in tasks.resources.items()
        )
    )


def _submit(state: State, holder: WorkerState, i: int) -> Action:
    number = state.numbers.get(i, 0)
    state.numbers[i] = number + 1
    task = state.tasks
    attempt = Attempt(
        task_key=task.task_id[i].as_py(),
        task=i,
        number=number,
        worker_id=holder.worker.worker_id,
        run_url=state.run_url,
        seconds=state.seconds[i],
        memory_bytes=float(state.memory.get(i, task.memory_bytes[i])),
        cpus=float(task.cpus[i]),
        gpus=float(task.gpus[i]),
        gpu_memory_bytes=float(task.gpu_memory_bytes[i]),
        resources={k: float(v[i]) for k, v in task.resources.items()},
    )
    live = Live(attempt)
    state.status[i] = LIVE
    state.attempts[attempt.attempt_id] = live
    holder.live[attempt.attempt_id] = live
    holder.exclusive = i in state.deaths
    holder.ahead += attempt.seconds
    _count(holder, attempt, 1)
    return Submit(attempt)


def release(state: State, live: Live) -> None:
    """Give back what an ended attempt held."""
    holder = state.workers.get(live.attempt.worker_id)
    if holder is None or holder.live.pop(live.attempt.attempt_id, None) is None:
        return
    if live.started is None:
        holder.ahead = max(0.0, holder.ahead - live.attempt.seconds)
    holder.exclusive = False
    _count(holder, live.attempt, -1)
    state.hungry.add(live.attempt.worker_id)


def _count(holder: WorkerState, attempt: Attempt, sign: int) -> None:
    holder.used_cpus += sign * attempt.cpus
    holder.used_memory += sign * attempt.memory_bytes
    holder.used_gpus += sign * attempt.gpus
    for name, value in attempt.resources.items():
        holder.used[name] = holder.used.get(name, 0.0) + sign * value
