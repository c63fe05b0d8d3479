"""What calls are made of, as one digest: a resume must not mix the results of other data, folds or parameters."""

from __future__ import annotations

import hashlib
import inspect
import pickle
import re
from collections.abc import Callable, Mapping, Sequence
from types import FunctionType
from typing import Any

import joblib

Call = tuple[Callable[..., Any], tuple[Any, ...], Mapping[str, Any]]
"""A function, its arguments and its keywords."""

ABOUT_THE_LOOP = ("caller", "callback_ctx")
"""Keywords by which scikit-learn tells a fit who asked for it: they change no result."""

_ADDRESS = re.compile(r" at 0x[0-9a-f]+")


class Calls(list[Call]):
    """Calls whose text is their digest, for what is compared of a program's arguments is their text."""

    def __init__(self, calls: Sequence[Call], digest: str) -> None:
        super().__init__(calls)
        self.digest = digest

    def __repr__(self) -> str:
        return f"{len(self)} calls {self.digest}"

    def __reduce__(self) -> tuple[Any, ...]:
        return Calls, (list(self), self.digest)


def digested(calls: Sequence[Call]) -> Calls:
    """The calls with their digest; what several share is looked at once.

    Functions count by their names; what wraps one does not count.
    """
    seen: dict[int, str] = {}

    def of(value: Any) -> str:
        if id(value) not in seen:
            seen[id(value)] = _content(value)
        return seen[id(value)]

    whole = hashlib.sha256()
    for function, arguments, keywords in calls:
        named = sorted((k, of(v)) for k, v in keywords.items() if k not in ABOUT_THE_LOOP)
        whole.update(repr((_content(inspect.unwrap(function)), [of(a) for a in arguments], named)).encode())
    return Calls(calls, whole.hexdigest())


def _content(value: Any) -> str:
    if isinstance(value, FunctionType):  # dill, once imported, lets a lambda be pickled, its line and all
        return f"{value.__module__}.{value.__qualname__}"
    try:
        return str(joblib.hash(value))
    except (pickle.PicklingError, AttributeError, TypeError):
        return _ADDRESS.sub("", repr(value))
