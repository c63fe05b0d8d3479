"""A configuration as ``run.json`` holds it: plain values, secrets masked, live objects by their type."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from partitioner import known_secrets
from partitioner.config.run_config import RunConfig
from partitioner.security.recognising import secrets_in


def plain(config: RunConfig) -> dict[str, Any]:
    """The configuration as JSON can hold it; live objects become a description of their type."""
    return {name: _plain(getattr(config, name)) for name in RunConfig.model_fields}


MOST_WRITTEN = 1000
"""Entries of a list that ``run.json`` holds at most."""


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        # Credentials do not belong in run.json; workers get theirs with the job.
        return {str(k): _plain_named(str(k), v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        # Data given as a list lies in the run's input, and is not written down a second time.
        return [_plain(v) for v in value] if len(value) <= MOST_WRITTEN else f"<{type(value).__name__} of {len(value)}>"
    if isinstance(value, str):
        return known_secrets.masked(value)
    if value is None or isinstance(value, bool | int | float):
        return value
    if callable(value) and hasattr(value, "__qualname__"):
        return f"<{value.__module__}:{value.__qualname__}>"
    return f"<{type(value).__name__}>"


def _plain_named(name: str, value: Any) -> Any:
    """A value under a name; one that the name calls a secret is masked however short it is."""
    if name == "storage_options":
        return "<not written down>"
    shown = _plain(value)
    secret = isinstance(value, str) and shown == value and value in secrets_in({name: value})
    return known_secrets.MASK if secret else shown
