"""Where the seconds between a call and its result went: each phase under its name, in the order in which they came."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Phases:
    """A stopwatch: ``seconds`` by name of the phase; one entered again adds up."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began = clock()
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Time the block under ``name``, also where it raises."""
        began = self._clock()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + self._clock() - began

    def total(self) -> float:
        """Seconds since the stopwatch was made."""
        return self._clock() - self._began
