"""The coordinator's state machine: ``step(state, events, now) -> (state, actions)``.

It knows no engine, no clock and no disk: time comes in as ``now``, everything that happened as events, and everything to
do goes out as actions. The same state, events and times give the same actions. The state is changed in place, for a
million sub-tasks are not to be copied at every step; callers hand it over and take it back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from partitioner.coordinator import (
    alike,
    awaiting,
    backups,
    blame,
    deaths,
    dispatch,
    forecast,
    handover,
    ladder,
    rebalancing,
    splitting,
    stability,
    timers,
)
from partitioner.coordinator.state import Action, Cancel, Live, State, Stop, WorkerState
from partitioner.coordinator.transitions import LIVE, Change
from partitioner.coordinator.troubles import Health
from partitioner.errors import EngineLost, PartitionerError, RunFailed, in_one_line
from partitioner.model import CommitRecord, Event, EventKind, Failure

UNKNOWN = Failure("no detail", "Unknown")


def step(state: State, events: Sequence[Event], now: float) -> tuple[State, list[Action]]:
    """Take in what happened and say what to do next. ``now`` is in seconds; a jump of the clock ends no wait."""
    actions: list[Action] = []
    state.began = now if state.began is None else state.began
    state.hear_alarms(now)
    blame.pass_time(state, timers.pass_time(state, now))
    for event in events:
        _HANDLERS[event.kind](state, event, now, actions)
    if not (state.finished or state.stopped):
        for live, why in timers.due(state, actions):
            _went_wrong(state, live, why, actions)
        if not state.stopped:
            awaiting.pass_time(state)
            if state.stuck_since is not None:
                state.wake()  # what was kept from a worker while others may come back
            dispatch.free(state, now)
            actions += dispatch.fill(state, now)
            actions += backups.back_up(state, now)
            actions += handover.ask(state, now)
            _notice_stuck(state, actions)
        timers.set_alarm(state, now)
    rungs, state.rungs = state.rungs, []
    return state, [*rungs, *actions]


def _started(state: State, event: Event, now: float, actions: list[Action]) -> None:
    live = state.attempts.get(event.attempt_id)
    if live is None or live.started is not None:
        return
    if event.worker_id in state.workers and event.worker_id != live.attempt.worker_id:
        dispatch.move(state, live, event.worker_id)
    live.started = event.at or now
    timers.started(state, live)
    holder = state.workers.get(live.attempt.worker_id)
    if holder is not None:
        holder.ahead = max(0.0, holder.ahead - live.seconds)
        state.hungry[live.attempt.worker_id] = None


def _finished(state: State, event: Event, now: float, actions: list[Action]) -> None:
    live = _end(state, event.attempt_id, event.worker_id)
    if live is None:
        return
    state.handed_back = 0
    stability.ended(state)
    task, record = live.attempt.task, event.record
    if state.status[task] != LIVE:
        return
    _stop_copies(state, task, actions)
    if record is not None and record.split:
        _counted(state, live, record, now)
        return
    part = state.parts.get(task)
    if part is None and record is not None and record.part is not None:
        if handover.handed_over(state, live, record):
            _done(state, task, live, now)
        return
    if part is not None and record is not None and record.task_key == state.key_of(part.whole):
        splitting.drop(state, part.whole)  # a late attempt had committed the whole before it was split
        _done(state, part.whole, live, now)
        return
    if part is not None and record is not None and record.part is not None and record.task_key != part.key:
        if splitting.overtaken(state, task, record.part):
            _done(state, part.whole, live, now)
        return
    state.change(task, Change.FINISHED)
    state.remaining -= 1
    _done(state, task, live, now)
    _learn(state, live, event, now)
    quarantined = 0 if record is None else record.quarantined
    _may_stop(state, actions, blame.succeeded(state, live, quarantined) or _too_many(state, quarantined))
    if part is not None and splitting.finished(state, task, bool(live.attempt.care.condemned)):
        _done(state, part.whole, live, now)


def _done(state: State, task: int, live: Live, now: float) -> None:
    """A planned sub-task or a part is committed: what waits for it may be free now."""
    state.readiness.committed(task, state.second(now), live.attempt.worker_id, state.home)


def _learn(state: State, live: Live, event: Event, now: float) -> None:
    """What a completion says about durations; that of a part says nothing of the plan."""
    task, record = live.attempt.task, event.record
    if record is None:
        state.as_planned = False
    if record is None or task in state.parts:
        return
    holder = state.workers.get(event.worker_id)
    state.predicted_done += state.seconds[task] if holder is None else state.seconds_on(task, holder.worker)
    state.actual_done += record.seconds
    state.scale_known = True
    if holder is not None:
        forecast.observe(state, holder, task, record.seconds)
        alike.learn(state, holder, task, record.seconds, now)
        rebalancing.consider(state, now)


def _too_many(state: State, quarantined: int) -> RunFailed | None:
    state.quarantined += quarantined
    return too_many(state)


def too_many(state: State) -> RunFailed | None:
    """Why the run stops where more rows are set aside than may be, those of earlier sessions included."""
    if state.quarantined <= state.policy.max_quarantined:
        return None
    return RunFailed(
        f"{state.quarantined} rows are set aside, max_quarantined allows {state.policy.max_quarantined:g}. Look at them "
        f"with 'partitioner quarantine list {state.run_url}', mend the program or the rows, and resume or raise the limit."
    )


def _counted(state: State, live: Live, record: CommitRecord, now: float) -> None:
    """It is given up as a whole, and how many rows it has is known: its parts come next."""
    task = live.attempt.task
    if task in state.parts:  # a driver before this one had divided the part too
        splitting.died(state, task)
        return
    if record.cut:  # the rows before it are a part too, so something is left to do
        handover.handed_over(state, live, record)
        return
    state.trouble(task).counting = False
    rows = record.part[1] if record.part is not None else max(0, state.rows_of(task))
    if rows > 1:
        splitting.begin(state, task, rows)
    elif splitting.proceed(state, task, rows, [], ()):
        _done(state, task, live, now)


def _failed(state: State, event: Event, now: float, actions: list[Action]) -> None:
    live = _end(state, event.attempt_id, event.worker_id)
    if live is not None:
        stability.ended(state)
        blame.handed_back(state, event.error)
        _went_wrong(state, live, live.why or event.error or UNKNOWN, actions)


def _lost(state: State, event: Event, now: float, actions: list[Action]) -> None:
    """The process that ran the attempt died. Only what was running there is suspect; the rest simply waits again."""
    live = _end(state, event.attempt_id)
    if live is None:
        return
    if live.started is None:
        _nobody_is_charged(state, live, actions)
    else:
        _went_wrong(state, live, live.why or event.error or Failure(), actions, death=True)


def _cancelled(state: State, event: Event, now: float, actions: list[Action]) -> None:
    live = _end(state, event.attempt_id, event.worker_id)
    if live is None:
        return
    blame.handed_back(state, event.error)
    if live.why is not None:
        _went_wrong(state, live, live.why, actions)
    elif state.status[live.attempt.task] == LIVE:
        _nobody_is_charged(state, live, actions)


def _went_wrong(state: State, live: Live, why: Failure, actions: list[Action], death: bool = False) -> None:
    """Take the next rung of the ladder, unless another attempt at the sub-task goes on."""
    if state.attempts.get(live.attempt.attempt_id) is live:  # the engine never said that it ended
        _end(state, live.attempt.attempt_id)
    task = live.attempt.task
    if state.status[task] != LIVE or backups.copy_of(state, task) is not None:
        return
    if not why.charged:
        _nobody_is_charged(state, live, actions)
        return
    _may_stop(state, actions, deaths.died(state, live, why) if death else ladder.failed(state, live, why))
    if state.status[task] == LIVE and not state.stopped:
        _requeue(state, task)


def _nobody_is_charged(state: State, live: Live, actions: list[Action]) -> None:
    task = live.attempt.task
    if state.status[task] != LIVE or backups.copy_of(state, task) is not None:
        return
    _may_stop(state, actions, deaths.lost(state, live))
    if not state.stopped:
        _requeue(state, task)


def _stop_copies(state: State, task: int, actions: list[Action]) -> None:
    for attempt_id in state.copies.pop(task, ()):
        if attempt_id in state.attempts:
            state.attempts[attempt_id].unwanted = True
            actions.append(Cancel(attempt_id))


def _worker_joined(state: State, event: Event, now: float, actions: list[Action]) -> None:
    worker = event.worker
    assert worker is not None, "an engine that says that a worker joined says which"
    if worker.worker_id not in state.workers:
        health = state.health.setdefault(worker.worker_id, Health())
        state.workers[worker.worker_id] = WorkerState(worker, health=health)
        state.seen.add(worker.worker_id)
        state.as_planned = False
    awaiting.joined(state, worker.worker_id)
    state.hungry[worker.worker_id] = None
    state.wake()


def _worker_lost(state: State, event: Event, now: float, actions: list[Action]) -> None:
    holder = state.workers.get(event.worker_id)
    if holder is None:
        return
    for attempt_id in [] if state.policy.rerouted else list(holder.live):
        _lost(state, replace(event, attempt_id=attempt_id), now, actions)
    if event.worker_id in state.awaited and event.error is not None:
        state.note_worker("left out", event.worker_id, event.error.message)
    state.awaited.discard(event.worker_id)
    state.workers.pop(event.worker_id)
    dispatch.orphan(state, holder)
    _may_stop(state, actions, stability.gone(state))
    state.wake()


def _workers_coming(state: State, event: Event, now: float, actions: list[Action]) -> None:
    state.coming = event.coming


def _engine_lost(state: State, event: Event, now: float, actions: list[Action]) -> None:
    why = event.error or UNKNOWN
    said = in_one_line(why.message)
    _stop(state, actions, EngineLost(f"the engine went away: {said}. What is committed stays; resume the run."))


_HANDLERS: dict[EventKind, Callable[[State, Event, float, list[Action]], None]] = {
    EventKind.STARTED: _started,
    EventKind.FINISHED: _finished,
    EventKind.FAILED: _failed,
    EventKind.LOST: _lost,
    EventKind.CANCELLED: _cancelled,
    EventKind.WORKER_JOINED: _worker_joined,
    EventKind.WORKER_LOST: _worker_lost,
    EventKind.WORKERS_COMING: _workers_coming,
    EventKind.ENGINE_LOST: _engine_lost,
}


def _end(state: State, attempt_id: str, worker_id: str = "") -> Live | None:
    """Take a live attempt off the books; None for one that ended before.

    ``worker_id``: where it says that it ended, which may not be the worker that was asked for.
    """
    live = state.attempts.pop(attempt_id, None)
    if live is not None:
        dispatch.release(state, live)
        if worker_id in state.workers and worker_id != live.attempt.worker_id:
            state.as_planned = False
            live.attempt = replace(live.attempt, worker_id=worker_id)
    return live


def _requeue(state: State, task: int) -> None:
    state.copies.pop(task, None)
    state.change(task, Change.RETURNED)
    state.as_planned = False
    state.pool.append(task)
    state.wake()


def _may_stop(state: State, actions: list[Action], error: PartitionerError | None) -> None:
    if error is not None:
        _stop(state, actions, error)


def _stop(state: State, actions: list[Action], error: PartitionerError) -> None:
    if not state.stopped:
        state.stopped = True
        actions += [Cancel(attempt_id) for attempt_id in state.attempts]
        actions.append(Stop(error))


def _silent(state: State) -> str:
    names = sorted(state.awaited)
    return f" Not answered since the run began: {', '.join(names[:5])}." if names else ""


def _not_come(state: State) -> str:
    return f" {state.coming} that are being started did not come." if state.coming else ""


def _notice_stuck(state: State, actions: list[Action]) -> None:
    """Nothing runs and nothing can be submitted: wait a while for a worker that fits, then stop."""
    if state.attempts or state.readiness.due or any(h.held is not None for h in state.workers.values()):
        state.stuck_since = None
        return
    if state.stuck_since is None:
        state.stuck_since = state.clock
    limit = timers.no_worker_seconds(state)
    if state.clock - state.stuck_since >= limit - timers.SLACK:
        message = (
            f"{state.remaining} sub-tasks wait and none of the {len(state.workers)} workers left can hold them "
            f"for {limit:g} s.{_silent(state)}{_not_come(state)} Start workers and resume the run."
        )
        _stop(state, actions, EngineLost(message))
