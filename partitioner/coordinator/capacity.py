"""What a worker can hold, and what it holds: cores, memory, custom resources, and each GPU by itself."""

from __future__ import annotations

from partitioner.coordinator import blame
from partitioner.coordinator.demands import Kind
from partitioner.coordinator.state import Live, State, WorkerState

EPSILON = 1e-9


def can_hold(state: State, holder: WorkerState, i: int) -> bool:
    """Whether the worker, empty, could run the sub-task, and the failure ladder lets it."""
    kind = state.demands.kind[i]
    if kind not in holder.able:
        holder.able[kind] = state.demands.kinds[kind].runs_on(holder.worker)
    able = holder.able[kind] and state.demands.memory[i] <= holder.worker.memory_bytes * (1 + EPSILON)
    return able and blame.allows(state, holder, i)


def has_room(state: State, holder: WorkerState, i: int, ahead: bool = False) -> bool:
    """Whether the sub-task fits beside what the worker holds; ``ahead``: cores need not be free, it will wait there."""
    worker, kind = holder.worker, state.demands.kinds[state.demands.kind[i]]
    return (
        (ahead or kind.cpus <= worker.cpus - holder.used_cpus + EPSILON)
        and holder.used_memory + state.demands.memory[i] <= worker.memory_bytes * (1 + EPSILON)
        and all(
            holder.used.get(k, 0.0) + v <= worker.resources.get(k, 0.0) * (1 + EPSILON) + EPSILON
            for k, v in kind.resources.items()
        )
        and (not kind.uses_gpu or devices_for(state, holder, i) is not None)
    )


def devices_for(state: State, holder: WorkerState, i: int) -> tuple[int, ...] | None:
    """The GPUs that the sub-task would get: those of the plan where they are free, else the fullest that suffice."""
    kind = state.demands.kinds[state.demands.kind[i]]
    if not kind.uses_gpu:
        return ()
    planned = state.devices.get(i, ()) if state.home[i] == holder.worker.worker_id else ()
    if planned and all(_device_has_room(holder, d, kind) for d in planned):
        return planned
    able = [d for d in range(int(holder.worker.gpus + EPSILON)) if _device_has_room(holder, d, kind)]
    able.sort(key=lambda d: (-holder.used_devices.get(d, (0.0, 0.0))[0], d))
    return tuple(able[: kind.devices]) if len(able) >= kind.devices else None


def _device_has_room(holder: WorkerState, d: int, kind: Kind) -> bool:
    share, memory = holder.used_devices.get(d, (0.0, 0.0))
    return (
        share + kind.device_share <= 1 + EPSILON
        and memory + kind.gpu_memory_bytes <= holder.worker.gpu_memory_bytes * (1 + EPSILON)
    )


def take(holder: WorkerState, live: Live) -> None:
    """``live`` is held by the worker from now on."""
    holder.live[live.attempt.attempt_id] = live
    _count(holder, live, 1)


def give_back(holder: WorkerState, live: Live) -> bool:
    """``live`` is not held any more; False where it was not."""
    if holder.live.pop(live.attempt.attempt_id, None) is None:
        return False
    _count(holder, live, -1)
    if not holder.live:  # what rounding left
        holder.used_cpus = holder.used_memory = 0.0
        holder.used.clear()
        holder.used_devices.clear()
    return True


def _count(holder: WorkerState, live: Live, sign: int) -> None:
    attempt = live.attempt
    holder.used_cpus += sign * attempt.cpus
    holder.used_memory += sign * attempt.memory_bytes
    for name, value in attempt.resources.items():
        holder.used[name] = holder.used.get(name, 0.0) + sign * value
    share = attempt.gpus if attempt.gpus < 1 else 1.0
    for d in attempt.devices:
        used, memory = holder.used_devices.get(d, (0.0, 0.0))
        holder.used_devices[d] = (used + sign * share, memory + sign * attempt.gpu_memory_bytes)
