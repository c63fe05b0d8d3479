"""Handing over: where workers are idle and the rest of a running sub-task is long, its rows that are not begun go to them.

The attempt itself says where it stops, for nobody else knows which row it is at. It is asked by an action; between two
batches it looks, gives its sub-task up as a whole at the row it is at, commits the rows before that as a part, and ends. The
rows behind become parts for the idle workers. An attempt that never looks, since its program gets all rows at once, goes on.
"""

from __future__ import annotations

from math import inf, isfinite

from partitioner.coordinator import forecast, splitting
from partitioner.coordinator.capacity import can_hold
from partitioner.coordinator.state import Action, HandOver, Live, State, WorkerState
from partitioner.model import CommitRecord

LOOK_SECONDS = 0.5
"""Between two looks at what runs while workers are idle."""

SLOWER = 1.5
"""A worker that would take so many times as long for the rest as another gets none of it while the others can."""


def ask(state: State, now: float) -> list[Action]:
    """Ask attempts whose rest is worth it to hand it over."""
    policy = state.policy
    if not (policy.divisible and isfinite(policy.hand_over_seconds) and state.scale_known):
        return []
    if now < state.look_at_rests or state.pool or any(h.queue for h in state.workers.values()):
        return []
    idle = [h for h in state.workers.values() if _has_free_core(state, h)]
    candidates = [live for live in state.attempts.values() if _may_hand_over(state, live)] if idle else []
    if not candidates:
        return []
    state.look_at_rests = now + LOOK_SECONDS
    state.alarm(state.look_at_rests)
    asked = max(candidates, key=lambda live: _gain(state, live, idle, now))
    gain = _gain(state, asked, idle, now)
    if gain < policy.hand_over_seconds:
        return []
    asked.asked = True
    state.note("asked for its rest", asked, f"about {gain:.3g} s sooner done, for {len(idle)} workers are idle")
    return [HandOver(asked.attempt.attempt_id)]


def _has_free_core(state: State, holder: WorkerState) -> bool:
    name = holder.worker.worker_id
    busy = holder.exclusive or holder.reserved is not None or name in state.excluded or holder.health.suspended
    return not busy and name not in state.awaited and holder.used_cpus < holder.worker.cpus


def _may_hand_over(state: State, live: Live) -> bool:
    """A first and only attempt at a whole sub-task of some rows, about which nothing has gone wrong."""
    task = live.attempt.task
    plain = live.started is not None and not live.asked and live.why is None and not live.unwanted
    wrong = (
        task in state.copies or task in state.troubles or task in state.deaths
    )  # every part is in one of the last two
    return plain and not wrong and state.rows_of(task) > 1


def _gain(state: State, live: Live, idle: list[WorkerState], now: float) -> float:
    """Seconds by which the sub-task ends sooner where the idle workers take a fair share of the rest."""
    task, here = live.attempt.task, state.workers.get(live.attempt.worker_id)
    if here is None:
        return 0.0
    rest = forecast.left(state, here, live, now)
    took = 0.0 if live.started is None else now - live.started
    whole = max(forecast.seconds(state, here, task), took)
    if rest <= 0 or whole <= 0:
        return 0.0
    able = [h for h in idle if h is not here and can_hold(state, h, task)]
    times = [seconds for h in able if (seconds := forecast.seconds(state, h, task)) > 0]
    speeds = [1.0 / seconds for seconds in times if seconds <= SLOWER * min(times)]
    share = rest / whole
    return rest - share / (1.0 / whole + sum(speeds)) if speeds else 0.0


def handed_over(state: State, live: Live, record: CommitRecord) -> bool:
    """The attempt has given its sub-task up at a row: what is committed before it, and what is not, are parts.

    True where nothing is left to do.
    """
    task = live.attempt.task
    start, stop = record.part or (0, 0)
    rows = stop if record.split else state.rows_of(task)
    at = start if record.split else stop
    here = state.workers.get(live.attempt.worker_id)
    if here is not None and not record.split:
        forecast.observe(state, here, task, record.seconds * rows / at)
    state.trouble(task).slow_on = _slow(state, live, task)  # from here on such a worker cannot hold it
    free = [h for h in state.workers.values() if _has_free_core(state, h) and can_hold(state, h, task)]
    cores = sum(max(1.0, h.worker.cpus - h.used_cpus) for h in free)
    pieces = max(1, min(int(cores), rows - at))
    state.note("handed over", live, f"at row {at} of {rows}; the rest in {pieces} pieces")
    return splitting.hand_over(state, task, rows, at, pieces, committed=not record.split)


def _slow(state: State, live: Live, task: int) -> frozenset[str]:
    """The workers that would take much longer for it than the quickest, by what they took so far."""
    expected = {name: forecast.seconds(state, h, task) for name, h in state.workers.items() if can_hold(state, h, task)}
    here = live.attempt.worker_id
    if here in expected and live.started is not None and state.last_now is not None:
        expected[here] = max(expected[here], state.last_now - live.started)
    quickest = min(expected.values(), default=inf)
    return frozenset(name for name, seconds in expected.items() if seconds > SLOWER * quickest)
