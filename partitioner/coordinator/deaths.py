"""What becomes of a sub-task after a death: more memory, the largest worker, then its rows are divided (``splitting``).

Every function changes the state and returns why the run has to stop, or None.
"""

from __future__ import annotations

from math import isfinite

from partitioner.coordinator import blame, splitting
from partitioner.coordinator.state import Live, State
from partitioner.coordinator.troubles import Search
from partitioner.errors import EngineLost, RunFailed
from partitioner.model import Failure

DEATHS_TOGETHER = 3
"""Deaths of a whole sub-task before its rows are divided: as planned, alone with more memory, on the largest worker."""

HOPELESS = splitting.IN_TURN + 2
"""Rows that kill, without one that does not, after which it is held to be the program: some in turn, two far from them."""


def died(state: State, live: Live, why: Failure) -> RunFailed | None:
    """The process that ran it died, memory ran out, or it took too long."""
    task = live.attempt.task
    trouble = state.trouble(task)
    if why.timeout and (trouble.condemned or trouble.counting):  # it does not call the program: not the rows' fault
        return lost(state, live)
    trouble.died_on[live.attempt.worker_id] = trouble.died_on.get(live.attempt.worker_id, 0) + 1
    deaths = state.deaths[task] = state.deaths.get(task, 0) + 1
    what = why.type or "its process died"
    rows = state.rows_of(task)
    if trouble.condemned and not trouble.doubted:
        # This attempt did not call the program: the deaths before may have been chance too.
        trouble.doubted, trouble.condemned = True, ""
        state.note("doubted", live, f"{what} while its row was set aside; the row is tried once more")
        return None
    if trouble.condemned and deaths < DEATHS_TOGETHER:
        return None
    if trouble.condemned:
        return RunFailed(f"{state.row_name(task)} cannot even be read: {what} while it was set aside. Remove it.")
    # One row that was planned alone dies once more: no larger range that died speaks against it, workers die by chance too.
    searched = task in state.parts and task not in state.rests
    enough = searched or deaths >= DEATHS_TOGETHER + (rows == 1)
    if not enough or not state.policy.divisible or rows == 0:
        return _more_memory(state, live, why, what)
    if rows == 1:
        return _one_row_died(state, live, what)
    if task in state.parts:
        state.note("split", live, f"{what}; its {rows} rows are divided")
        splitting.died(state, task)
        return None
    if rows < 0:
        trouble.counting = True
        state.note("counted", live, f"{what}; its rows are counted, to divide them")
        return None
    state.note("split", live, f"{what} {deaths} times; its {rows} rows are divided")
    splitting.begin(state, task, rows)
    return None


def _more_memory(state: State, live: Live, why: Failure, what: str) -> RunFailed | None:
    task = live.attempt.task
    deaths, memory = state.deaths[task], state.demands.memory[task]
    if deaths > state.policy.max_deaths:
        return RunFailed(_died_too_often(state, live, why, memory))
    if why.timeout:
        state.note("retried", live, f"{what}; again, alone")
        return None
    largest = _largest_worker(state, task)
    wanted = max(memory, why.peak_memory_bytes) * state.policy.memory_growth
    state.demands.memory[task] = min(wanted, largest) if deaths < 2 or not isfinite(largest) else largest
    state.note("retried", live, f"{what}; again, alone, with {state.demands.memory[task]:.3g} bytes of memory")
    return None


def _died_too_often(state: State, live: Live, why: Failure, memory: float) -> str:
    task, limit = live.attempt.task_key, state.policy.max_deaths
    deaths = state.deaths[live.attempt.task]
    if why.timeout:
        return (
            f"sub-task {task} was ended {deaths} times (limit {limit}), the last time on {live.attempt.worker_id}, for "
            f"{why.message}. Raise timeout, lower target_task_seconds so that sub-tasks are shorter, or mend what hangs."
        )
    return (
        f"sub-task {task} was running {deaths} times when its worker died (limit {limit}); it probably needs more memory "
        f"than {memory:.3g} bytes or crashes the process. Lower allowed_mem so that sub-tasks are smaller, or give workers "
        "more memory."
    )


def _largest_worker(state: State, task: int) -> float:
    kind = state.demands.kinds[state.demands.kind[task]]
    able = [h.worker.memory_bytes for h in state.workers.values() if kind.runs_on(h.worker)]
    return max(able, default=float("inf"))


def _one_row_died(state: State, live: Live, what: str) -> RunFailed | None:
    """It is poison where it died on two workers, or on the only one there is."""
    task = live.attempt.task
    trouble = state.trouble(task)
    again = state.deaths[task] < 2 and len(state.seen) > 1  # the others may only be away for a moment
    if again or (len(trouble.died_on) < 2 and blame.others(state, task)):
        state.note("confirmed", live, f"{what} with this row alone; another worker is to confirm it")
        return None
    name = state.row_name(task)
    if not state.policy.quarantine:
        return RunFailed(
            f"{name} ends every process that works on it ({what}, last on {live.attempt.worker_id}). "
            "Mend the row or the program, or set such rows aside with on_error='quarantine'."
        )
    search = state.searches.get(state.parts[task].whole) if task in state.parts else None
    if search is not None and not search.good and search.condemned + 1 >= _hopeless(search):
        return RunFailed(
            f"{name} is one of {search.condemned + 1} rows of its sub-task that kill, each on its own, and none that was "
            "tried does not; it is the program, not the rows."
        )
    trouble.condemned = f"{what} on {' and '.join(trouble.died_on)} with this row alone"
    state.deaths[task] = 0
    state.note("condemned", live, f"{name}: {trouble.condemned}")
    return None


def _hopeless(search: Search) -> int:
    return min(HOPELESS, max(splitting.IN_TURN, search.rows))


def lost(state: State, live: Live) -> RunFailed | None:
    """It never started, or nobody is to blame: only how often that happens is counted."""
    trouble = state.trouble(live.attempt.task)
    trouble.losses += 1
    if trouble.losses > state.policy.max_losses:
        return EngineLost(
            f"sub-task {live.attempt.task_key} was handed to workers that went away {trouble.losses} times (limit "
            f"{state.policy.max_losses}); the cluster is not stable. Mend it and resume the run."
        )
    return None
