"""Back-ups: one more attempt at a straggler where a worker is idle; the first commit wins and the other is cancelled."""

from __future__ import annotations

from math import inf

from partitioner.coordinator import dispatch, forecast
from partitioner.coordinator.capacity import can_hold
from partitioner.coordinator.state import Action, Live, State, WorkerState
from partitioner.coordinator.transitions import LIVE


def back_up(state: State, now: float) -> list[Action]:
    """One more attempt at each straggler, on an idle worker; the first commit wins."""
    actions: list[Action] = []
    for task, attempt_id in list(state.late.items()):
        live = state.attempts.get(attempt_id)
        if live is None or task in state.copies or state.status[task] != LIVE:
            del state.late[task]
            continue
        holder = _idle_worker(state, live, now)
        if holder is None:
            continue
        del state.late[task]
        state.note("backed up", live, f"it runs longer than expected; {holder.worker.worker_id} is idle")
        action = dispatch.submit(state, holder, task, copy=True)
        state.copies[task] = [attempt_id, action.attempt.attempt_id]
        actions.append(action)
    return actions


def _idle_worker(state: State, live: Live, now: float) -> WorkerState | None:
    """The fastest worker with nothing to do that could hold the sub-task."""
    if state.pool or any(h.queue for h in state.workers.values()):
        return None
    task, found, soonest = live.attempt.task, None, inf
    for name, holder in state.workers.items():
        busy = holder.exclusive or holder.reserved is not None
        if name == live.attempt.worker_id or name in state.awaited or busy:
            continue
        room = holder.used_cpus < holder.worker.cpus and can_hold(state, holder, task)
        seconds = forecast.seconds(state, holder, task)
        alone = task in state.deaths
        if room and seconds < soonest and (not holder.live if alone else dispatch.fits(state, holder, task, now)):
            found, soonest = holder, seconds
    return found


def copy_of(state: State, task: int) -> Live | None:
    """Another attempt at the sub-task that goes on."""
    return next((state.attempts[a] for a in state.copies.get(task, ()) if a in state.attempts), None)
