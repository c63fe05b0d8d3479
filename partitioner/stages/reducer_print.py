"""The fingerprint of a reducer of the user's: its code, and what it was made with, of reducers inside it too.

Reducers of ours that are chosen by name need none: their name and options are settings, which are compared as such.
"""

from __future__ import annotations

import hashlib
import inspect
import re
from collections.abc import Mapping
from typing import Any

from partitioner import choices
from partitioner import program as programs
from partitioner.errors import ConfigError
from partitioner.reducers.base import Reducer
from partitioner.reducers.container import pack

_ADDRESS = re.compile(r" at 0x[0-9a-f]+")


def print_of(reducer: Reducer, named: bool) -> str:
    """A digest; empty where all of it is installed and was ``named`` with plain options.

    One that was loaded for a resume has that of its run.
    """
    known = programs.known_of(reducer)
    if known is not None:
        return str(known.get("reducer", ""))
    kinds = classes(reducer)
    if named and not any(programs.is_own(kind) for kind in kinds):
        return ""
    return hashlib.sha256(_described(reducer).encode()).hexdigest()


def around(program: Any, reducer: Reducer) -> dict[str, Any]:
    """``modules`` of the user's own that the program and the reducer import, with digests; ``libraries`` with versions."""
    found: dict[str, Any] = programs.surroundings(program)
    if programs.known_of(reducer) is None:
        for more in (programs.surroundings(kind) for kind in classes(reducer) if programs.is_own(kind)):
            found = {name: {**more[name], **found[name]} for name in found}
    return found


def classes(reducer: Any) -> list[type[Any]]:
    """The class as the user wrote it, and those of the reducers inside."""
    given = choices.given(reducer)
    inner = [held for value in vars(given).values() for held in _reducers(value)] if "__dict__" in dir(given) else []
    return [type(given), *(kind for held in inner for kind in classes(held))]


def is_named(text: Any) -> bool:
    """Whether a setting, as it is written down, names everything: nothing in it is a live object."""
    if isinstance(text, Mapping):
        return all(map(is_named, text.values()))
    if isinstance(text, list):
        return all(map(is_named, text))
    return not (isinstance(text, str) and text.startswith("<"))


def _reducers(value: Any) -> list[Any]:
    if isinstance(value, Reducer):
        return [value]
    return [v for v in value.values() if isinstance(v, Reducer)] if isinstance(value, Mapping) else []


def _described(value: Any) -> str:
    """A reducer by its code and state, in dicts and lists too; other values by their bytes as data, or as they are shown."""
    if isinstance(value, Reducer):
        given = choices.given(value)
        kind = type(given)
        code = programs.fingerprint(kind, {}) if programs.is_own(kind) else f"{kind.__module__}:{kind.__qualname__}"
        state = vars(given) if "__dict__" in dir(given) else {}
        return f"{code} {_described(dict(state))}"
    if type(value) is dict:
        return repr([(str(key), _described(value[key])) for key in sorted(value, key=str)])
    if type(value) in (list, tuple):
        return repr([_described(item) for item in value])
    if inspect.isroutine(value) or inspect.isclass(value):
        return programs.fingerprint(value, {})
    try:
        return hashlib.sha256(pack(value, by_key=True)).hexdigest()
    except ConfigError:
        return _ADDRESS.sub("", repr(value))
