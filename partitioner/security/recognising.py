"""What is a secret: by the name that it has in settings or in the environment, and by its place in a URL or a text."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

FEW = 8
"""A longer list under such a name is data (a vocabulary of tokens), not secrets."""

SHORTEST_LINE = 20
"""Characters of a line of a secret of several lines (a private key) that is a secret by itself."""

SHORTEST_OF_ENVIRONMENT = 8
"""Characters: shorter values of the environment, which has no part in the run, are rather words than secrets."""

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
        "authorization",
        "signature",
    }
)
_ENDS = ("password", "passwd", "passphrase", "apikey", "token", "secret")
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
        "partitioner key",
    }
)
_SPLIT = re.compile(r"[^A-Za-z0-9]+|(?<=[a-z0-9])(?=[A-Z])")
_USERINFO = re.compile(r"://[^/\s:@]*:([^/\s@]+)@")
_ASSIGNED = re.compile(r"(?:^|[?&;\s])([\w.-]+)=([^&;\s]+)")
_HEADER = re.compile(r"(?:^|[\s'\"])([\w-]+):[ \t]*((?:(?:Bearer|Basic|Token|Digest)\s+)?[^\s'\",;]+)", re.IGNORECASE)
_SCHEME = re.compile(r"(?:Bearer|Basic|Token|Digest)\s+(\S+)", re.IGNORECASE)
_PLACE = re.compile(r"[/~.]|[A-Za-z][\w+.-]*://")


def secrets_in(values: Any, named: bool = False) -> list[str]:
    """Secrets by the names of settings and by their places in URLs and texts, at any depth of plain values."""
    return list(dict.fromkeys(_secrets(values, named)))


def _secrets(values: Any, named: bool) -> Iterator[str]:
    if isinstance(values, Mapping):
        for key, value in values.items():
            yield from _secrets(value, named or says_secret(str(key)))
    elif isinstance(values, list | tuple):
        for value in values:
            yield from _secrets(value, named and len(values) <= FEW)
    elif isinstance(values, str):
        yield from in_text(values)
        if named and not is_number(values) and not values.startswith("${"):
            yield values
            yield from parts_of(values)


def in_text(text: str) -> Iterator[str]:
    """Passwords of URLs, connection strings and headers, and what JSON in a text calls a secret."""
    yield from (match[1] for match in _USERINFO.finditer(text))
    named = (m[2].strip("'\"") for m in _ASSIGNED.finditer(text) if m[1].lower() == "sig" or says_secret(m[1]))
    yield from (value for value in named if not is_number(value) and not value.startswith("${"))
    headers = (
        m[2]
        for m in _HEADER.finditer(text)
        if says_secret(m[1]) and not (m[2].isalpha() and (m[2].istitle() or _is_word(m[2])))
    )
    for value in (value for value in headers if is_secret_value(value) and not value.startswith("${")):
        yield value
        yield from parts_of(value)
    if _SCHEME.fullmatch(text) and (text[:6].lower() == "bearer" or any(_of_basic(text))):
        yield from parts_of(text)
    if text.lstrip().startswith("{"):
        try:
            yield from _secrets(json.loads(text), False)
        except (ValueError, RecursionError):
            return


def parts_of(secret: str) -> Iterator[str]:
    """What a secret holds that is one by itself: a token behind its scheme, a password in base64, lines of a key."""
    if match := _SCHEME.fullmatch(secret):
        yield match[1]
        yield from _of_basic(secret)
    lines = [line.strip() for line in secret.splitlines()]
    if len(lines) > 1:
        yield from (line for line in lines if len(line) >= SHORTEST_LINE and not line.startswith("-----"))


def _of_basic(header: str) -> Iterator[str]:
    """The password of ``Basic base64(user:password)``."""
    try:
        _, colon, password = base64.b64decode(header.split()[-1], validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return
    if colon and header[:5].lower() == "basic":
        yield password


def in_environment(variables: Mapping[str, str]) -> list[str]:
    """Values that the names of variables call secrets, and passwords of URLs; a word of small letters is none."""
    found: list[str] = []
    for name, value in variables.items():
        found += _USERINFO.findall(value)
        if says_secret(name) and is_secret_value(value):
            found += [value, *parts_of(value)]
    return [value for value in found if len(value) >= SHORTEST_OF_ENVIRONMENT and not _is_word(value)]


def is_secret_value(value: str) -> bool:
    """Paths, URLs and numbers are no secrets, whatever the name of the variable that holds them."""
    return not _PLACE.match(value) and not is_number(value)


def says_secret(name: str) -> bool:
    """Whether a setting of that name holds a secret: ``hf_token`` does, ``tokenizer`` and ``max_tokens`` do not."""
    words = [word.lower() for word in _SPLIT.split(name) if word]
    if words and words[0] in ("max", "min", "num", "n"):
        return False
    by_word = any(word in _WORDS or word.endswith(_ENDS) for word in words)
    return by_word or any(" ".join(pair) in _PAIRS for pair in pairwise(words))


def is_number(text: str) -> bool:
    """Whether it is a number or a word such as ``true``, which masks would make unreadable everywhere."""
    try:
        float(text)
    except ValueError:
        return text.lower() in ("true", "false", "null", "none", "yes", "no")
    return True


def _is_word(text: str) -> bool:
    return text.isascii() and text.isalpha() and text.islower()
