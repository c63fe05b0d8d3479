"""What is a secret, and so stays out of everything that is written: run directories, reports, logs, messages.

A secret is the value of an environment variable that a configuration names as ``${NAME}``, the value of a setting whose
name says so (``token``, ``api_key``, ...), or the password in a URL. ``known_secrets`` keeps those that a
process has met, and masks text with them on the way out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from partitioner.known_secrets import MASK, remember

FEW = 8
"""A longer list under such a name is data (a vocabulary of tokens), not secrets."""

_WORDS = frozenset(
    {
        "token",
        "secret",
        "secrets",
        "password",
        "passwd",
        "pwd",
        "passphrase",
        "credential",
        "credentials",
        "apikey",
        "sas",
    }
    | {"authorization", "signature"}
)
_PAIRS = frozenset(
    {
        "api key",
        "access key",
        "secret key",
        "private key",
        "account key",
        "session key",
        "connection string",
        "auth header",
    }
)
_SPLIT = re.compile(r"[^A-Za-z0-9]+|(?<=[a-z0-9])(?=[A-Z])")
_USERINFO = re.compile(r"://[^/\s:@]*:([^/\s@]+)@")
_QUERY = re.compile(r"[?&](?:password|token|sig|signature|secret|access_key|api_key)=([^&\s]+)", re.IGNORECASE)
_PLACE = re.compile(r"[/~.]|[A-Za-z][\w+.-]*://")


def remember_variable(name: str, value: str) -> None:
    """Mask the value of an environment variable that a configuration names; paths, URLs and numbers are no secrets."""
    remember(secrets_in(value))
    if not _PLACE.match(value) and not _is_number(value):
        remember({value: f"${{{name}}}"})


def secrets_in(values: Any, named: bool = False) -> dict[str, str]:
    """Secrets by the names of settings and by the passwords of URLs, at any depth of plain values."""
    found: dict[str, str] = {}
    if isinstance(values, Mapping):
        for key, value in values.items():
            found |= secrets_in(value, named or says_secret(str(key)))
    elif isinstance(values, list | tuple):
        for value in values:
            found |= secrets_in(value, named and len(values) <= FEW)
    elif isinstance(values, str):
        found |= {match[1]: MASK for pattern in (_USERINFO, _QUERY) for match in pattern.finditer(values)}
        if named and not _is_number(values) and not values.startswith("${"):
            found[values] = MASK
    return found


def says_secret(name: str) -> bool:
    """Whether a setting of that name holds a secret: ``hf_token`` does, ``tokenizer`` and ``max_tokens`` do not."""
    words = [word.lower() for word in _SPLIT.split(name) if word]
    if words and words[0] in ("max", "min", "num", "n"):
        return False
    return bool(_WORDS & set(words)) or any(" ".join(pair) in _PAIRS for pair in pairwise(words))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return text.lower() in ("true", "false", "null", "none", "yes", "no")
    return True
