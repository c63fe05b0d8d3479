"""Whether what a user gives as a number is one, before it is compared with anything."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

from partitioner.errors import ConfigError


def check_number(name: str, value: Any, whole: bool = False) -> None:
    """Raise ConfigError where ``value`` is no number, or no whole one; truth values are none."""
    if isinstance(value, bool) or not isinstance(value, Integral if whole else Real):
        hint = (
            " YAML takes 1e-8 for text; write 1.0e-8."
            if isinstance(value, str) and "e" in value.lower() and _reads_as_number(value)
            else ""
        )
        raise ConfigError(f"{name} is {value!r}; give a {'whole ' if whole else ''}number.{hint}")


def _reads_as_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
