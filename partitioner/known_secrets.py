"""The secrets that this process has met, and texts without them: all that is written goes through here.

``security.masking`` says what is a secret.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from urllib.parse import quote, unquote

MASK = "<masked>"

SHORTEST = 6
"""Characters: what is shorter occurs by chance, and masking it would make logs unreadable."""

_known: dict[str, str] = {}


def known() -> dict[str, str]:
    """The secrets of this process and what is written instead: for the job, which takes them to workers sealed."""
    return dict(_known)


def remember(secrets: Mapping[str, str]) -> None:
    """Mask these from now on: secret to what is written instead, where a variable's name says more than ``MASK``."""
    for secret, shown in secrets.items():
        for value in dict.fromkeys((secret, unquote(secret))):  # of a URL's password also what it stands for
            if len(value) >= SHORTEST and (shown != MASK or value not in _known):
                _known[value] = shown


def masked(text: str) -> str:
    """``text`` without the secrets that this process knows, however JSON, HTML, Python or a URL would write them."""
    for value, shown in sorted(_known.items(), key=lambda item: -len(item[0])):
        for form in _forms(value):
            if form in text:
                text = text.replace(form, shown)
    return text


def masked_names(names: Sequence[str]) -> list[str]:
    """Names of data as they are written down, without secrets: what is compared with what was written goes by them too."""
    return masked("\0".join(names)).split("\0") if names and _known else list(names)


def masked_bytes(data: bytes) -> bytes:
    """``masked`` for text that is encoded already; what is no text is returned as it is."""
    if not _known:
        return data
    try:
        return masked(data.decode()).encode()
    except UnicodeDecodeError:
        return data


def _forms(value: str) -> Iterator[str]:
    data = value.encode(errors="surrogateescape")
    in_base64 = base64.b64encode(data).decode().rstrip("=")
    once = _quoted(value)
    twice = [form for each in once for form in _quoted(each)]  # an error that shows JSON, in a line of JSON
    yield from dict.fromkeys((value, *twice, *once, escape(value), quote(data, safe=""), in_base64))


def _quoted(value: str) -> list[str]:
    """As JSON and Python write a text."""
    return [t[1:-1] for t in (json.dumps(value), json.dumps(value, ensure_ascii=False), repr(value))]
