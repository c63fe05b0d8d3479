"""What a slot will probably run next, told with the present attempt, so that its first batch is read meanwhile.

It is what stands in the worker's queue behind the sub-tasks that its other slots take before. Where another comes instead,
what was read is thrown away: nothing rests on it.
"""

from __future__ import annotations

from partitioner.coordinator.capacity import EPSILON
from partitioner.coordinator.state import State, WorkerState
from partitioner.coordinator.transitions import READY
from partitioner.model import NO_CARE, Care, Upcoming


def upcoming(state: State, holder: WorkerState, i: int, care: Care) -> Upcoming | None:
    """The sub-task to read ahead for while ``i`` runs on the worker; None where nothing is known, or memory forbids it."""
    policy = state.policy
    slots = max(1, int(holder.worker.cpus / state.demands.kinds[state.demands.kind[i]].cpus + EPSILON))
    if not policy.read_ahead or care != NO_CARE or holder.exclusive or (slots > 1 and not policy.one_process):
        return None
    if len(holder.queue) < slots:
        return None
    task = holder.queue[slots - 1]
    if state.status[task] != READY or task in state.deaths or not _fits(state, holder, task, slots):
        return None
    return Upcoming(task, slots)


def _fits(state: State, holder: WorkerState, task: int, slots: int) -> bool:
    """Whether the worker's memory suffices if every slot runs the largest sub-task and holds another one's rows besides."""
    rows = max(0.0, state.demands.memory[task] - state.process_bytes)
    return slots * (state.largest_memory + rows) <= holder.worker.memory_bytes * (1 + EPSILON)
