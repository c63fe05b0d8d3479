"""Workers of the plan that have not joined when the run begins: their work waits for them a little, then for anybody.

A worker that answers half a second after the others finds its queue as it was planned; one that never answers holds nobody.
"""

from __future__ import annotations

from partitioner.coordinator import blame
from partitioner.coordinator.state import State

LEAST_SECONDS = 1.0
"""So long their queues are kept in any case: an event loop that is blocked for a moment is no reason to change the plan."""

SHARE = 0.05
"""Of the plan's makespan: what a run loses at most by waiting for a worker that does not come."""


def joined(state: State, worker_id: str) -> None:
    """It has proven itself, so it gets what it is due."""
    if worker_id in state.awaited:
        state.awaited.discard(worker_id)
        state.as_planned = False
        state.note_worker("joined late", worker_id, f"{state.clock:.3g} s after the run began")


def patience(state: State) -> float:
    """Seconds from the start of the run until what waits for them is given to all."""
    return max(LEAST_SECONDS, SHARE * state.makespan if state.scale_known else 0.0)


def pass_time(state: State) -> None:
    """Give the queues of workers that are still not there to everybody."""
    if not state.awaited or state.clock < patience(state):
        return
    for name in sorted(state.awaited & state.workers.keys()):
        holder = state.workers[name]
        if holder.queue:
            state.note_worker("not there", name, f"no answer for {state.clock:.3g} s; what waited for it goes to all")
            blame.give_away(state, holder)


def wait(state: State) -> list[float]:
    """Seconds on the machine's clock until that is due, where it is."""
    held = any(state.workers[name].queue for name in state.awaited & state.workers.keys())
    return [patience(state) - state.clock] if held else []
