"""The report of an iteration: one small page that needs no network, with the loss and the seconds of each round drawn."""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from dataclasses import asdict
from math import isfinite, log10

from partitioner.iteration.session import Round
from partitioner.storage import Directory

WIDTH, HEIGHT, MARGIN = 720, 220, 40  # pixels

STYLE = (
    "body{font:14px sans-serif;margin:2em;max-width:50em} td,th{padding:2px 10px;text-align:right} h2{font-size:1.1em}"
)


def write_report(directory: Directory, run_id: str, rounds: Sequence[Round], converged: bool) -> None:
    """``rounds.json`` and ``report.html`` in the run directory."""
    directory.put("rounds.json", json.dumps([asdict(r) for r in rounds]).encode())
    directory.put("report.html", page(run_id, rounds, converged).encode())


def page(run_id: str, rounds: Sequence[Round], converged: bool) -> str:
    """The page as text."""
    end = "converged" if converged else "stopped at the limit of rounds"
    losses = [(r.number, r.loss) for r in rounds if r.loss is not None and isfinite(r.loss)]
    seconds = [(r.number, r.seconds) for r in rounds]
    drawn = _drawn("loss", losses) if losses else "<p>No loss: the merged output has none.</p>"
    return (
        f"<!doctype html><html lang='en'><head><meta charset='utf-8'><title>Rounds of {html.escape(run_id)}</title>"
        f"<style>{STYLE}</style></head><body><h1>{len(rounds)} rounds, {end}</h1><p>{html.escape(run_id)}</p>"
        f"{drawn}{_drawn('seconds', seconds)}{_table(rounds)}</body></html>"
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
        f"<h2>{name} by round{scale}</h2><svg viewBox='0 0 {WIDTH} {HEIGHT}' role='img' aria-label='{name} by round'>"
        f"<polyline points='{path}' fill='none' stroke='#1f6f8b' stroke-width='2'/>"
        f"<text x='0' y='{MARGIN - 8}'>{max(values):.6g}</text>"
        f"<text x='0' y='{HEIGHT - MARGIN + 18}'>{min(values):.6g}</text>"
        f"<text x='{WIDTH - MARGIN}' y='{HEIGHT - 8}' text-anchor='end'>round {points[-1][0]}</text></svg>"
    )


def _table(rounds: Sequence[Round]) -> str:
    rows = "".join(
        f"<tr><td>{r.number}</td><td>{'' if r.loss is None else format(r.loss, '.8g')}</td><td>{r.seconds:.4f}</td>"
        f"<td>{r.load_seconds:.4f}</td><td>{r.rows}</td><td>{'yes' if r.replayed else ''}</td></tr>"
        for r in rounds
    )
    heads = "".join(f"<th>{h}</th>" for h in ("round", "loss", "seconds", "reading", "rows", "replayed"))
    return f"<table><tr>{heads}</tr>{rows}</table>"
