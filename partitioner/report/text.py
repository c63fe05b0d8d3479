"""The summary as a table for the terminal: what was predicted beside what was measured."""

from __future__ import annotations

from collections import Counter

from partitioner.report.summary import Summary
from partitioner.report.words import NO_PREDICTION, change, compared, count, seconds, share, size

Row = tuple[str, str, str, str]
SHOWN_STRAGGLERS = 3
SHOWN_KINDS = 4


def table(summary: Summary) -> str:
    """Lines of four columns: what, predicted, actual, remark."""
    s = summary
    rows: list[Row] = [("", "predicted", "actual", ""), *_time(s), *_work(s), *_trouble(s), *_stragglers(s)]
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    head = [f"run {s.run_id}: {s.status}, {count(s.committed)} of {count(s.sub_tasks)} sub-tasks committed"]
    head += [s.reason] if s.reason else []
    body = [f"  {a:<{widths[0]}}  {b:>{widths[1]}}  {c:>{widths[2]}}  {d}".rstrip() for a, b, c, d in rows]
    return "\n".join(head + body + [f"  {note}" for note in notes(s)])


ONE_OF = {"rows": "row", "bytes": "byte"}
"""What one unit of a cost is called that is no time."""


def notes(s: Summary) -> list[str]:
    """Sentences without which a figure would be misread."""
    found = [*s.drift, *s.clocks, *s.growth, *([s.merging] if s.merging else [])]
    if not s.predicts and s.algorithm:  # without a plan there is nothing to say of its unit
        unit = s.unit or "units the plan does not name"
        measured = "" if s.scale is None else f" Measured: {s.scale:.3g} s per {ONE_OF.get(unit, 'unit')}, of one slot."
        if s.chosen:
            found.append(f"No prediction: cost 'auto' took {s.chosen}.{measured}")
        else:
            found.append(
                f"No prediction: costs are {unit}, not seconds.{measured} "
                "cost='calibrate' measures a little first, and predicts."
            )
    if s.sessions > 1:
        found.append(f"{s.sessions} sessions: predicted makespan, lower bound and gap are of the last one.")
    return found


def _time(s: Summary) -> list[Row]:
    told = compared(s.makespan, s.predicted_makespan, s.predicts) if s.status == "complete" else "so far"
    gap = f"plan's gap {share(s.gap, 2)}"
    if s.sessions > 1:
        bounds = [
            ("lower bound", seconds(s.lower_bound), "", gap),
            ("all sessions", "", seconds(s.total_seconds), f"at least {seconds(s.hindsight_bound)} in hindsight"),
        ]
    else:
        bounds = [("lower bound", seconds(s.lower_bound), seconds(s.hindsight_bound), f"{gap}; actual: in hindsight")]
    return [
        *_call(s),
        ("makespan", seconds(s.predicted_makespan), seconds(s.makespan), told),
        *bounds,
        ("busy share of slots", share(s.planned_busy), share(s.busy), f"{share(s.wasted)} on failed or lost attempts"),
        (
            "seconds per sub-task",
            "",
            "",
            f"median error {share(s.error_median)}, nine in ten within {share(s.error_p90)}"
            if s.predicts
            else NO_PREDICTION,
        ),
        ("largest peak memory", size(s.predicted_memory), size(s.peak_memory), "actual includes the process itself"),
    ]


def _call(s: Summary) -> list[Row]:
    """From the call to the result, and the phases that are long enough to matter."""
    if s.call_seconds is None:
        return []
    shown = sorted((p for p in s.phases if p[1] >= 0.01 * s.call_seconds), key=lambda p: -p[1])
    where = ", ".join(f"{name} {seconds(took)}" for name, took in shown)
    return [("from call to result", seconds(s.predicted_call_seconds), seconds(s.call_seconds), where)]


def _work(s: Summary) -> list[Row]:
    where = f"{s.algorithm} on {s.engine}" if s.engine else s.algorithm
    ran = (
        f"{share(s.obeyed)} of attempts ran where asked ({share(s.obeyed_by_worker)} by worker), "
        f"{share(s.moved)} of sub-tasks re-placed while running"
    )
    return [
        ("workers", "", count(s.workers), f"{s.slots:g} slot{'s' * (s.slots != 1)}; {where}"),
        ("attempts", count(s.sub_tasks), count(s.attempts), ran),
        ("rows", "", count(s.rows_in), f"{count(s.rows_out)} in the output, {count(s.quarantined)} quarantined"),
    ]


def _trouble(s: Summary) -> list[Row]:
    detail = f"{count(s.failed)} failed, {count(s.lost)} lost with their worker, {count(s.cancelled)} cancelled"
    detail += f", {count(s.unfinished)} cut off" if s.unfinished else ""
    kinds = [f"{kind} {count(n)}" for kind, n in s.faults.by_kind[:SHOWN_KINDS]]
    workers = Counter[str]()
    for worker, _, n in s.faults.by_worker:
        workers[worker] += n
    where = [f"{worker} {count(n)}" for worker, n in workers.most_common(SHOWN_KINDS)]
    taken = Counter(rung.what for rung in s.faults.rungs)
    rows: list[Row] = [("retries", "0", count(s.retries), detail)]
    if kinds:
        total = sum(n for _, n in s.faults.by_kind)
        rows.append(("failures", "0", count(total), f"{', '.join(kinds)}; on workers {', '.join(where)}"))
    if taken:
        rows.append(
            ("rungs taken", "0", count(sum(taken.values())), ", ".join(f"{w} {n}" for w, n in taken.most_common()))
        )
    if s.faults.speculation_seconds:
        rows.append(("wasted on back-ups", "", seconds(s.faults.speculation_seconds), "attempts that another overtook"))
    return rows


def _stragglers(s: Summary) -> list[Row]:
    return [
        (
            f"straggler {w.task_key}",
            seconds(w.predicted),
            seconds(w.actual),
            f"{change(w.actual, w.predicted)} on worker {w.worker_id}",
        )
        for w in s.stragglers[:SHOWN_STRAGGLERS]
    ]
