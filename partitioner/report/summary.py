"""The figures of a run: what was planned beside what came of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from partitioner.errors import to_go_on
from partitioner.placement.shares import granted_shares
from partitioner.report import clocks, growth
from partitioner.report.facts import Facts, Floats
from partitioner.report.faults import NONE, Faults, faults
from partitioner.report.history import CANCELLED, COMMITTED, FAILED, LOST, UNFINISHED, Try

STRAGGLERS = 8


@dataclass(frozen=True, slots=True)
class WorkerLoad:
    """What one worker did: ``useful`` seconds of attempts that committed, ``wasted`` of those that did not.

    ``available`` slot seconds over all sessions in which it took part; ``speed`` relative to the reference worker.
    """

    worker_id: str
    slots: float
    speed: float
    sub_tasks: int
    useful: float
    wasted: float
    available: float


@dataclass(frozen=True, slots=True)
class Straggler:
    """A sub-task that took longer than predicted; seconds."""

    task_key: str
    worker_id: str
    predicted: float
    actual: float


@dataclass(frozen=True, slots=True)
class Summary:
    """Figures of a run; times in seconds, memory in bytes, None where unknown.

    ``status`` is complete, failed, interrupted, or unfinished (killed, or still running). ``scale`` is measured seconds
    per unit of cost on committed sub-tasks. Where the cost model gave no seconds (``predicts`` is False) no time was
    predicted: predicted figures, bound and errors are None, and none is made up from the measurements. ``makespan``,
    ``predicted_makespan``, ``lower_bound`` and ``gap`` are of the last session, ``total_seconds`` of all.
    ``phases``: where the seconds between the call and the result went, by name; ``call_seconds`` all of them,
    ``start_seconds`` those before the plan was made; ``predicted_call_seconds`` these and the makespan of the plan.
    ``hindsight_bound``: no schedule of the measured durations over all slots could be shorter.
    ``busy`` and ``wasted`` are shares of slot time; ``error`` is the absolute relative error of predictions per sub-task;
    ``obeyed`` the share of attempts that ran where asked, ``obeyed_by_worker`` the mean of that over the workers asked for,
    ``moved`` of sub-tasks re-placed since the plan; ``faults``: what went wrong; ``merging``: what merging partial results
    on workers took, in words; ``clocks`` of workers that are wrong, and ``growth`` of their processes, in words.
    """

    run_id: str
    status: str
    reason: str
    engine: str
    algorithm: str
    sessions: int
    sub_tasks: int
    committed: int
    workers: int
    slots: float
    unit: str
    chosen: str
    predicts: bool
    scale: float | None
    makespan: float | None
    total_seconds: float
    predicted_makespan: float | None
    lower_bound: float | None
    gap: float | None
    hindsight_bound: float | None
    busy: float | None
    wasted: float | None
    planned_busy: float | None
    attempts: int
    retries: int
    failed: int
    lost: int
    cancelled: int
    unfinished: int
    rows_in: int
    rows_out: int
    quarantined: int
    error_median: float | None
    error_p90: float | None
    peak_memory: float | None
    predicted_memory: float | None
    obeyed: float | None
    obeyed_by_worker: float | None
    moved: float | None
    loads: tuple[WorkerLoad, ...]
    stragglers: tuple[Straggler, ...]
    drift: tuple[str, ...]
    phases: tuple[tuple[str, float], ...] = ()
    call_seconds: float | None = None
    predicted_call_seconds: float | None = None
    start_seconds: float = 0.0
    faults: Faults = NONE
    merging: str = ""
    clocks: tuple[str, ...] = ()
    growth: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain values; loads and stragglers as lists of mappings."""
        plain = {f.name: getattr(self, f.name) for f in fields(self)}
        for name in ("loads", "stragglers"):
            plain[name] = [{f.name: getattr(row, f.name) for f in fields(row)} for row in plain[name]]
        return plain | {"faults": self.faults.to_json()}


def summarise(facts: Facts) -> Summary:
    """All figures of a run."""
    told, plan = facts.history, facts.plan
    loads = worker_loads(facts)
    available = sum(w.available for w in loads)
    predicts = facts.unit == "seconds"
    predicted = predictions(facts)
    status, reason = _status(facts)
    last = told.last
    obeyed, by_worker = _obeyed(told.tries)
    median, p90 = _errors(predicted, facts.seconds)
    return Summary(
        run_id=facts.run_id,
        status=status,
        reason=reason,
        engine=last.engine if last else "",
        algorithm=str(plan.get("algorithm", "")),
        sessions=len(told.sessions),
        sub_tasks=len(facts.keys),
        committed=_committed(facts),
        workers=len(last.workers) if last else 0,
        slots=sum(_slots(facts).get(w, 1.0) for w in last.workers) if last else 0.0,
        unit=facts.unit,
        chosen=facts.chosen,
        predicts=predicts,
        scale=seconds_per_unit(facts),
        makespan=last.seconds if last else None,
        total_seconds=told.seconds,
        **_promised(plan, predicts),
        hindsight_bound=_hindsight(facts, loads),
        busy=sum(w.useful for w in loads) / available if available else None,
        wasted=sum(w.wasted for w in loads) / available if available else None,
        **_counts(facts),
        error_median=median,
        error_p90=p90,
        peak_memory=_largest(facts.peak_memory),
        predicted_memory=_process_memory(facts),
        obeyed=obeyed,
        obeyed_by_worker=by_worker,
        moved=_moved(facts),
        loads=loads,
        stragglers=_stragglers(facts, predicted),
        drift=facts.drift,
        clocks=clocks.sentences(told.clocks),
        growth=growth.sentences(facts.commits.values()),
        merging=facts.merging,
        phases=tuple(facts.phases.items()),
        call_seconds=facts.total_seconds,
        faults=faults(facts),
    )


def _promised(plan: Mapping[str, Any], predicts: bool) -> dict[str, Any]:
    """What the plan said before the run; no seconds where its costs are none."""
    reasons = plan.get("reasons", {})
    return {
        "predicted_makespan": plan.get("makespan") if predicts else None,
        "lower_bound": plan.get("lower_bound") if predicts else None,
        "gap": plan.get("gap"),
        "planned_busy": reasons.get("utilization_by_resource", {}).get("cpus", plan.get("utilization")),
        "start_seconds": float(sum(reasons.get("start", {}).values())),
        "predicted_call_seconds": _predicted_call(plan) if predicts else None,
    }


def _predicted_call(plan: Mapping[str, Any]) -> float | None:
    """Seconds that had passed when the plan was made, and its makespan; None where the plan does not tell."""
    start = plan.get("reasons", {}).get("start", {})
    return float(sum(start.values()) + plan["makespan"]) if start and plan.get("makespan") is not None else None


def of_other_slots(facts: Facts) -> float:
    """Bytes of a process that the prediction of each sub-task leaves to the slots beside it."""
    about = facts.plan.get("reasons", {}).get("process memory", {})
    return float(about["resident"]) * (1.0 - 1.0 / float(about["slots"])) if about else 0.0


def _process_memory(facts: Facts) -> float | None:
    """Bytes of the largest process: of one that slots share each sub-task's prediction holds its part only."""
    largest = _largest(facts.predicted_memory)
    return None if largest is None else largest + of_other_slots(facts)


def _counts(facts: Facts) -> dict[str, int]:
    """How attempts ended, and what became of rows."""
    tries, records = facts.history.tries, facts.commits.values()
    outcomes = [t.outcome for t in tries]
    ends = {"failed": FAILED, "lost": LOST, "cancelled": CANCELLED, "unfinished": UNFINISHED}
    return {
        "attempts": len(tries),
        "retries": len(tries) - len({t.task_key for t in tries}),
        **{name: outcomes.count(outcome) for name, outcome in ends.items()},
        **{name: sum(getattr(r, name) for r in records) for name in ("rows_in", "rows_out", "quarantined")},
    }


def _committed(facts: Facts) -> int:
    """Sub-tasks whose rows are committed; one that was divided is where its parts hold all of them or the run says so."""
    last = facts.history.sessions[-1] if facts.history.sessions else None
    over = last is not None and last.ended
    split = {record.whole for record in facts.commits.values() if record.split or record.task_key != record.whole}
    return sum(over if key in split else key in facts.commits for key in facts.keys)


def _status(facts: Facts) -> tuple[str, str]:
    last = facts.history.sessions[-1] if facts.history.sessions else None
    bad = next((r for r in facts.commits.values() if r.rows_in != r.rows_out + r.quarantined), None)
    if bad is not None:
        return (
            "failed",
            f"Rows do not add up: {bad.task_key} read {bad.rows_in}, wrote {bad.rows_out}, set aside {bad.quarantined}.",
        )
    if _committed(facts) == len(facts.keys) and (last is None or not last.stopped):
        return "complete", ""
    if last is None:
        return "unfinished", "No sub-task was started: the run stopped before, or is about to begin."
    go_on = f"\nWhat is committed stays. To go on: {to_go_on(facts.url)}"
    if last.stopped.get("type") == "Interrupted":
        return "interrupted", str(last.stopped.get("message", "")) + go_on
    if last.stopped:
        return "failed", f"{last.stopped.get('type', 'error')}: {last.stopped.get('message', '')}{go_on}"
    return "unfinished", f"The ledger has no end: the driver was stopped early, or the run still goes on.{go_on}"


def predictions(facts: Facts) -> Floats:
    """Predicted seconds per sub-task on the worker that ran it; NaN where the cost model gave no seconds."""
    return _on_its_worker(facts) if facts.unit == "seconds" else np.full(len(facts.keys), np.nan)


def seconds_per_unit(facts: Facts) -> float | None:
    """Measured seconds per unit of cost, over committed sub-tasks; None where there is nothing to divide."""
    cost = _on_its_worker(facts)
    known = np.isfinite(facts.seconds) & (cost > 0)
    return float(facts.seconds[known].sum() / cost[known].sum()) if known.any() else None


def _on_its_worker(facts: Facts) -> Floats:
    """Cost per sub-task over the speed of the worker that ran it, or was to."""
    speeds = {str(w["worker_id"]): float(w.get("speed", 1.0)) for w in facts.plan.get("workers", [])}
    where = (a or b for a, b in zip(facts.worker, facts.planned_worker, strict=True))
    return np.asarray(facts.predicted / np.array([speeds.get(w, 1.0) for w in where], np.float64))


def _slots(facts: Facts) -> dict[str, float]:
    """Sub-tasks of the configured size that a worker runs at once."""
    cpus = float(facts.config.get("task_cpus", 1.0))
    return {str(w["worker_id"]): max(1.0, float(w["cpus"]) // cpus) for w in facts.plan.get("workers", [])}


def worker_loads(facts: Facts) -> tuple[WorkerLoad, ...]:
    """One entry per worker that was there, in the order in which they appeared."""
    slots = _slots(facts)
    speeds = {str(w["worker_id"]): float(w.get("speed", 1.0)) for w in facts.plan.get("workers", [])}
    useful: dict[str, float] = {}
    wasted: dict[str, float] = {}
    counts: dict[str, int] = {}
    present: dict[str, dict[int, None]] = {w: {} for s in facts.history.sessions for w in s.workers}
    for k, session in enumerate(facts.history.sessions):
        for worker in session.workers:
            present[worker][k] = None
    for attempt in facts.history.tries:
        if attempt.seconds and attempt.worker:
            present.setdefault(attempt.worker, {})[attempt.session] = None
            book = useful if attempt.outcome == COMMITTED else wasted
            book[attempt.worker] = book.get(attempt.worker, 0.0) + attempt.seconds
            counts[attempt.worker] = counts.get(attempt.worker, 0) + (attempt.outcome == COMMITTED)
    seconds = [s.seconds for s in facts.history.sessions]
    return tuple(
        WorkerLoad(
            worker_id=w,
            slots=slots.get(w, 1.0),
            speed=speeds.get(w, 1.0),
            sub_tasks=counts.get(w, 0),
            useful=useful.get(w, 0.0),
            wasted=wasted.get(w, 0.0),
            available=slots.get(w, 1.0) * sum(seconds[k] for k in ks if k < len(seconds)),
        )
        for w, ks in present.items()
    )


def _hindsight(facts: Facts, loads: Iterable[WorkerLoad]) -> float | None:
    """max(work / capacity, longest sub-task on the fastest worker), from what the committing attempts took."""
    speeds = {w.worker_id: w.speed for w in loads}
    took = [t.seconds * speeds.get(t.worker, 1.0) for t in facts.history.tries if t.outcome == COMMITTED]
    capacity = sum(w.slots * w.speed for w in loads)
    if not took or not capacity:
        return None
    return max(sum(took) / capacity, max(took) / max(speeds.values()))


def _errors(predicted: Floats, actual: Floats) -> tuple[float | None, float | None]:
    known = np.isfinite(predicted) & np.isfinite(actual) & (actual > 0) & (predicted > 0)
    if not known.any():
        return None, None
    error = np.abs(predicted[known] - actual[known]) / actual[known]
    return float(np.median(error)), float(np.quantile(error, 0.9))


def _stragglers(facts: Facts, predicted: Floats) -> tuple[Straggler, ...]:
    excess = np.nan_to_num(facts.seconds - predicted, nan=-np.inf)
    worst = [int(i) for i in np.argsort(-excess, kind="stable")[:STRAGGLERS] if excess[i] > 0]
    return tuple(Straggler(facts.keys[i], facts.worker[i], float(predicted[i]), float(facts.seconds[i])) for i in worst)


def _obeyed(tries: Iterable[Try]) -> tuple[float | None, float | None]:
    """Attempts that ran on the worker asked for, of all, and the mean of that share over the workers."""
    known = [t for t in tries if t.requested and t.worker]
    asked = Counter(t.requested for t in known)
    granted = Counter(t.requested for t in known if t.requested == t.worker)
    return granted_shares(list(asked.values()), [granted[w] for w in asked]) if asked else (None, None)


def _moved(facts: Facts) -> float | None:
    """Of the sub-tasks that the last plan was about: those that an earlier session committed had no place in it."""
    since = facts.history.last.start if facts.history.last else 0.0
    done = [(k, facts.commits[k]) for k in facts.keys if k in facts.commits and facts.commits[k].started >= since]
    planned = dict(zip(facts.keys, facts.planned_worker, strict=True))
    known = [planned[k] != r.worker_id for k, r in done if planned[k] and r.worker_id]
    return sum(known) / len(known) if known else None


def _largest(column: Floats) -> float | None:
    known = column[np.isfinite(column)]
    return float(known.max()) if len(known) else None
