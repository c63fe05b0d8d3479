"""Sizes in bytes as people write them."""

from __future__ import annotations

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
}


def parse_bytes(value: Any) -> float:
    """Bytes from a number or from text such as ``"4GB"`` (10^9) or ``"512MiB"`` (2^20). Raises ConfigError."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    text = str(value).strip().lower().replace(" ", "")
    digits = text.rstrip("abcdefghijklmnopqrstuvwxyz")
    try:
        return float(digits) * _UNITS[text[len(digits) :] or "b"]
    except (ValueError, KeyError):
        raise ConfigError(f"{value!r} is no size in bytes; write a number or for example '4GB' or '512MiB'.") from None
