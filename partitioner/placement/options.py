"""Options of algorithms: numbers and mappings that are refused by name, with the limit, before anything is planned."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from numbers import Real
from typing import Any

from partitioner.errors import ConfigError


def number(name: str, value: Any, least: float, below: float = float("inf"), above: bool = False) -> float:
    """``value`` as a float of at least ``least`` (above it, where ``above``) and below ``below``; ConfigError otherwise."""
    right = isinstance(value, Real) and not isinstance(value, bool)
    if not right or not least <= value < below or (above and value == least):
        limit = f"above {least:g}" if above else f"at least {least:g}"
        upper = f" and below {below:g}" if below < float("inf") else " and finite"
        raise ConfigError(f"{name} {value!r}: it must be a number, {limit}{upper}")
    return float(value)


def numbers(name: str, values: Any, least: float = 0.0) -> dict[str, float]:
    """Worker id to a number of at least ``least``; None for none. ConfigError names the entry."""
    if values is None:
        return {}
    if not isinstance(values, Mapping):
        raise ConfigError(f"{name} {values!r}: write a mapping of worker id to number")
    return {str(worker): number(f"{name} of worker {worker!r}:", value, least) for worker, value in values.items()}


def texts(name: str, values: Any) -> dict[str, tuple[str, ...]] | None:
    """Task id to texts; None for none. ConfigError names the entry."""
    if values is None:
        return None
    if not isinstance(values, Mapping):
        raise ConfigError(f"{name} {values!r}: write a mapping of task id to a list of hosts")
    for task, held in values.items():
        if isinstance(held, str) or not isinstance(held, Collection):
            raise ConfigError(f"{name} of task {task!r}: {held!r} is no list of hosts")
    return {str(task): tuple(map(str, held)) for task, held in values.items()}


def count(name: str, value: Any) -> int | None:
    """A whole number above 0, or None."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigError(f"{name} {value!r}: it must be a whole number of at least 1")
    return value
