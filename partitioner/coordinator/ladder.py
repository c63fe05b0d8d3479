"""The failure ladder: what becomes of a sub-task after each thing that can go wrong, and where that is told.

=====================  ==============================================================================================
an error               again on another worker; then, under quarantine, there with its rows isolated: a row that fails
                       alone on two workers (or on the only one) is set aside
a death, no memory     (``deaths``) again, alone, with twice the memory it was promised or measured to use; then alone on the
                       largest worker; then divided by rows (``splitting``) down to the row, which is set aside or named
no memory on a GPU     again with smaller batches; then divided by rows
too slow (timeout)     as a death, without more memory
a bad worker           (``blame``) one that fails what goes well elsewhere is left out for a time and then given another
                       chance
lost, never started    (``deaths``) again, up to a limit; nobody is charged
=====================  ==============================================================================================

Every function changes the state and returns why the run has to stop, or None.
"""

from __future__ import annotations

from partitioner.coordinator import blame, deaths
from partitioner.coordinator.state import Live, State, WorkerState
from partitioner.coordinator.troubles import Trouble
from partitioner.errors import RunFailed, to_go_on
from partitioner.model import Attempt, Care, Failure

SMALLEST_BATCH = 16
"""A batch that a GPU cannot hold is divided into as many pieces at most before the sub-task itself is."""


def failed(state: State, live: Live, why: Failure) -> RunFailed | None:
    """The program raised."""
    task, worker = live.attempt.task, live.attempt.worker_id
    trouble = state.trouble(task)
    if why.gpu and trouble.smaller < SMALLEST_BATCH and state.policy.divisible:
        trouble.smaller *= 2
        state.note(
            "retried", live, f"{why.type}; again, each batch in {trouble.smaller} pieces for the memory of the GPU"
        )
        return None
    if why.gpu:  # the smallest batches did not help, and no other worker would
        state.deaths[task] = max(state.deaths.get(task, 0), deaths.DEATHS_TOGETHER - 1)
    if why.memory or why.timeout:
        return deaths.died(state, live, why)
    trouble.failed_on[worker] = trouble.failed_on.get(worker, 0) + 1
    blame.suspect(state, live)
    if why.suspects:
        trouble.suspects[worker] = why.suspects
        trouble.rounds += 1
        if trouble.rounds > state.policy.max_retries + 2:
            return RunFailed(_failure_message(state, live, why, trouble.rounds))
        state.note("isolated", live, f"{why.message}; another worker is to confirm it")
        return None
    return _counted(state, live, why, "again on another worker" if len(state.workers) > 1 else "again")


def _counted(state: State, live: Live, why: Failure, rung: str) -> RunFailed | None:
    task = live.attempt.task
    state.failures[task] = state.failures.get(task, 0) + 1
    allowed = state.policy.max_retries + state.policy.quarantine
    if why.fatal or state.failures[task] > allowed:
        stopped = RunFailed(_failure_message(state, live, why, state.failures[task]))
        stopped.raised, stopped.said = why.raised, why.message if why.raised else ""
        return stopped
    state.note("retried", live, f"{why.type}: {why.message[:200]}; {rung}")
    return None


def _failure_message(state: State, live: Live, failure: Failure, tries: int) -> str:
    why = "no retry can mend it" if failure.fatal else f"tries allowed: {tries}"
    rounds = bool(state.policy.go_on)  # which set no row aside
    go_on = state.policy.go_on or f"{to_go_on(state.run_url)} (with --force if that changed the program)"
    remedy = " To set failing rows aside instead, use on_error='quarantine'."
    end = "" if failure.message.endswith((".", "?")) else "."
    return (
        f"sub-task {live.attempt.task_key} failed {tries} time{'s' * (tries > 1)} ({why}), "
        f"last on {live.attempt.worker_id}: "
        f"{failure.type}: {failure.message}{end}"
        f"{'' if failure.fatal or state.policy.quarantine or rounds else remedy} "
        f"{failure.place}What is committed stays: mend the cause, then {go_on} goes on. "
        f"Its prints and traceback are in {state.run_url}/{Attempt.log_of(live.attempt.attempt_id)}"
    )


def care(state: State, holder: WorkerState, task: int) -> Care:
    """What the next attempt at the sub-task is told, on this worker."""
    part, trouble = state.parts.get(task), state.troubles.get(task) or Trouble()
    isolate = state.policy.quarantine and bool(trouble.failed_on)
    name = holder.worker.worker_id
    confirmed = tuple(span for other, spans in trouble.suspects.items() if other != name for span in spans)
    out = state.excluded.keys() | state.awaited
    others = any(other != name and other not in out for other in state.workers)
    trusted = holder.health.successes > 0 or len(state.seen) < 2
    return Care(
        whole=-1 if part is None else part.whole,
        rows=None if part is None else (part.start, part.stop),
        split_from=() if part is None else part.split_from,
        count=trouble.counting,
        isolate=isolate,
        suspects=None if trusted and not others else confirmed,
        condemned=trouble.condemned,
        smaller=trouble.smaller,
    )
