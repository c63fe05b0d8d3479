"""How long things turn out to take, worker by worker, and when each worker will be done: what re-placement goes by.

Every completion says how actual and predicted seconds compare. The mean of the log ratios of a worker, shrunk towards that
of all workers, corrects what is predicted there; how far single ratios scatter is the uncertainty of every forecast.
"""

from __future__ import annotations

from math import exp, expm1, log, sqrt

from partitioner.coordinator.state import Live, State, WorkerState

PRIOR_SPREAD = 0.2
"""Standard deviation of log(actual / predicted) that is assumed before completions have shown one."""

PRIOR_WEIGHT = 4.0
"""That assumption counts as many completions."""

WORKER_SPREAD = 0.3
"""Standard deviation of how much workers of equal declared speed differ, in logs: a factor of 1.35 is common."""

MEMORY = 0.9
"""A completion counts so much less with each later one on its worker, so that a worker that becomes slow is seen."""

CLIP = 1.0
"""No single log ratio moves the spread by more than this: a factor of e, or ``CLIP_SPREADS`` where that is more."""

CLIP_SPREADS = 2.0

LATE = 1.5
"""Spreads by which a running attempt is later than forecast when its worker is suspected to have become slow."""

OTHER_UNIT = 2.0
"""A first log ratio as large as this says that costs are in another unit."""

EXACT = 1e-6
"""Relative difference between actual and predicted seconds up to which a sub-task went as planned."""


def observe(state: State, holder: WorkerState, task: int, seconds: float) -> None:
    """Note a completion that took ``seconds`` wall on ``holder``."""
    predicted = state.seconds_on(task, holder.worker)
    if abs(seconds - predicted) > EXACT * max(1.0, predicted):
        state.as_planned = False
    if predicted <= 0 or seconds <= 0:
        return
    ratio = log(seconds / predicted)
    most = max(CLIP, CLIP_SPREADS * spread(state))
    missed = max(-most, min(most, ratio - log(factor(state, holder))))
    if state.completions or abs(ratio) < OTHER_UNIT:  # else costs are no seconds, and the first shows the scale
        state.squares += missed * missed
    state.completions += 1
    state.log_ratios += ratio
    state.log_squares += ratio * ratio
    holder.weight = holder.weight * MEMORY + 1.0
    holder.log_ratios = holder.log_ratios * MEMORY + ratio
    holder.factor = _factor(state, holder.weight, holder.log_ratios)


def forget(state: State) -> None:
    """Predictions were replaced: how wrong the earlier ones were says nothing any more."""
    state.completions, state.next_forecast, state.doubt = 0, 8, 0.0
    state.log_ratios = state.log_squares = state.squares = 0.0
    state.predicted_done = state.actual_done
    for holder in state.workers.values():
        holder.weight, holder.log_ratios, holder.factor = 0.0, 0.0, 1.0


def _factor(state: State, weight: float, log_ratios: float) -> float:
    """The mean of a worker's log ratios, shrunk towards that of all by how far workers and single sub-tasks scatter."""
    common = state.log_ratios / state.completions if state.completions else 0.0
    trust = WORKER_SPREAD**2 * weight
    return (
        exp(common + (log_ratios / weight - common) * trust / (trust + spread(state) ** 2)) if weight else exp(common)
    )


def look(state: State, holder: WorkerState, now: float) -> None:
    """Count what runs on a worker for longer than is likely as completions at this second: it may have become slow."""
    weight, logs = holder.weight, holder.log_ratios
    likely = log(factor(state, holder)) + LATE * spread(state)
    for live in holder.live.values():
        if live.started is None or live.expected <= 0 or now <= live.started:
            continue
        ratio = log((now - live.started) / live.expected)
        if ratio > likely:
            weight, logs = weight * MEMORY + 1.0, logs * MEMORY + ratio
    holder.factor = _factor(state, weight, logs)


def suspect_after(state: State, live: Live) -> float:
    """Seconds after its start from which on an attempt that was to go as planned says that its worker has become slow."""
    return live.expected * exp(LATE * spread(state)) * (1 + EXACT)


def is_suspect(state: State, holder: WorkerState, now: float) -> bool:
    """Whether something runs on a worker for longer than is likely there."""
    return any(
        live.started is not None and now - live.started >= suspect_after(state, live) * factor(state, holder)
        for live in holder.live.values()
    )


def spread(state: State) -> float:
    """Standard deviation of log(actual / forecast) of single sub-tasks, from the prior and what was seen."""
    return sqrt((PRIOR_WEIGHT * PRIOR_SPREAD**2 + state.squares) / (PRIOR_WEIGHT + state.completions))


def factor(state: State, holder: WorkerState) -> float:
    """Actual over predicted seconds to expect on a worker; where it has completed nothing, as on all workers."""
    return holder.factor if holder.weight or not state.completions else common(state)


def common(state: State) -> float:
    """The same over all workers."""
    return exp(state.log_ratios / state.completions) if state.completions else 1.0


def seconds(state: State, holder: WorkerState, task: int) -> float:
    """Seconds that a sub-task is expected to take on a worker, by what was seen so far."""
    return state.seconds_on(task, holder.worker) * factor(state, holder)


def load(state: State, holder: WorkerState, task: int) -> float:
    """Seconds of the whole worker that a sub-task takes as predicted: its seconds times its largest share of anything."""
    kind = state.demands.kind[task]
    share = holder.share.get(kind)
    if share is None:
        share = holder.share[kind] = state.demands.kinds[kind].share_of(holder.worker)
    memory = state.demands.memory[task] / holder.worker.memory_bytes if holder.worker.memory_bytes > 0 else 0.0
    return state.seconds_on(task, holder.worker) * min(1.0, max(share, memory))


def left(state: State, holder: WorkerState, live: Live, now: float) -> float:
    """Seconds until a live attempt ends, once it runs: what is left of it, not its whole.

    One that runs for longer than expected has the more left, the longer it runs: about what a lognormal has left at its
    median, whose spread is the one seen or, where the attempt is later than that explains, half of how late it is.
    """
    expected = live.expected * factor(state, holder)
    if live.started is None or expected <= 0:
        return expected
    elapsed = now - live.started
    if elapsed <= expected * (1 + EXACT):
        return max(0.0, expected - elapsed)
    return elapsed * expm1(0.8 * max(spread(state), log(elapsed / expected) / 2))


def next_end(state: State, holder: WorkerState, now: float) -> float:
    """When the first of the attempts that run on a worker is expected to end."""
    running = [left(state, holder, live, now) for live in holder.live.values() if live.started is not None]
    return now + min(running, default=0.0)


def busy(state: State, holder: WorkerState, now: float) -> float:
    """Seconds of the whole worker that its live attempts still take."""
    total = 0.0
    for live in holder.live.values():
        share = live.load / live.expected if live.expected > 0 else 0.0
        total += share * left(state, holder, live, now)
    return total


def end(state: State, holder: WorkerState, now: float) -> float:
    """When a worker is expected to be done with what runs and waits there: never before its next sub-task can be."""
    longest = seconds(state, holder, holder.queue[0]) if holder.queue else 0.0
    return now + max(longest, busy(state, holder, now) + holder.backlog * factor(state, holder))
