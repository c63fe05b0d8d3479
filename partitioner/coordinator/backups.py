"""Back-ups: one more attempt at a straggler where a worker is idle; the first commit wins and the other is cancelled."""

from __future__ import annotations

from math import inf, isfinite

from partitioner.coordinator import dispatch, forecast
from partitioner.coordinator.capacity import can_hold
from partitioner.coordinator.state import Action, Live, State, WorkerState
from partitioner.coordinator.transitions import LIVE

LOOK_SECONDS, LOOK_SHARE = 0.5, 0.01
"""Between two looks at what runs while workers are idle: seconds, and a share of what the run took so far."""

SOONER = 1.2
"""A worker that is known to be slow needs so many times as long for the rest as another for the whole."""

LEAST_SECONDS = 1.0
"""Less is not worth a second attempt."""


def back_up(state: State, now: float) -> list[Action]:
    """One more attempt at each straggler, on an idle worker; the first commit wins."""
    _note_outpaced(state, now)
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


def _note_outpaced(state: State, now: float) -> None:
    """Where nothing waits and workers are idle: what one of them would have done sooner than its own worker has the rest."""
    waits = state.pool or any(h.queue for h in state.workers.values())
    if now < state.look_at_pace or state.as_planned or waits or not isfinite(state.policy.backup_factor):
        return
    idle = [h for h in state.workers.values() if h.used_cpus < h.worker.cpus]
    if not idle or not state.scale_known or not state.attempts:
        return
    state.look_at_pace = now + max(LOOK_SECONDS, LOOK_SHARE * state.second(now))
    state.alarm(state.look_at_pace)
    for attempt_id, live in state.attempts.items():
        here, task = state.workers.get(live.attempt.worker_id), live.attempt.task
        if here is None or live.started is None or task in state.copies or task in state.late:
            continue
        if _may_hand_over(state, live, now):
            continue
        forecast.look(state, here, now)
        rest = forecast.left(state, here, live, now)
        whole = min((forecast.seconds(state, h, task) for h in idle if h is not here), default=inf)
        if rest > SOONER * whole + LEAST_SECONDS:
            state.late[task] = attempt_id


def _may_hand_over(state: State, live: Live, now: float) -> bool:
    """Whether its rest may still go to others, which is better than its whole; one that was asked may never look."""
    policy = state.policy
    able = policy.divisible and isfinite(policy.hand_over_seconds) and state.rows_of(live.attempt.task) > 1
    return able and not (live.asked and now >= live.asked_at + policy.hand_over_seconds)


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
