"""The failure ladder: what becomes of a sub-task after each thing that can go wrong, and of the worker it went wrong on.

=====================  ==============================================================================================
an error               again on another worker; then, under quarantine, there with its rows isolated: a row that fails
                       alone on two workers (or on the only one) is set aside
a death, no memory     again, alone, with twice the memory it was promised or measured to use; then alone on the largest
                       worker; then divided by rows (``splitting``) down to the row, which is set aside or named
no memory on a GPU     again with smaller batches; then divided by rows
too slow (timeout)     as a death, without more memory
a bad worker           one that fails what goes well elsewhere is left out for a time and then given another chance
lost, never started    again, up to a limit; nobody is charged
=====================  ==============================================================================================

Every function changes the state and returns why the run has to stop, or None.
"""

from __future__ import annotations

from math import isfinite

from partitioner.coordinator import splitting
from partitioner.coordinator.state import Live, State, WorkerState
from partitioner.coordinator.transitions import READY
from partitioner.coordinator.troubles import Search, Trouble
from partitioner.errors import EngineLost, RunFailed, to_go_on
from partitioner.model import Attempt, Care, Failure

DEATHS_TOGETHER = 3
"""Deaths of a whole sub-task before its rows are divided: as planned, alone with more memory, on the largest worker."""

SMALLEST_BATCH = 16
"""A batch that a GPU cannot hold is divided into as many pieces at most before the sub-task itself is."""

HOPELESS = splitting.IN_TURN + 2
"""Rows that kill, without one that does not, after which it is held to be the program: some in turn, two far from them."""

MOST_HANDED_BACK = 6
"""Attempts in turn that may be handed back while nothing else ends."""

LONGEST_HELD = 40.0
"""Seconds: more than an attempt that is handed back keeps its place for before it goes (on Spark 16 s, and the way)."""

TOLERATED = 0.2
"""A worker that is to blame for fewer failures than this share of its successes stays: some errors come and go."""


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
        state.deaths[task] = max(state.deaths.get(task, 0), DEATHS_TOGETHER - 1)
    if why.memory or why.timeout:
        return died(state, live, why)
    trouble.failed_on[worker] = trouble.failed_on.get(worker, 0) + 1
    _suspect_worker(state, live)
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
    remedy = " To set failing rows aside instead, use on_error='quarantine'."
    return (
        f"sub-task {live.attempt.task_key} failed {tries} time{'s' * (tries > 1)} ({why}), "
        f"last on {live.attempt.worker_id}: "
        f"{failure.type}: {failure.message.removesuffix('.')}."
        f"{'' if failure.fatal or state.policy.quarantine else remedy} "
        f"{failure.place}What is committed stays: mend the cause, then {to_go_on(state.run_url)} goes on. "
        f"Its prints and traceback are in {state.run_url}/{Attempt.log_of(live.attempt.attempt_id)}"
    )


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
        trouble.doubted, trouble.condemned, state.deaths[task] = True, "", 1
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
    if again or (len(trouble.died_on) < 2 and _others(state, task)):
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


def succeeded(state: State, live: Live, quarantined: int) -> RunFailed | None:
    """What went well here and failed elsewhere says who was to blame."""
    holder = state.workers.get(live.attempt.worker_id)
    if holder is not None:
        holder.health.failing.clear()
        holder.health.successes += 1
        _resume_worker(state, holder)
    trouble = state.troubles.get(live.attempt.task)
    if trouble is None:
        return None
    for name in trouble.failed_on:
        accused = state.workers.get(name)
        if accused is None or live.attempt.task not in accused.health.failing:
            continue
        accused.health.failing.pop(live.attempt.task)
        if not quarantined:
            accused.health.blamed[live.attempt.task] = None
            if (stop := _exclude(state, accused)) is not None:
                return stop
        elif len(accused.health.failing) < state.policy.suspend_after:
            _resume_worker(state, accused)
    return None


def _suspect_worker(state: State, live: Live) -> None:
    """One that fails several sub-tasks in turn gets no more until another worker has tried them."""
    task = live.attempt.task
    elsewhere = [n for n in state.troubles[task].failed_on if n != live.attempt.worker_id]
    for name in elsewhere:  # it fails on two workers: neither is to blame
        other = state.workers.get(name)
        if other is None or task not in other.health.failing:
            continue
        del other.health.failing[task]
        if len(other.health.failing) < state.policy.suspend_after:
            _resume_worker(state, other)
    holder = state.workers.get(live.attempt.worker_id)
    if holder is None:
        return
    if not elsewhere:
        holder.health.failing[task] = None
    if len(holder.health.failing) >= state.policy.suspend_after and not holder.health.suspended:
        holder.health.suspended = True
        state.as_planned = False
        state.note("suspended", live, f"{len(holder.health.failing)} sub-tasks failed there in turn")
        state.wake()


def _resume_worker(state: State, holder: WorkerState) -> None:
    if holder.health.suspended:
        holder.health.suspended = False
        state.hungry[holder.worker.worker_id] = None


def _exclude(state: State, holder: WorkerState) -> RunFailed | None:
    """Leave a worker out for a time once it has failed often enough what went well elsewhere."""
    health, policy = holder.health, state.policy
    enough = max(1.0 if health.exclusions else float(policy.exclude_after), TOLERATED * health.successes)
    if len(health.blamed) < enough or holder.worker.worker_id in state.excluded:
        return None
    blamed = ", ".join(state.key_of(t) for t in list(health.blamed)[:3])
    leave_out(state, holder, f"{blamed} failed there and went well elsewhere")
    if all(name in state.excluded for name in state.workers):
        return EngineLost(
            f"all {len(state.workers)} workers fail sub-tasks that go well on another; none is left to trust. "
            "Look at their logs in the run directory, mend the workers and resume the run."
        )
    return None


def leave_out(state: State, holder: WorkerState, reason: str) -> None:
    """Give a worker nothing for a time, twice as long each time; what waits for it goes to the others."""
    health, name = holder.health, holder.worker.worker_id
    health.exclusions += 1
    seconds = state.policy.exclude_seconds * 2.0 ** (health.exclusions - 1)
    state.excluded[name] = seconds
    state.note_worker("excluded", name, f"for {seconds:g} s: {reason}")
    health.blamed.clear()
    health.failing.clear()
    give_away(state, holder)


def give_away(state: State, holder: WorkerState) -> None:
    """What waits for a worker waits for any worker now."""
    state.as_planned = False
    for task in holder.queue:
        state.home[task] = ""
        state.moved.pop(task, None)
    state.pool.extend(task for task in holder.queue if state.status[task] == READY)
    holder.queue.clear()
    holder.backlog = 0.0
    holder.held = None
    state.wake()


def pass_time(state: State, seconds: float) -> None:
    """Excluded workers are given another chance once their time is over."""
    for name in list(state.excluded):
        state.excluded[name] -= seconds
        if state.excluded[name] <= 1e-6:
            del state.excluded[name]
            if name in state.workers:
                state.hungry[name] = None
                state.workers[name].health.suspended = False
                state.note_worker("readmitted", name, "its time is over; the next failure counts at once")


def allows(state: State, holder: WorkerState, task: int) -> bool:
    """Whether the ladder lets this worker have the sub-task.

    Workers that failed on it, and those that are suspected of failing on anything, get it only where no better one is.
    """
    if holder.worker.worker_id in state.excluded:
        return False
    trouble = state.troubles.get(task)
    mine = _doubt(holder, trouble)
    return mine == 0 or not any(
        other is not holder and _doubt(other, trouble) < mine and state.demands.holds(other.worker, task)
        for name, other in state.workers.items()
        if name not in state.excluded and name not in state.awaited
    )


def handed_back(state: State, why: Failure | None) -> None:
    """Count an attempt that a worker which is to leave it alone handed back; another failure begins the count anew."""
    if why is not None:
        state.handed_back = 0 if why.charged else state.handed_back + 1


def _in_circles(state: State) -> bool:
    """Whether all that runs is handed back in turn: two slots that hold each other's sub-tasks never exchange them.

    What really runs has begun longer ago than an attempt is held before it is handed back.
    """
    if state.handed_back < MOST_HANDED_BACK or state.last_now is None:
        return False
    began = (live.started for live in state.attempts.values() if live.started is not None)
    return all(state.last_now - second < LONGEST_HELD for second in began)


def avoided(state: State, holder: WorkerState, task: int) -> tuple[str, ...]:
    """The workers that are to hand a sub-task back, where the engine takes the one asked for as a hint.

    None where nothing but handing back goes on: the next attempt is made wherever it is brought to.
    """
    if not state.policy.rerouted or state.as_planned or _in_circles(state):
        return ()
    others = (other for other in state.workers.values() if other is not holder)
    return tuple(other.worker.worker_id for other in others if not allows(state, other, task))


def _doubt(holder: WorkerState, trouble: Trouble | None) -> int:
    """How little is to be hoped from another attempt on a worker."""
    name = holder.worker.worker_id
    times = 0 if trouble is None else trouble.times_on(name)
    if trouble is None or not times:
        return int(holder.health.suspended or (trouble is not None and name in trouble.slow_on))
    return 1 + 2 * times + (name in trouble.suspects)  # one that had its say about the rows is not asked again


def _others(state: State, task: int) -> bool:
    """Whether a worker that has not failed on the sub-task could hold it."""
    trouble = state.troubles.get(task)
    return any(
        not (trouble is not None and trouble.times_on(name)) and state.demands.holds(holder.worker, task)
        for name, holder in state.workers.items()
        if name not in state.excluded and name not in state.awaited
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
