"""The report of an iteration: one small page that needs no network, with the loss and the seconds of each round drawn."""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from dataclasses import asdict
from math import isfinite, log10

from partitioner.iteration.session import Round
from partitioner.report import words
from partitioner.report.style import CSS
from partitioner.storage import Directory

WIDTH, HEIGHT, MARGIN = 720, 220, 40  # pixels

SHOWN = 50
"""Rounds whose table is open from the start."""


def write_report(directory: Directory, run_id: str, rounds: Sequence[Round], converged: bool) -> None:
    """``rounds.json`` and ``report.html`` in the run directory."""
    directory.put("rounds.json", json.dumps([asdict(r) for r in rounds]).encode())
    directory.put("report.html", page(run_id, rounds, converged).encode())


def page(run_id: str, rounds: Sequence[Round], converged: bool) -> str:
    """The page as text."""
    end = "converged" if converged else "stopped at the limit of rounds"
    losses = [(r.number, r.loss) for r in rounds if r.loss is not None and isfinite(r.loss)]
    seconds = [(r.number, r.seconds) for r in rounds]
    drawn = _drawn("loss", losses) if losses else "<section>No loss: the merged output has none.</section>"
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Rounds of {html.escape(run_id)}</title><style>{CSS}</style></head><body><main>"
        f"<header><h1>{words.count(len(rounds))} rounds, {end}</h1></header>"
        f'<p class="lead">{html.escape(run_id)}</p>{drawn}{_drawn("seconds", seconds)}{_table(rounds)}'
        "</main></body></html>"
    )


def _drawn(name: str, points: Sequence[tuple[int, float]]) -> str:
    """A line of values over rounds; the axis is logarithmic where all are above 0 and spread over a factor of 100."""
    values = [v for _, v in points]
    steep = min(values) > 0 and max(values) > 100 * min(values)
    heights = [log10(v) for v in values] if steep else values
    low, high = min(heights), max(heights)
    last = max(points[-1][0], 1)
    wide, tall, spread = WIDTH - 2 * MARGIN, HEIGHT - 2 * MARGIN, (high - low) or 1.0
    spots = [
        (MARGIN + wide * n / last, HEIGHT - MARGIN - tall * (h - low) / spread)
        for (n, _), h in zip(points, heights, strict=True)
    ]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in spots)
    scale = ", logarithmic" if steep else ""
    return (
        f"<section><h2>{name} by round{scale}</h2>"
        f"<svg viewBox='0 0 {WIDTH} {HEIGHT}' role='img' aria-label='{name} by round'>"
        f"<polyline points='{path}' fill='none' stroke='#2b7a9b' stroke-width='2'/>"
        f"<text x='0' y='{MARGIN - 8}'>{max(values):.6g}</text>"
        f"<text x='0' y='{HEIGHT - MARGIN + 18}'>{min(values):.6g}</text>"
        f"<text x='{WIDTH - MARGIN}' y='{HEIGHT - 8}' text-anchor='end'>round {points[-1][0]}</text></svg></section>"
    )


def _table(rounds: Sequence[Round]) -> str:
    rows = "".join(
        f'<tr><td class="n">{r.number}</td><td class="n">{"" if r.loss is None else format(r.loss, ".8g")}</td>'
        f'<td class="n">{r.seconds:.4f}</td><td class="n">{r.load_seconds:.4f}</td><td class="n">{words.count(r.rows)}</td>'
        f"<td>{'yes' if r.replayed else ''}</td></tr>"
        for r in rounds
    )
    named = ("round", "loss", "seconds", "reading, s", "rows")
    heads = "".join(f'<th class="n">{h}</th>' for h in named) + "<th>replayed</th>"
    table = f'<div class="wide"><table><tr>{heads}</tr>{rows}</table></div>'
    opened = " open" if len(rounds) <= SHOWN else ""
    return f"<section><details{opened}><summary>Every round</summary>{table}</details></section>"
