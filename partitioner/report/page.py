"""The report as one HTML page: plotly's script, styles and data are all inside, so it opens without a network."""

from __future__ import annotations

from html import escape

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from partitioner.report import figures, tables, words
from partitioner.report.call import call_bars, call_note
from partitioner.report.facts import Facts
from partitioner.report.style import CSS
from partitioner.report.summary import Summary
from partitioner.report.text import notes
from partitioner.report.timeline import BARS, LANES, timeline

CONFIG = {"displaylogo": False, "responsive": True, "modeBarButtons": [["toImage", "zoom2d", "pan2d", "resetScale2d"]]}


def page(facts: Facts, summary: Summary) -> str:
    """The whole page. All text that came from the user's data, code or machine is escaped."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Run {escape(summary.run_id)}</title>\n<style>{CSS}</style>\n"
        f"<script>{get_plotlyjs()}</script></head>\n<body><main>\n"
        + "\n".join(part for part in _parts(facts, summary) if part)
        + "\n</main></body></html>\n"
    )


def _parts(facts: Facts, summary: Summary) -> list[str]:
    return [
        _header(facts, summary),
        f'<p class="reason">{escape(summary.reason)}</p>' if summary.reason else "",
        _cards(summary),
        _section("Timeline", _timeline_note(facts, summary), _figure(timeline(facts, summary), "timeline")),
        _section("From call to result", call_note(summary), _figure(call_bars(summary), "call")),
        '<div class="two">',
        _section(
            "Predicted against measured time",
            _time_note(summary),
            _figure(figures.seconds_scatter(facts), "seconds"),
        ),
        _section(
            "Predicted against measured memory",
            _memory_note(summary),
            _figure(figures.memory_scatter(facts), "memory"),
        ),
        _section("Workers", _worker_note(summary), _figure(figures.worker_bars(summary), "workers")),
        _section("Slowest against their prediction", "", tables.stragglers(summary)),
        "</div>",
        _section("Retried, failed and lost attempts", tables.trouble_note(facts), tables.trouble(facts)),
        _section("Failures by worker, kind and row", tables.faults_note(summary), tables.faults(summary)),
        _section("Rungs of the failure ladder", tables.rungs_note(summary), tables.rungs(facts, summary)),
        _section("Quarantined rows", tables.quarantine_note(facts, summary), tables.quarantine(facts)),
        _section("The plan and its reasons", "", tables.plan(facts)),
        _section("Settings", "", tables.settings(facts)),
    ]


def _header(facts: Facts, s: Summary) -> str:
    config = facts.config
    lead = [
        f"program {config.get('program')}",
        f"dataset {config.get('dataset')}",
        f"{s.engine or 'no engine yet'}, {words.count(s.workers)} workers, {s.slots:g} slots",
        f"placed by {s.algorithm}" if s.algorithm else "not placed yet",
        *(
            [f"cost {source}"]
            if (source := facts.plan.get("reasons", {}).get("cost source", config.get("cost")))
            else []
        ),
    ]
    return (
        f'<header><h1>Run {escape(s.run_id)}</h1><span class="pill {escape(s.status)}">{escape(s.status)}</span></header>'
        f'<p class="lead">{escape(" · ".join(lead))}<br>{escape(facts.url)}</p>'
    )


def _cards(s: Summary) -> str:
    planned = f"planned {words.seconds(s.predicted_makespan)}" if s.predicts else words.NO_PREDICTION
    compared = words.compared(s.makespan, s.predicted_makespan, s.predicts) if s.status == "complete" else "so far"
    took = ("Makespan", words.seconds(s.makespan), planned, compared)
    if s.sessions > 1:
        of_last = f"last {words.seconds(s.makespan)}, {planned}"
        took = (f"Time of {s.sessions} sessions", words.seconds(s.total_seconds), of_last, f"{compared}")
    cards = [
        took,
        (
            "Lower bound of the plan",
            words.seconds(s.lower_bound),
            f"gap of the plan {words.share(s.gap, 2)}",
            f"in hindsight {words.seconds(s.hindsight_bound)}",
        ),
        (
            "Busy share of slots",
            words.share(s.busy),
            f"planned {words.share(s.planned_busy)}",
            f"wasted {words.share(s.wasted)}",
        ),
        (
            "Sub-tasks committed",
            f"{words.count(s.committed)} / {words.count(s.sub_tasks)}",
            f"{words.count(s.attempts)} attempts",
            f"{s.sessions} session{'s' * (s.sessions != 1)}",
        ),
        (
            "Retries",
            words.count(s.retries),
            f"{words.count(s.failed)} failed",
            f"{words.count(s.lost)} lost with a worker",
        ),
        (
            "Rows read",
            words.count(s.rows_in),
            f"{words.count(s.rows_out)} in the output",
            f"{words.count(s.quarantined)} quarantined",
        ),
    ]
    made = (
        f'<div class="card"><span>{escape(name)}</span><b>{escape(value)}</b>'
        f"<span>{escape(a)}</span><span>{escape(b)}</span></div>"
        for name, value, a, b in cards
    )
    remarks = "".join(f'<p class="note">{escape(note)}</p>' for note in notes(s))
    return f'<div class="cards">{"".join(made)}</div>{remarks}'


def _section(title: str, note: str, body: str | None) -> str:
    if not body:
        return ""
    remark = f'<p class="note">{escape(note)}</p>' if note else ""
    return f"<section><h2>{escape(title)}</h2>{remark}{body}</section>"


def _figure(figure: go.Figure | None, name: str) -> str | None:
    if figure is None:
        return None
    html: str = figure.to_html(full_html=False, include_plotlyjs=False, config=CONFIG, div_id=f"figure-{name}")
    return html


def _timeline_note(facts: Facts, s: Summary) -> str:
    drawn = f"{words.count(s.attempts)} attempts on {words.count(len(s.loads))} workers"
    ran = f"{words.share(s.obeyed)} ran where asked; {words.share(s.moved)} of sub-tasks were re-placed while running"
    note = f"{drawn}; {ran}."
    if len(facts.history.tries) > BARS and len(s.loads) <= LANES:
        note += " Neighbours less than a pixel apart are drawn as one."
    return note


def _time_note(s: Summary) -> str:
    if not s.predicts:
        return f"No prediction: costs are {s.unit or 'no seconds'}, which tell shares of the work and no time."
    if s.error_median is None:
        return "Nothing to compare: the cost model and the measurements have no sub-task in common."
    overall = f"; measured / predicted {s.scale:.3g} overall" if s.scale else ""
    return (
        f"Median error {words.share(s.error_median)}, nine in ten within {words.share(s.error_p90)}{overall}. "
        "Above the dotted line a sub-task took longer than predicted; red: half as long again."
    )


def _memory_note(s: Summary) -> str:
    sample = f" A sample of {words.count(figures.SAMPLE)} sub-tasks." if s.committed > figures.SAMPLE else ""
    return f"The peak includes the worker process itself; on the dotted line predicted equals measured.{sample}"


def _worker_note(s: Summary) -> str:
    busy = [w.useful / w.available for w in s.loads if w.available]
    return f"Busy from {words.share(min(busy))} to {words.share(max(busy))} of slot time." if busy else ""
