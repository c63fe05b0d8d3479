"""Bundles: engines with a scheduler of their own are handed many sub-tasks at once, not one whenever a slot is free.

Each worker's share of a bundle waits inside the engine, which re-places it by itself when a worker falls behind. All workers
are refilled together once half of what was sent ahead has begun, so that the number of hand-overs stays small.
"""

from __future__ import annotations

from partitioner.coordinator.state import State, WorkerState

WAITING_PER_CPU = 2.0  # at least, however small a worker's share of the bundle is


def refresh(state: State) -> None:
    """Decide whether this fill tops up: then every worker is looked at."""
    if state.policy.bundle <= 1:
        return
    waiting = sum(live.started is None for live in state.attempts.values())
    cpus = sum(holder.worker.cpus for holder in state.workers.values())
    state.ahead_per_cpu = max(WAITING_PER_CPU, state.policy.bundle / max(cpus, 1.0))
    state.topping_up = waiting <= state.ahead_per_cpu * cpus / 2
    if state.topping_up:
        state.hungry |= dict.fromkeys(state.workers)


def has_room(state: State, holder: WorkerState) -> bool:
    """Whether one more sub-task may wait for this worker in the engine.

    None may while a worker is left out: what waits for another is what the engine would bring to it.
    """
    if state.excluded or any(other.health.suspended for other in state.workers.values()):
        return False
    return state.topping_up and len(holder.live) < (1 + state.ahead_per_cpu) * holder.worker.cpus


def memory_is_safe(holder: WorkerState, memory: float) -> bool:
    """Whether the worker's memory suffices whichever of the waiting sub-tasks run together, one per core."""
    fair = holder.worker.memory_bytes / max(1.0, holder.worker.cpus)
    if memory <= fair and all(live.attempt.memory_bytes <= fair for live in holder.live.values()):
        return True
    return holder.used_memory + memory <= holder.worker.memory_bytes
