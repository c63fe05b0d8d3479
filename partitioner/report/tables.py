"""Tables of the report page: stragglers, unsuccessful attempts with their logs, quarantine, plan and settings."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from partitioner.placement.explain.views import in_words
from partitioner.report import words
from partitioner.report.facts import LOGS, Facts
from partitioner.report.history import CANCELLED, COMMITTED, FAILED, LOST, Try
from partitioner.report.summary import Summary

ROWS = 100  # unsuccessful attempts and errors listed


class Markup(str):
    """Text that is HTML already and must not be escaped again."""

    __slots__ = ()


def table(headers: Sequence[str], rows: Iterable[Sequence[Any]], numeric: Sequence[int] = ()) -> str:
    """An HTML table, which scrolls where the page is narrower; ``numeric`` columns are aligned right.

    Every cell is escaped unless it is ``Markup``.
    """

    def cell(tag: str, i: int, value: Any) -> str:
        text = value if isinstance(value, Markup) else escape(str(value))
        kind = ' class="n"' if i in numeric else ""
        return f"<{tag}{kind}>{text}</{tag}>"

    head = "".join(cell("th", i, h) for i, h in enumerate(headers))
    body = "".join("<tr>" + "".join(cell("td", i, v) for i, v in enumerate(row)) + "</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def stragglers(summary: Summary) -> str:
    """Sub-tasks that took longest beyond what was predicted for them."""
    if not summary.stragglers:
        return ""
    rows = [
        (
            w.task_key,
            w.worker_id,
            words.seconds(w.predicted),
            words.seconds(w.actual),
            words.change(w.actual, w.predicted),
        )
        for w in summary.stragglers
    ]
    return table(("sub-task", "worker", "predicted", "measured", "difference"), rows, (2, 3, 4))


def _unsuccessful(facts: Facts) -> list[Try]:
    """Failed attempts first, for their errors matter most, then lost ones, then the rest."""
    rank = {FAILED: 0, LOST: 1, CANCELLED: 3}
    bad = [t for t in facts.history.tries if t.outcome != COMMITTED]
    return sorted(bad, key=lambda t: (rank.get(t.outcome, 2), t.submitted))


def trouble_note(facts: Facts) -> str:
    """What of the list is shown."""
    bad = len(_unsuccessful(facts))
    return f"The first {ROWS} of {words.count(bad)}; report.json holds all." if bad > ROWS else ""


def trouble(facts: Facts) -> str:
    """Attempts that did not commit, each with what became of its sub-task, its error and what it printed."""
    bad = _unsuccessful(facts)[:ROWS]
    if not bad:
        return f'<p class="note">None{": every attempt committed" if facts.history.tries else ""}.</p>'
    rows = [
        (
            t.attempt_id,
            Markup(f'<span class="{escape(t.outcome)}-text">{escape(t.outcome)}</span>'),
            t.worker or t.requested,
            words.seconds(facts.history.at(t.submitted or t.started)),
            words.seconds(t.seconds) if t.seconds else "not started" if not t.started else words.NONE,
            _afterwards(facts, t),
            _error(facts, t),
        )
        for t in bad
    ]
    return table(("attempt", "outcome", "worker", "submitted at", "ran for", "its sub-task", "error"), rows, (3, 4))


def _afterwards(facts: Facts, attempt: Try) -> str:
    record = facts.commits.get(attempt.task_key)
    if record is None:
        return "not committed"
    return f"committed by {record.attempt_id} on {record.worker_id}" if record.started else "committed"


def _error(facts: Facts, attempt: Try) -> Markup:
    text = "the process that ran it ended" if attempt.outcome == LOST and attempt.started else ""
    if attempt.error:
        text = f"{attempt.error.get('type', 'error')}: {attempt.error.get('message', '')}"
    log = facts.logs.get(attempt.attempt_id)
    shown = escape(text if len(text) <= 400 else text[:400] + " …")
    if log is None:
        return Markup(shown)
    return Markup(f"{shown}<details><summary>what it printed</summary><pre>{escape(log)}</pre></details>")


def faults_note(summary: Summary) -> str:
    """How often each kind came."""
    return ", ".join(f"{kind} {words.count(n)}" for kind, n in summary.faults.by_kind)


def faults(summary: Summary) -> str:
    """Failures by worker and kind, and by row."""
    told = summary.faults
    by_worker = table(("worker", "kind", "times"), [(w, k, words.count(n)) for w, k, n in told.by_worker[:ROWS]], (2,))
    rows = [(key, words.count(n), why[:300] or "see the quarantined rows") for key, n, why in told.by_row[:ROWS]]
    by_row = table(("sub-task or row", "rows set aside", "why"), rows, (1,))
    return (by_worker if told.by_worker else "") + (by_row if rows else "")


def rungs_note(summary: Summary) -> str:
    """What of the list is shown, and what back-ups cost."""
    taken, wasted = len(summary.faults.rungs), summary.faults.speculation_seconds
    cost = f"Back-ups cost {words.seconds(wasted)} of attempts that another overtook." if wasted else ""
    shown = f"The first {ROWS} of {words.count(taken)}; report.json holds all. " if taken > ROWS else ""
    return shown + cost


def rungs(facts: Facts, summary: Summary) -> str:
    """Every rung of the failure ladder that was taken, with its reason."""
    rows = [
        (words.seconds(facts.history.at(r.time)), r.what, r.task_key, r.worker_id, r.reason[:300])
        for r in summary.faults.rungs[:ROWS]
    ]
    return table(("at", "what was done", "sub-task", "worker", "why"), rows, (0,)) if rows else ""


def quarantine_note(facts: Facts, summary: Summary) -> str:
    """How many rows, and where they are."""
    read, there = facts.error_files
    part = f" Errors are of {read} of {there} files." if read < there else ""
    rows = "1 row is" if summary.quarantined == 1 else f"{words.count(summary.quarantined)} rows are"
    return f"{rows} set aside with the errors in {facts.url}/quarantine.{part}"


def quarantine(facts: Facts) -> str:
    """Errors by how many rows met them."""
    if not facts.errors:
        return ""
    shown = [(error[:300], words.count(rows)) for error, rows in facts.errors[:20]]
    rest = sum(rows for _, rows in facts.errors[20:])
    rows = shown + ([(f"{len(facts.errors) - 20} other errors", words.count(rest))] if rest else [])
    return table(("error (one for each kind)", "rows"), rows, (1,))


def plan(facts: Facts) -> str:
    """What backs the plan, as the cost model and the placement told it."""
    if not facts.plan:
        return ""
    figures = {k: facts.plan[k] for k in ("algorithm", "objective", "planning_seconds") if k in facts.plan}
    reasons = {**figures, **facts.plan.get("reasons", {})}
    said = {key: Markup("<br>".join(map(escape, filter(None, in_words(key, value))))) for key, value in reasons.items()}
    return table(("what", "value"), [(key.replace("_", " "), value) for key, value in said.items()])


def settings(facts: Facts) -> str:
    """The configuration, what it ran on, and how many failed attempts have their prints above."""
    chosen = {k: v for k, v in facts.config.items() if v not in (None, {}, [])}
    versions = facts.description.get("versions", {})
    inner = _pairs({**chosen, "versions": versions})
    note = f'<p class="note">Prints are kept for the first {LOGS} failed attempts; all are in attempts/ of the run.</p>'
    return f"<details><summary>show</summary>{inner}{note}</details>"


def _pairs(values: dict[str, Any]) -> str:
    def plain(value: Any) -> str:
        if isinstance(value, float):
            return f"{value:.6g}"
        return value if isinstance(value, str) else json.dumps(value, default=str)

    return table(("what", "value"), [(k.replace("_", " "), plain(v)) for k, v in values.items()])
