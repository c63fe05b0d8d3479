"""The timeline of the report page: who ran what and when, coloured by how it ended."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from partitioner.report import words
from partitioner.report.facts import Facts
from partitioner.report.figures import AMBER, BLUE, GREY, INK, LIGHT, MUTED, RED, styled, worker_name
from partitioner.report.history import CANCELLED, COMMITTED, FAILED, LOST, UNFINISHED, History, Try
from partitioner.report.summary import Summary

BARS = 3000  # attempts drawn one by one; beyond, neighbours of equal outcome are drawn as one
LANES = 80  # lanes drawn as bars; beyond, a map of busy shares
MARKED = 2000  # failed or lost attempts marked on that map
PIXELS = 1200  # width that decides which neighbours are too close to tell apart
BINS = 300
COLORS = {COMMITTED: BLUE, FAILED: RED, LOST: AMBER, CANCELLED: LIGHT, UNFINISHED: GREY}


@dataclass(slots=True)
class Bar:
    """A stretch of one lane, seconds on the report's clock; ``count`` attempts, ``first`` the first of them."""

    lane: int
    start: float
    finish: float
    outcome: str
    first: Try
    count: int = 1


def timeline(facts: Facts, summary: Summary) -> go.Figure | None:
    """One row per worker; a worker with several slots has as many lanes as it ran attempts at once."""
    told = facts.history
    ran = sorted((t for t in told.tries if t.seconds > 0 and t.worker), key=lambda t: t.started)
    if not ran or told.seconds <= 0:
        return None
    lanes, bands = _lanes(ran, [w.worker_id for w in summary.loads])
    total = sum(width for _, width in bands.values())
    few = total <= LANES
    figure = _bars(told, merged(told, ran, lanes), bands) if few else _busy_map(told, ran, list(bands))
    _marks(figure, told, summary)
    height = min(900, 108 + max(14, min(30, 600 // max(total, 1))) * total) if few else 460
    figure.update_xaxes(title={"text": _axis(told, summary)}, range=[0, told.seconds * 1.005])
    figure = styled(figure, height, barmode="overlay", showlegend=few)
    below = {"yref": "container", "y": 0.0, "yanchor": "bottom"}  # above, it would lie on the names of the marks
    figure.update_layout(margin={"t": 30, "b": 72 if few else 44}, height=height + 28 * few, legend=below)
    return figure


def _lanes(ran: Sequence[Try], known: Sequence[str]) -> tuple[list[int], dict[str, tuple[int, int]]]:
    """A lane within its worker for each attempt so that none overlap, and per worker (first lane, lanes)."""
    free: dict[str, list[int]] = {}
    busy: dict[str, list[tuple[float, int]]] = {}
    width = dict.fromkeys(known, 1)
    lanes = []
    for attempt in ran:
        ends, spare = busy.setdefault(attempt.worker, []), free.setdefault(attempt.worker, [])
        while ends and ends[0][0] <= attempt.started + 1e-6:
            heapq.heappush(spare, heapq.heappop(ends)[1])
        lane = heapq.heappop(spare) if spare else len(ends)
        heapq.heappush(ends, (attempt.finished, lane))
        lanes.append(lane)
        width[attempt.worker] = max(width.get(attempt.worker, 1), lane + 1)
    bands, at = {}, 0
    for worker, lanes_of_worker in width.items():
        bands[worker] = (at, lanes_of_worker)
        at += lanes_of_worker
    return [bands[t.worker][0] + lane for t, lane in zip(ran, lanes, strict=True)], bands


def merged(told: History, ran: Sequence[Try], lanes: Sequence[int]) -> list[Bar]:
    """Bars of all attempts; beyond ``BARS``, committed neighbours on a lane less than a pixel apart become one."""
    near = told.seconds / PIXELS if len(ran) > BARS else -1.0
    last: dict[int, Bar] = {}
    bars = []
    for attempt, lane in zip(ran, lanes, strict=True):
        start, finish = told.at(attempt.started), told.at(attempt.finished)
        before = last.get(lane)
        same = before is not None and before.outcome == attempt.outcome == COMMITTED
        if before is not None and same and start - before.finish < near:
            before.finish, before.count = max(before.finish, finish), before.count + 1
            continue
        last[lane] = Bar(lane, start, finish, attempt.outcome, attempt)
        bars.append(last[lane])
    return bars


def _bars(told: History, bars: Sequence[Bar], bands: dict[str, tuple[int, int]]) -> go.Figure:
    figure = go.Figure()
    shortest = 2.5 * told.seconds / PIXELS  # a bad attempt must be seen however short it was
    outline = 0.6 if len(bars) <= BARS // 2 else 0.0
    for outcome, color in COLORS.items():
        chosen = [b for b in bars if b.outcome == outcome]
        if not chosen:
            continue
        figure.add_trace(
            go.Bar(
                orientation="h",
                base=[b.start for b in chosen],
                x=[max(b.finish - b.start, 0.0 if outcome == COMMITTED else shortest) for b in chosen],
                y=[b.lane for b in chosen],
                width=0.82,
                name=outcome,
                marker={
                    "color": color,
                    "line": {"width": outline if outcome == COMMITTED else 0.0, "color": "#ffffff"},
                },
                hovertext=[_hover(b) for b in chosen],
                hoverinfo="text",
            )
        )
    middles = [first + (width - 1) / 2 for first, width in bands.values()]
    lanes = sum(width for _, width in bands.values())
    figure.update_yaxes(
        tickvals=middles, ticktext=[worker_name(w) for w in bands], range=[lanes - 0.5, -0.5], showgrid=False
    )
    for first, _ in list(bands.values())[1:]:
        figure.add_hline(y=first - 0.5, line={"color": "#e3e8ed", "width": 1})
    return figure


def _hover(bar: Bar) -> str:
    took = f"{words.seconds(bar.start)} to {words.seconds(bar.finish)}"
    if bar.count > 1:
        return f"<b>{bar.count} sub-tasks</b> from {words.markup(bar.first.task_key)}<br>{took}"
    attempt = bar.first
    text = f"<b>{words.markup(attempt.attempt_id)}</b> {bar.outcome}<br>{took} ({words.seconds(attempt.seconds)})"
    if attempt.requested and attempt.requested != attempt.worker:
        text += f"<br>asked of worker {words.markup(attempt.requested)}"
    if attempt.error:
        message = f"{attempt.error.get('type', '')}: {str(attempt.error.get('message', ''))[:120]}"
        text += f"<br>{words.markup(message)}"
    return text


def _busy_map(told: History, ran: Sequence[Try], workers: Sequence[str]) -> go.Figure:
    """Attempts running per worker and time bin; failed and lost attempts as marks on top."""
    row = {w: i for i, w in enumerate(workers)}
    step = told.seconds / BINS
    running = np.zeros((len(workers), BINS + 1))
    for attempt in ran:
        start, finish = told.at(attempt.started) / step, told.at(attempt.finished) / step
        _add_span(running[row[attempt.worker]], start, finish)
    figure = go.Figure(
        go.Heatmap(
            x=(np.arange(BINS) + 0.5) * step,
            y=np.arange(len(workers)),
            z=np.round(running[:, :BINS], 2).astype(np.float32),
            colorscale=[[0, "#f4f7f9"], [1, BLUE]],
            zmin=0,
            colorbar={"title": {"text": "running"}, "thickness": 10, "outlinewidth": 0},
            text=None,
            hovertemplate="worker %{y}: %{z:.2f} attempts running at %{x:.3g} s<extra></extra>",
        )
    )
    for outcome in (FAILED, LOST):
        bad = [t for t in ran if t.outcome == outcome][:MARKED]
        figure.add_trace(
            go.Scatter(
                x=[told.at(t.finished) for t in bad],
                y=[row[t.worker] for t in bad],
                mode="markers",
                name=outcome,
                marker={"color": COLORS[outcome], "size": 6},
                hovertext=[words.markup(t.attempt_id) for t in bad],
                hoverinfo="text",
            )
        )
    figure.update_yaxes(title={"text": f"{words.count(len(workers))} workers"}, autorange="reversed", showgrid=False)
    return figure


def _add_span(row: np.ndarray[tuple[int], np.dtype[np.float64]], start: float, finish: float) -> None:
    """Add the part of each bin that [start, finish) covers, in bins."""
    first, last = int(start), min(int(finish), len(row) - 1)
    if first == last:
        row[first] += finish - start
        return
    row[first] += first + 1 - start
    row[first + 1 : last] += 1.0
    row[last] += finish - last


def _marks(figure: go.Figure, told: History, summary: Summary) -> None:
    """Where the plan said the end would be, the bound, and where a new driver took over."""
    for session in told.sessions[1:]:
        _mark(figure, told, session.offset, "resumed", INK)
    base = told.last.offset if told.last else 0.0
    predicted = summary.predicted_makespan
    if predicted and base + predicted <= told.seconds:
        _mark(figure, told, base + predicted, "planned end", MUTED)


def _mark(figure: go.Figure, told: History, x: float, text: str, color: str) -> None:
    """A dashed line with its name above the plot, kept inside the figure."""
    anchor = "right" if x > 0.85 * told.seconds else "left"
    note = {"text": text, "yref": "paper", "y": 1.0, "yanchor": "bottom", "xanchor": anchor, "font": {"color": color}}
    figure.add_vline(x=x, line={"color": color, "width": 1.5, "dash": "dash"}, annotation=note)


def _axis(told: History, summary: Summary) -> str:
    """What the axis counts, and what passed before it begins."""
    if len(told.sessions) > 1:
        return "seconds since the start (pauses between sessions left out)"
    if summary.start_seconds < 0.01 * told.seconds:
        return "seconds since the start"
    return f"seconds, after {words.seconds(summary.start_seconds)} until all was ready"
