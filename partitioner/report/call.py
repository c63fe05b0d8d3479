"""From the call to the result: every second under its name, one bar after the other."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from partitioner.report import words
from partitioner.report.figures import BLUE, LIGHT, styled
from partitioner.report.summary import Summary

WORK = "run"
"""The phase in which sub-tasks run; what else there is comes before and after."""

REST = "between these"
ROOM = 0.08
"""Share of the axis to the right of the last bar, for its seconds."""

LEAST = 0.01
"""Share of the call from which what no phase names is a bar of its own."""


def steps(s: Summary) -> list[tuple[str, float]]:
    """(name, seconds) of every phase in the order in which they came, and what none of them names."""
    rest = (s.call_seconds or 0.0) - sum(took for _, took in s.phases)
    return [*s.phases, *([(REST, rest)] if rest >= LEAST * (s.call_seconds or 0.0) > 0 else [])]


def call_bars(s: Summary) -> go.Figure | None:
    """A bar for each phase, each beginning where the one before ends; None where the run noted none."""
    if s.call_seconds is None or not s.phases:
        return None
    names, took = zip(*steps(s), strict=True)
    ends = np.cumsum(took)
    figure = go.Figure(
        go.Bar(
            orientation="h",
            base=(ends - took).tolist(),
            x=list(took),
            y=list(range(len(took))),
            text=[words.seconds(t) for t in took],
            textposition="auto",
            textangle=0,
            cliponaxis=False,
            marker={"color": [BLUE if name == WORK else LIGHT for name in names]},
            hovertext=[
                f"<b>{words.markup(n)}</b> {words.seconds(t)}, {words.share(t / s.call_seconds)}"
                for n, t in zip(names, took, strict=True)
            ],
            hoverinfo="text",
        )
    )
    figure.update_xaxes(title={"text": "seconds since the call"}, range=[0, float(ends[-1]) * (1 + ROOM)])
    labels = [words.markup(n) for n in names]
    figure.update_yaxes(tickvals=list(range(len(took))), ticktext=labels, autorange="reversed", showgrid=False)
    return styled(figure, 64 + 22 * len(took), bargap=0.2, showlegend=False)


def call_note(s: Summary) -> str:
    """How long it was, and what was expected when the plan was made."""
    if s.call_seconds is None:
        return ""
    told = f"{words.seconds(s.call_seconds)} from call to result"
    if s.predicted_call_seconds is not None and s.sessions == 1:
        told += (
            f"; when the plan was made, {words.seconds(s.predicted_call_seconds)} were expected until the last sub-task"
        )
    return f"{told}. Dark: sub-tasks run, which the timeline shows."
