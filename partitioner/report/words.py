"""Numbers as people read them: seconds, bytes, counts, shares."""

from __future__ import annotations

from html import escape
from math import isfinite

NONE = "–"
NO_PREDICTION = "no prediction"

TIMES = 10.0
"""Ratio from which percent are hard to read."""


def seconds(value: float | None) -> str:
    """``0.42 s``, ``12.3 s``, ``4 min 05 s``, ``3 h 12 min``; a dash where unknown."""
    if value is None or not isfinite(value):
        return NONE
    size = abs(value)
    if size == 0:
        return "0 s"
    if size < 0.0995:
        return f"{value * 1000:.3g} ms"
    if size < 99.95:
        return f"{value:.3g} s"
    whole = round(size)
    sign = "-" if value < 0 else ""
    if whole < 3600:
        return f"{sign}{whole // 60} min {whole % 60:02d} s"
    return f"{sign}{whole // 3600} h {whole % 3600 // 60:02d} min"


def size(value: float | None) -> str:
    """Bytes with a decimal unit: ``174 MB``."""
    if value is None or not isfinite(value):
        return NONE
    for unit in ("B", "kB", "MB", "GB", "TB", "PB"):
        if abs(value) < 999.5 or unit == "PB":
            return f"{value:.3g} {unit}"
        value /= 1000
    raise AssertionError("unreachable")


def count(value: float | None) -> str:
    """Whole numbers with thousands separators: ``1,234``."""
    return NONE if value is None else f"{round(value):,}"


def short(value: float) -> str:
    """At most four characters of a count: ``950``, ``12.3k``, ``4.56M``."""
    for unit in ("", "k", "M", "G"):
        if abs(value) < 999.5:
            return f"{value:.3g}{unit}" if unit else f"{value:.0f}"
        value /= 1000
    return f"{value:.3g}T"


def share(value: float | None, digits: int = 1) -> str:
    """A ratio in percent: ``95.2 %``."""
    return NONE if value is None or not isfinite(value) else f"{value * 100:.{digits}f} %"


def compared(actual: float | None, predicted: float | None, predicts: bool) -> str:
    """``change``, or that nothing was predicted."""
    return change(actual, predicted) if predicts else NO_PREDICTION


def change(actual: float | None, predicted: float | None) -> str:
    """How far actual lies from predicted: ``+6.5 %``, ``23 times`` from ten times on."""
    if actual is None or predicted is None or not predicted or not isfinite(actual / predicted):
        return NONE
    ratio = actual / predicted
    return f"{ratio:,.0f} times" if ratio >= TIMES else f"{(ratio - 1) * 100:+.1f} %"


def markup(text: object) -> str:
    """User text for plotly's labels: nothing in it is taken as a tag or an entity."""
    return escape(str(text), quote=False)
