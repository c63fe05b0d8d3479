"""What time alone brings about: timeouts, back-ups of stragglers, attempts that give no sign of life.

The machine goes by a clock of its own that is moved on by so much at most per step, so that a jump of the driver's clock,
forwards or backwards, ends no wait.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from math import exp, inf, isfinite

from partitioner.coordinator import awaiting, blame, forecast, stealing
from partitioner.coordinator.state import Action, Cancel, Live, State, WorkerState
from partitioner.model import Failure

TIMEOUT, BACK_UP, SILENT, GONE, BEHIND = "timeout", "back-up", "silent", "gone", "behind"

DEVIATIONS = 2.0
"""The upper end of a prediction lies this many standard deviations of the log ratios above it."""


LATE = 1.05
"""Times what was expected of it when an attempt is first asked whether it is late: how well the others keep to their
predictions is known better then than at its start."""

SOON = 0.01
"""Seconds: less than that before it is late, it is late."""

TOLD_SECONDS = 1.0
"""An engine tells within this time that an attempt has ended: no worker has fallen behind its plan before."""

READING_SECONDS = 3600.0
"""What an attempt may take that only reads its rows, to count them or to set them aside."""

SLACK = 1e-6
"""Seconds: a clock adds and subtracts, so that an alarm may ring a rounding error before its time."""


def pass_time(state: State, now: float) -> float:
    """Move the machine's clock on; the seconds that it believes have passed."""
    most = min(state.policy.trusted_seconds, 0.97 * state.policy.no_worker_seconds)
    passed = 0.0 if state.last_now is None else min(max(0.0, now - state.last_now), most)
    state.last_now = now
    state.clock += passed
    return passed


def upper_seconds(state: State, holder: WorkerState | None, task: int) -> float:
    """The upper end of what is predicted for a sub-task on a worker; infinite where nothing is known."""
    if not state.scale_known or holder is None:
        return inf
    seconds = forecast.seconds(state, holder, task)
    return seconds * exp(DEVIATIONS * forecast.spread(state)) if seconds > 0 else inf


def limit_seconds(state: State, holder: WorkerState, task: int) -> float:
    """What an attempt may take on a worker."""
    policy = state.policy
    if not isfinite(policy.timeout_factor):
        return policy.timeout_seconds
    by_prediction = upper_seconds(state, holder, task) * policy.timeout_factor
    return min(policy.timeout_seconds, max(by_prediction, policy.timeout_least))


def submitted(state: State, live: Live) -> None:
    """Look at it again if nobody says for long that it started."""
    _push(state, state.policy.silent_seconds, SILENT, live)


def started(state: State, live: Live) -> None:
    """From now on its time counts."""
    if isfinite(live.attempt.timeout_seconds):
        _push(state, live.attempt.timeout_seconds, TIMEOUT, live)
    if isfinite(_back_up_after(state, live)):
        _push(state, max(LATE * live.expected, state.policy.backup_seconds), BACK_UP, live)
    if state.as_planned and state.scale_known:
        behind = max(forecast.suspect_after(state, live), live.expected + TOLD_SECONDS)
        _push(state, behind + 2 * SLACK, BEHIND, live)


def _back_up_after(state: State, live: Live) -> float:
    """Seconds after its start from which on another attempt is wanted, by what the run has shown so far.

    What the workers take together counts: that its own has become slow makes it no less late.
    """
    if not state.scale_known or live.expected <= 0:
        return inf
    upper = live.expected * forecast.common(state) * exp(DEVIATIONS * forecast.spread(state))
    return state.policy.backup_factor * upper


def _push(state: State, seconds: float, what: str, live: Live) -> None:
    heapq.heappush(state.due, (state.clock + seconds, what, live.attempt.attempt_id))


def due(state: State, actions: list[Action]) -> Iterator[tuple[Live, Failure]]:
    """Attempts that are given up now, with the reason; those to be stopped first are asked to by an action."""
    while state.due and state.due[0][0] <= state.clock + SLACK:
        _, what, attempt_id = heapq.heappop(state.due)
        live = state.attempts.get(attempt_id)
        if live is None:
            continue
        if what == TIMEOUT:
            seconds = live.attempt.timeout_seconds
            live.why = Failure(f"it took longer than {seconds:g} s", "TimedOut", timeout=True)
            state.note("timed out", live, live.why.message)
            actions.append(Cancel(attempt_id, kill=True))
            _push(state, state.policy.grace_seconds, GONE, live)
        elif what == GONE and live.why is not None:
            yield live, live.why
        elif what == SILENT and live.started is None:
            if _worker_is_busy(state, live):
                _push(state, state.policy.silent_seconds, SILENT, live)
                continue
            state.note("silent", live, f"no sign of life for {state.policy.silent_seconds:g} s")
            if (holder := state.workers.get(live.attempt.worker_id)) is not None and len(state.workers) > 1:
                blame.leave_out(state, holder, "it begins nothing that it is given")
            actions.append(Cancel(attempt_id))
            yield live, Failure("it gave no sign of life", "Silent", charged=False)
        elif what == BEHIND and state.as_planned:
            state.as_planned = False
            state.wake()
            stealing.take_back(state, live.attempt.worker_id)
        elif what == BACK_UP:
            ran = 0.0 if live.started is None or state.last_now is None else state.last_now - live.started
            if (wait := _back_up_after(state, live) - ran) > SOON:
                _push(state, wait, BACK_UP, live)
            else:
                state.late[live.attempt.task] = attempt_id


def _worker_is_busy(state: State, live: Live) -> bool:
    holder = state.workers.get(live.attempt.worker_id)
    return holder is not None and any(other.started is not None for other in holder.live.values())


def no_worker_seconds(state: State) -> float:
    """How long the run waits for a worker that can hold what is left: longer while one is being started."""
    return state.policy.no_worker_seconds * (state.policy.coming_factor if state.coming else 1.0)


def set_alarm(state: State, now: float) -> None:
    """Ask the driver for a step when the next wait is over."""
    waits = [state.due[0][0] - state.clock] if state.due else []
    waits += [*state.excluded.values(), *awaiting.wait(state)]
    if state.stuck_since is not None:
        waits.append(state.stuck_since + no_worker_seconds(state) - state.clock)
        if state.gone_at >= 0 and (left := state.gone_at + blame.BACK_SECONDS - state.clock) > 0:
            waits.append(left)
    if waits and (not state.alarms or state.alarms[0][0] > now + min(waits)):
        state.alarm(now + max(SLACK, min(waits)))
