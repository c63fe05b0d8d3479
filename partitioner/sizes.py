"""Sizes, times and counts as people write them."""

from __future__ import annotations

from math import ceil, floor, inf, log10
from typing import Any

from partitioner.errors import ConfigError

_UNITS = {
    "b": 1,
    "kb": 10**3,
    "mb": 10**6,
    "gb": 10**9,
    "tb": 10**12,
    "kib": 2**10,
    "mib": 2**20,
    "gib": 2**30,
    "tib": 2**40,
    "ki": 2**10,
    "mi": 2**20,
    "gi": 2**30,
    "ti": 2**40,
}


def parse_bytes(value: Any) -> float:
    """Bytes from a number or from text such as ``"4GB"`` (10^9), ``"512MiB"`` or ``"512Mi"`` (2^20). Raises ConfigError."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    text = str(value).strip().lower().replace(" ", "")
    digits = text.rstrip("abcdefghijklmnopqrstuvwxyz")
    try:
        size = float(digits) * _UNITS[text[len(digits) :] or "b"]
    except (ValueError, KeyError):
        size = inf
    if not size < inf:
        raise ConfigError(f"{value!r} is no size in bytes; write a number or for example '4GB' or '512MiB'.")
    return size


def as_bytes(value: float) -> str:
    """``62 bytes``, ``262MB``: what ``parse_bytes`` reads as ``value`` or, of three digits, a little more."""
    if not 1e6 <= value < inf:
        return f"{value:.6g} bytes"
    unit = next(u for u in ("tb", "gb", "mb") if value >= _UNITS[u])
    step = 10.0 ** (floor(log10(value / _UNITS[unit])) - 2)
    return f"{ceil(value / _UNITS[unit] / step - 1e-9) * step:.6g}{unit.upper()}"


def counted(count: int, what: str) -> str:
    """``1 worker``, ``2 workers``."""
    return f"{count} {what}{'s' * (count != 1)}"


_SECONDS = {"": 1.0, "s": 1.0, "sec": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


def parse_seconds(value: Any) -> float:
    """Seconds above 0 from a number or from text such as ``"90s"``, ``"15min"``, ``"2h"``. Raises ConfigError."""
    text = str(value).strip().lower().replace(" ", "")
    digits = text.rstrip("abcdefghijklmnopqrstuvwxyz")
    try:
        seconds = float(digits) * _SECONDS[text[len(digits) :]]
    except (ValueError, KeyError):
        seconds = 0.0
    if isinstance(value, bool) or not 0 < seconds < inf:
        raise ConfigError(f"{value!r} is no time; write seconds above 0, or for example '15min' or '2h'.")
    return seconds
