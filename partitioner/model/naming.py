"""What names columns: one by its name, or several in a list."""

from __future__ import annotations

from collections.abc import Iterable

from partitioner.errors import ConfigError


def column_names(given: str | Iterable[str] | None, option: str = "columns") -> tuple[str, ...] | None:
    """The names meant: one of a text, None for all. Raises ConfigError where one is no text, or there is none."""
    if given is None or isinstance(given, str):
        return None if given is None else (given,)
    names = tuple(given) if isinstance(given, Iterable) else (given,)
    if not names or not all(isinstance(name, str) for name in names):
        raise ConfigError(f"{option} is {given!r}; give the name of a column, or a list of names.")
    return names
