"""The coordinator's state machine: ``step(state, events, now) -> (state, actions)``.

It knows no engine, no clock and no disk: time comes in as ``now``, everything that happened as events, and everything to
do goes out as actions. The same state, events and times give the same actions. The state is changed in place, for a
million sub-tasks are not to be copied at every step; callers hand it over and take it back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from partitioner.coordinator import dispatch, forecast, rebalancing
from partitioner.coordinator.state import Action, Cancel, Live, State, Stop, WorkerState
from partitioner.coordinator.transitions import DONE, LIVE, Change
from partitioner.errors import EngineLost, InfeasiblePlan, RunFailed
from partitioner.model import Event, EventKind, Failure

UNKNOWN = Failure("no detail", "Unknown")


def step(state: State, events: Sequence[Event], now: float) -> tuple[State, list[Action]]:
    """Take in what happened and say what to do next. ``now`` is in seconds and never decreases."""
    actions: list[Action] = []
    state.began = now if state.began is None else state.began
    state.hear_alarms(now)
    for event in events:
        _HANDLERS[event.kind](state, event, now, actions)
    if state.finished or state.stopped:
        return state, actions
    dispatch.free(state, now)
    actions += dispatch.fill(state, now)
    _notice_stuck(state, now, actions)
    return state, actions


def _started(state: State, event: Event, now: float, actions: list[Action]) -> None:
    live = state.attempts.get(event.attempt_id)
    if live is None or live.started is not None:
        return
    if event.worker_id in state.workers and event.worker_id != live.attempt.worker_id:
        dispatch.move(state, live, event.worker_id)
    live.started = event.at or now
    holder = state.workers.get(live.attempt.worker_id)
    if holder is not None:
        holder.ahead = max(0.0, holder.ahead - live.seconds)
        state.hungry[live.attempt.worker_id] = None


def _finished(state: State, event: Event, now: float, actions: list[Action]) -> None:
    live = _end(state, event.attempt_id)
    task = live.attempt.task if live else None
    if task is None or state.status[task] == DONE:
        return
    state.change(task, Change.FINISHED)
    state.remaining -= 1
    state.readiness.committed(task, state.second(now), event.worker_id, state.home)
    if event.record is None:
        state.as_planned = False
    else:
        state.predicted_done += state.seconds[task]
        state.actual_done += event.record.seconds
        state.scale_known = True
        holder = state.workers.get(event.worker_id)
        if holder is not None:
            forecast.observe(state, holder, task, event.record.seconds)
            rebalancing.consider(state, now)


def _failed(state: State, event: Event, now: float, actions: list[Action]) -> None:
    live = _end(state, event.attempt_id)
    if live is None or state.status[live.attempt.task] == DONE:
        return
    task = live.attempt.task
    why = event.error or UNKNOWN
    if why.memory:
        _grow_memory(state, task)
    state.failures[task] = state.failures.get(task, 0) + 1
    if why.fatal or state.failures[task] > state.policy.max_retries:
        _stop(state, actions, RunFailed(_failure_message(state, live, why)))
    else:
        _requeue(state, task)


def _failure_message(state: State, live: Live, failure: Failure) -> str:
    tries = state.failures[live.attempt.task]
    why = "no retry can mend it" if failure.fatal else f"tries allowed: {state.policy.max_retries + 1}"
    remedy = "" if failure.fatal else " To set failing rows aside instead, use on_error='quarantine'."
    return (
        f"sub-task {live.attempt.task_key} failed {tries} time{'s' * (tries > 1)} ({why}), "
        f"last on {live.attempt.worker_id}: "
        f"{failure.type}: {failure.message}.{remedy} "
        f"Its prints and traceback are in {state.run_url}/attempts/{live.attempt.attempt_id}.log"
    )


def _lost(state: State, event: Event, now: float, actions: list[Action]) -> None:
    """The process that ran the attempt died. Only what was running there is suspect; the rest simply waits again."""
    live = _end(state, event.attempt_id)
    if live is None or state.status[live.attempt.task] == DONE:
        return
    task = live.attempt.task
    if live.started is None:
        _requeue(state, task)
        return
    state.deaths[task] = state.deaths.get(task, 0) + 1
    if state.deaths[task] > state.policy.max_deaths:
        message = (
            f"sub-task {live.attempt.task_key} was running {state.deaths[task]} times when its worker died (limit "
            f"{state.policy.max_deaths}); it probably needs more memory than {state.demands.memory[task]:.3g} bytes "
            "or crashes the process. Lower allowed_mem so that sub-tasks are smaller, or give workers more memory."
        )
        _stop(state, actions, RunFailed(message))
        return
    _grow_memory(state, task)
    _requeue(state, task)


def _cancelled(state: State, event: Event, now: float, actions: list[Action]) -> None:
    live = _end(state, event.attempt_id)
    if live is not None and state.status[live.attempt.task] == LIVE:
        _requeue(state, live.attempt.task)


def _worker_joined(state: State, event: Event, now: float, actions: list[Action]) -> None:
    worker = event.worker
    assert worker is not None, "an engine that says that a worker joined says which"
    if worker.worker_id not in state.workers:
        state.workers[worker.worker_id] = WorkerState(worker)
        state.as_planned = False
    state.hungry[worker.worker_id] = None
    state.wake()


def _worker_lost(state: State, event: Event, now: float, actions: list[Action]) -> None:
    holder = state.workers.get(event.worker_id)
    if holder is None:
        return
    for attempt_id in [] if state.policy.rerouted else list(holder.live):
        _lost(state, Event(EventKind.LOST, attempt_id, event.worker_id, at=event.at), now, actions)
    state.workers.pop(event.worker_id)
    state.hungry.pop(event.worker_id, None)
    state.idle.pop(event.worker_id, None)
    dispatch.orphan(state, holder)
    state.wake()


def _engine_lost(state: State, event: Event, now: float, actions: list[Action]) -> None:
    why = event.error or UNKNOWN
    _stop(state, actions, EngineLost(f"the engine went away: {why.message}. What is committed stays; resume the run."))


_HANDLERS: dict[EventKind, Callable[[State, Event, float, list[Action]], None]] = {
    EventKind.STARTED: _started,
    EventKind.FINISHED: _finished,
    EventKind.FAILED: _failed,
    EventKind.LOST: _lost,
    EventKind.CANCELLED: _cancelled,
    EventKind.WORKER_JOINED: _worker_joined,
    EventKind.WORKER_LOST: _worker_lost,
    EventKind.ENGINE_LOST: _engine_lost,
}


def _end(state: State, attempt_id: str) -> Live | None:
    """Take a live attempt off the books; None for one that ended before."""
    live = state.attempts.pop(attempt_id, None)
    if live is not None:
        dispatch.release(state, live)
    return live


def _requeue(state: State, task: int) -> None:
    state.change(task, Change.RETURNED)
    state.as_planned = False
    state.pool.append(task)
    state.wake()


def _grow_memory(state: State, task: int) -> None:
    """Ask for more memory, at most what the largest worker has, so that the sub-task stays placeable."""
    largest = max((w.worker.memory_bytes for w in state.workers.values()), default=float("inf"))
    state.demands.memory[task] = min(state.demands.memory[task] * state.policy.memory_growth, largest)


def _stop(state: State, actions: list[Action], error: RunFailed | InfeasiblePlan) -> None:
    if not state.stopped:
        state.stopped = True
        actions += [Cancel(attempt_id) for attempt_id in state.attempts]
        actions.append(Stop(error))


def _notice_stuck(state: State, now: float, actions: list[Action]) -> None:
    """Nothing runs and nothing can be submitted: wait a while for a worker that fits, then stop."""
    if state.attempts or state.readiness.due or any(h.held is not None for h in state.workers.values()):
        state.stuck_since = None
        return
    if state.stuck_since is None:
        state.stuck_since = now
        state.alarm(now + state.policy.no_worker_seconds)
    if now - state.stuck_since >= state.policy.no_worker_seconds:
        message = (
            f"{state.remaining} sub-tasks wait and none of the {len(state.workers)} workers left can hold them "
            f"for {state.policy.no_worker_seconds:g} s. Start workers and resume the run."
        )
        _stop(state, actions, EngineLost(message))
