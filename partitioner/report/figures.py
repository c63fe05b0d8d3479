"""Figures of the report page, drawn by plotly: predicted against actual, memory, and what each worker did."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go

from partitioner.report import words
from partitioner.report.facts import Facts, Floats
from partitioner.report.summary import Summary, WorkerLoad, of_other_slots, predictions

INK, MUTED, LINE, BLUE, LIGHT, RED, AMBER, GREY = (
    "#1c2733",
    "#66727f",
    "#e3e8ed",
    "#2b7a9b",
    "#9cc9db",
    "#cc3d4a",
    "#e39a2d",
    "#aab4be",
)
POINTS = 4000  # points drawn one by one; beyond, their density and the farthest ones
OUTLIERS = 200
SAMPLE = 1500  # sub-tasks in the figure of memory
WORKERS = 60  # bars drawn one by one; beyond, their distribution
DECADES = 20.0  # largest over smallest from which an axis is logarithmic


def styled(figure: go.Figure, height: int, **layout: Any) -> go.Figure:
    """One look for all figures: quiet axes, the page's font, no margins wasted."""
    figure.update_layout(
        template="none",
        height=height,
        margin={"l": 64, "r": 16, "t": 8, "b": 44},
        font={"family": "Inter, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif", "size": 12, "color": INK},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        hoverlabel={"bgcolor": "#ffffff", "bordercolor": GREY, "font": {"color": INK}},
        legend={
            "orientation": "h",
            "y": 1.0,
            "yanchor": "bottom",
            "x": 0,
            "font": {"color": MUTED},
            "traceorder": "normal",
        },
        modebar={"bgcolor": "rgba(0,0,0,0)", "color": GREY, "activecolor": BLUE},
        hovermode="closest",
        **layout,
    )
    axis = {"gridcolor": LINE, "zeroline": False, "linecolor": GREY, "tickfont": {"color": MUTED}, "automargin": True}
    figure.update_xaxes(**axis)
    figure.update_yaxes(**axis)
    return figure


def worker_name(worker_id: str) -> str:
    """How axes name a worker; Dask's are bare numbers."""
    return f"worker {worker_id}" if worker_id.isdigit() else words.markup(worker_id)


def seconds_scatter(facts: Facts) -> go.Figure | None:
    """Predicted against measured seconds, one point per sub-task, with the diagonal; None before the first commit."""
    predicted = predictions(facts)
    known = np.flatnonzero(np.isfinite(predicted) & np.isfinite(facts.seconds) & (predicted > 0) & (facts.seconds > 0))
    if not len(known):
        return None
    x, y = predicted[known], facts.seconds[known]
    log = max(x.max(), y.max()) > DECADES * min(x.min(), y.min())
    figure = go.Figure()
    if len(known) > POINTS:
        figure.add_trace(_density(x, y))
        farthest = np.argsort(-np.abs(np.log(y / x)), kind="stable")[:OUTLIERS]
        known, x, y = known[farthest], x[farthest], y[farthest]
    figure.add_trace(_points(facts, known, x, y))
    _diagonal(
        figure, np.concatenate([x, y]) if len(facts.keys) <= POINTS else np.concatenate([predicted, facts.seconds])
    )
    label = "predicted seconds"
    kind = (
        {"type": "log", "dtick": "D2"} if log else {"type": "linear"}
    )  # 1, 2 and 5: all nine digits lie on each other
    figure.update_xaxes(title={"text": label}, **kind)
    figure.update_yaxes(title={"text": "measured seconds"}, **kind)
    return styled(figure, 340, showlegend=False)


def _points(facts: Facts, known: Any, x: Floats, y: Floats) -> go.Scatter:
    texts = [
        f"<b>{words.markup(facts.keys[i])}</b> on {words.markup(facts.worker[i])}<br>predicted {words.seconds(a)}, "
        f"measured {words.seconds(b)} ({words.change(b, a)})"
        for i, a, b in zip(known.tolist(), x.tolist(), y.tolist(), strict=True)
    ]
    slow = y > 1.5 * x
    marker = {
        "size": 8 if len(x) <= 400 else 5,
        "color": np.where(slow, RED, BLUE).tolist(),
        "opacity": 0.75,
        "line": {"width": 1, "color": "#ffffff"},
    }
    return go.Scatter(x=x, y=y, mode="markers", marker=marker, text=texts, hoverinfo="text", name="sub-tasks")


def _density(x: Floats, y: Floats) -> go.Heatmap:
    """Counts on a grid of equal steps in the logarithm; empty cells stay clear."""
    edges = [np.linspace(np.log10(v.min()) - 1e-9, np.log10(v.max()) + 1e-9, 61) for v in (x, y)]
    counts, *_ = np.histogram2d(np.log10(y), np.log10(x), bins=[edges[1], edges[0]])
    centres = [10 ** ((e[1:] + e[:-1]) / 2) for e in edges]
    return go.Heatmap(
        x=centres[0],
        y=centres[1],
        z=np.where(counts > 0, counts, np.nan),
        colorscale=[[0, "#d6eaf2"], [1, BLUE]],
        showscale=False,
        hovertemplate="%{z} sub-tasks near predicted %{x:.3g} s, measured %{y:.3g} s<extra></extra>",
    )


def _diagonal(figure: go.Figure, values: Floats) -> None:
    good = values[np.isfinite(values) & (values > 0)]
    ends = [float(good.min()) * 0.9, float(good.max()) * 1.1]
    line = {"color": MUTED, "width": 1, "dash": "dot"}
    figure.add_trace(go.Scatter(x=ends, y=ends, mode="lines", line=line, hoverinfo="skip", name="predicted = measured"))


def memory_scatter(facts: Facts) -> go.Figure | None:
    """Predicted memory, with all that the process holds, against its peak, and against its growth while the sub-task ran;
    megabytes.
    """
    known = np.flatnonzero(np.isfinite(facts.peak_memory) & (facts.peak_memory > 0))
    if not len(known):
        return None
    if len(known) > SAMPLE:
        known = known[np.linspace(0, len(known) - 1, SAMPLE).astype(np.int64)]
    x = (facts.predicted_memory[known] + of_other_slots(facts)) / 1e6
    peak = facts.peak_memory[known] / 1e6
    growth = np.maximum(peak - facts.baseline_memory[known] / 1e6, 0.0)
    figure = go.Figure()
    for name, y, color in (("peak of the process", peak, BLUE), ("growth in the sub-task", growth, AMBER)):
        texts = [
            f"<b>{words.markup(facts.keys[i])}</b><br>predicted {words.size(a * 1e6)}, {name} {words.size(b * 1e6)}"
            for i, a, b in zip(known.tolist(), x.tolist(), y.tolist(), strict=True)
        ]
        marker = {"size": 7, "color": color, "opacity": 0.7, "line": {"width": 1, "color": "#ffffff"}}
        figure.add_trace(go.Scatter(x=x, y=y, mode="markers", marker=marker, text=texts, hoverinfo="text", name=name))
    top = float(max(x.max(), 1e-9))
    line = {"color": MUTED, "width": 1, "dash": "dot"}
    ends = [0.0, min(top, float(peak.max()) * 1.1)]
    figure.add_trace(go.Scatter(x=ends, y=ends, mode="lines", line=line, hoverinfo="skip", showlegend=False))
    figure.update_xaxes(title={"text": "predicted MB"}, rangemode="tozero")
    figure.update_yaxes(title={"text": "measured MB"}, rangemode="tozero")
    return styled(figure, 340, showlegend=True)


def worker_bars(summary: Summary) -> go.Figure | None:
    """Slot time of every worker: useful, wasted, idle. Beyond ``WORKERS`` workers, how many were busy how much."""
    loads = [w for w in summary.loads if w.available > 0]
    if not loads:
        return None
    if len(loads) > WORKERS:
        return _busy_histogram(loads)
    names = [worker_name(w.worker_id) for w in loads]
    useful = np.array([w.useful / w.available for w in loads])
    wasted = np.array([w.wasted / w.available for w in loads])
    idle = np.clip(1.0 - useful - wasted, 0.0, 1.0)
    texts = [
        f"<b>{name}</b>: {words.count(w.sub_tasks)} sub-tasks<br>useful {words.seconds(w.useful)}, failed or lost "
        f"{words.seconds(w.wasted)} of {words.seconds(w.available)} slot time"
        for name, w in zip(names, loads, strict=True)
    ]
    figure = go.Figure()
    rows = list(range(len(loads)))
    for label, part, color in (("useful", useful, BLUE), ("failed or lost", wasted, RED), ("idle", idle, "#edf1f4")):
        percent = [words.share(v, 0) if v > 0.06 else "" for v in part.tolist()]
        figure.add_trace(
            go.Bar(
                y=rows,
                x=part * 100,
                orientation="h",
                name=label,
                marker={"color": color},
                text=percent,
                textposition="inside",
                insidetextanchor="middle",
                textfont={"color": MUTED if label == "idle" else "#ffffff"},
                hovertext=texts,
                hoverinfo="text",
            )
        )
    figure.update_xaxes(range=[0, 100], title={"text": "share of slot time, %"})
    figure.update_yaxes(tickvals=rows, ticktext=names, autorange="reversed", showgrid=False)
    return styled(figure, max(170, 84 + 26 * len(loads)), barmode="stack", bargap=0.25)


def _busy_histogram(loads: list[WorkerLoad]) -> go.Figure:
    busy = np.array([min(1.0, (w.useful + w.wasted) / w.available) for w in loads]) * 100
    counts, edges = np.histogram(busy, bins=25, range=(0, 100))
    figure = go.Figure(go.Bar(x=(edges[1:] + edges[:-1]) / 2, y=counts, marker={"color": BLUE}, name="workers"))
    figure.update_xaxes(range=[0, 100], title={"text": "busy share of a worker's slot time, %"})
    figure.update_yaxes(title={"text": "workers"})
    return styled(figure, 260, bargap=0.05)
