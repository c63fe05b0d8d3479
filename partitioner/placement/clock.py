"""The clock that searches look at: seconds of this machine, or steps that are counted, the same on every run.

Deadlines are readings of ``now()``. Under a counted clock time passes only by ``spend``: a search tells what it did in
microseconds of nominal work, so the same steps are done whatever else the machine does.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

STEP_SECONDS = 1e-6
"""A step is about what one core does in a microsecond (measured on a core of 2020, 2.5 GHz): a million are a second."""


class _Counter:
    """Steps done so far."""

    __slots__ = ("steps",)

    def __init__(self) -> None:
        self.steps = 0.0


_counting: ContextVar[_Counter | None] = ContextVar("counting", default=None)


def now() -> float:
    """Seconds: ``time.monotonic()``, or the steps counted so far, each a microsecond."""
    counter = _counting.get()
    return time.monotonic() if counter is None else counter.steps * STEP_SECONDS


def spend(steps: float) -> None:
    """Tell that work of about ``steps`` microseconds was done. It depends on the problem and the seed, on no clock."""
    counter = _counting.get()
    if counter is not None:
        counter.steps += steps


def is_counted() -> bool:
    """Whether steps count, and not seconds."""
    return _counting.get() is not None


@contextmanager
def counted() -> Iterator[None]:
    """Inside, ``now`` starts at 0 and moves by ``spend`` alone; for this thread, and those that copy its context."""
    token = _counting.set(_Counter())
    try:
        yield
    finally:
        _counting.reset(token)
