"""Which workers are to blame for what failed on them, how long they are left out, and which may have a sub-task next."""

from __future__ import annotations

from partitioner.coordinator.state import Live, State, WorkerState
from partitioner.coordinator.transitions import READY
from partitioner.coordinator.troubles import Trouble
from partitioner.errors import EngineLost, RunFailed
from partitioner.model import Failure

MOST_HANDED_BACK = 6
"""Attempts in turn that may be handed back while nothing else ends."""

LONGEST_HELD = 40.0
"""Seconds: more than an attempt that is handed back keeps its place for before it goes (on Spark 16 s, and the way)."""

BACK_SECONDS = 5.0
"""Until a worker that went away is no longer expected, unless the engine says that one is being started."""

TOLERATED = 0.2
"""A worker that is to blame for fewer failures than this share of its successes stays: some errors come and go."""


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


def suspect(state: State, live: Live) -> None:
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

    Workers that failed on it, and those that are suspected of failing on anything, get it only where no better one is, and
    the former not while others may come back: a bad node that is the only one left for a moment would use up all tries.
    """
    if holder.worker.worker_id in state.excluded:
        return False
    trouble = state.troubles.get(task)
    if trouble is not None and holder.worker.worker_id in trouble.failed_on and away(state):
        return False
    mine = _doubt(holder, trouble)
    return mine == 0 or not any(
        other is not holder and _doubt(other, trouble) < mine and state.demands.holds(other.worker, task)
        for name, other in state.workers.items()
        if name not in state.excluded and name not in state.awaited
    )


def away(state: State) -> bool:
    """Whether a worker went away just now, or is being started."""
    return bool(state.coming) or 0.0 <= state.gone_at > state.clock - BACK_SECONDS


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


def others(state: State, task: int) -> bool:
    """Whether a worker that has not failed on the sub-task could hold it."""
    trouble = state.troubles.get(task)
    return any(
        not (trouble is not None and trouble.times_on(name)) and state.demands.holds(holder.worker, task)
        for name, holder in state.workers.items()
        if name not in state.excluded and name not in state.awaited
    )
