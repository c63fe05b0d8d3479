"""Workers that go away faster than anything ends there: nothing would ever come of such a run, so it stops, resumable.

A run that gets somewhere is never stopped here, however often workers go: something ends now and then, or runs for long.
"""

from __future__ import annotations

from partitioner.coordinator.state import State
from partitioner.errors import EngineLost

MOST_GONE = 30
"""Workers that go away in turn while no attempt ends; of a large plan ten times its workers."""

PER_WORKER = 10

LASTING = 0.25
"""An attempt that runs for such a share of the time since the last end may yet end: workers do not all go at once."""


def ended(state: State) -> None:
    """An attempt came to its end on a worker, well or not."""
    state.gone_in_turn, state.ended_at = 0, state.clock


def gone(state: State) -> EngineLost | None:
    """One more worker went away: why the run has to stop, where that goes on and on."""
    state.gone_in_turn += 1
    state.gone_at = state.clock
    waited = state.clock - state.ended_at
    most = max(MOST_GONE, PER_WORKER * state.planned_workers)
    if state.gone_in_turn <= most or waited < state.policy.no_worker_seconds or _lasts(state, LASTING * waited):
        return None
    return EngineLost(
        f"{state.gone_in_turn} workers went away one after the other in {waited:.0f} s while no sub-task ended (limit "
        f"{most}): they go sooner than they get anything done. Look at why they die, and resume the run."
    )


def _lasts(state: State, seconds: float) -> bool:
    """Whether an attempt has been running for so long."""
    if state.last_now is None:
        return False
    return any(
        live.started is not None and state.last_now - live.started >= seconds for live in state.attempts.values()
    )
