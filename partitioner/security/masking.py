"""Secrets stay out of everything that is written: run directories, reports, logs, messages.

A secret is the value of an environment variable that a configuration names as ``${NAME}`` or whose own name says so, the
value of a setting whose name says so (``token``, ``api_key``, ...), or the password in a URL or a connection string.
``recognising`` tells them apart; ``known_secrets`` keeps those that a process has met, and masks text with them on the way
out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from partitioner.known_secrets import MASK, remember
from partitioner.security.recognising import in_environment, in_text, is_secret_value, parts_of, secrets_in


def remember_settings(values: Any) -> None:
    """Mask the secrets of settings."""
    _remember_all(secrets_in(values))


def remember_variable(name: str, value: str) -> None:
    """Mask the value of an environment variable that a configuration names; paths, URLs and numbers are no secrets."""
    _remember_all(in_text(value))
    if is_secret_value(value):
        remember(dict.fromkeys((value, *parts_of(value)), f"${{{name}}}"))


def remember_environment(variables: Mapping[str, str]) -> None:
    """Mask what the names of a process's variables call secrets: programs that fail may tell all of them."""
    _remember_all(in_environment(variables))


def _remember_all(secrets: Iterable[str]) -> None:
    remember(dict.fromkeys(secrets, MASK))
