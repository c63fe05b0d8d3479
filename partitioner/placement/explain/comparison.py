"""The table of ``compare``: terminal text and one self-contained HTML page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from partitioner.model import Plan
from partitioner.placement.explain.gantt import to_svg

_COLUMNS = (
    ("algorithm", "algorithm", "{}"),
    ("makespan", "makespan s", "{:.6g}"),
    ("lower_bound", "lower bound s", "{:.6g}"),
    ("gap", "gap", "{:.2%}"),
    ("utilization", "utilization", "{:.1%}"),
    ("loss", "loss", "{:.4g}"),
    ("money", "money", "{:.4g}"),
    ("planning_seconds", "planning s", "{:.3f}"),
)


def cells(row: Mapping[str, Any]) -> list[str]:
    """The formatted figures of one row; an optimum that is proven says so."""
    texts = [form.format(row[key]) for key, _, form in _COLUMNS]
    return [*texts, "proven optimal" if row["proven_optimal"] else ""]


def to_text(rows: Sequence[Mapping[str, Any]], refused: Mapping[str, str]) -> str:
    """Columns aligned with blanks, then one line per algorithm that did not take part."""
    table = [[title for _, title, _ in _COLUMNS] + [""], *(cells(row) for row in rows)]
    widths = [max(len(line[c]) for line in table) for c in range(len(table[0]))]
    lines = [
        "  ".join(
            text.ljust(w) if c == 0 else text.rjust(w) for c, (text, w) in enumerate(zip(line, widths, strict=True))
        )
        for line in table
    ]
    lines += [f"{name}: not run, {why}" for name, why in refused.items()]
    return "\n".join(line.rstrip() for line in lines)


_STYLE = """body{font:14px system-ui,sans-serif;margin:2rem;color:#222}table{border-collapse:collapse}
td,th{padding:.3rem .8rem;border-bottom:1px solid #ddd;text-align:right}td:first-child,th:first-child{text-align:left}
th{background:#f4f4f6}li{color:#555}"""


def to_html(rows: Sequence[Mapping[str, Any]], refused: Mapping[str, str], best: Plan | None) -> str:
    """A page that opens without a network: table, what did not run and why, Gantt chart of the best plan."""
    head = "".join(f"<th>{escape(title)}</th>" for _, title, _ in _COLUMNS) + "<th></th>"
    body = "".join("<tr>" + "".join(f"<td>{escape(text)}</td>" for text in cells(row)) + "</tr>" for row in rows)
    missing = "".join(f"<li>{escape(name)}: {escape(why)}</li>" for name, why in refused.items())
    picture = ""
    if best is not None and len(best):
        picture = f"<h2>Best plan: {escape(best.algorithm)}</h2>{to_svg(best)}"
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Placement comparison</title><style>{_STYLE}</style>'
        f"<h1>Placement comparison</h1><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        f"{'<h2>Not run</h2><ul>' + missing + '</ul>' if missing else ''}{picture}</html>"
    )
