"""An engine that passes every verb on to another: what changes one of them overrides that alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from partitioner.engines.asked import Asked
from partitioner.engines.base import Engine
from partitioner.model import Attempt, Event, Workers


class Passing(Engine):
    """As the engine inside, which stays the caller's: closing this one closes nothing."""

    def __init__(self, engine: Engine) -> None:
        self.name = engine.name
        self.capabilities = engine.capabilities
        self._engine = engine

    def clock(self) -> float:
        """The engine's."""
        return self._engine.clock()

    def workers(self) -> Workers:
        """The engine's."""
        return self._engine.workers()

    def coming(self) -> int:
        """The engine's."""
        return self._engine.coming()

    def submit(self, attempts: Sequence[Attempt]) -> None:
        """The engine's."""
        self._engine.submit(attempts)

    def poll(self, timeout: float) -> list[Event]:
        """The engine's."""
        return self._engine.poll(timeout)

    def cancel(self, attempt_ids: Sequence[str]) -> None:
        """The engine's."""
        self._engine.cancel(attempt_ids)

    def kill(self, attempt_ids: Sequence[str]) -> None:
        """The engine's."""
        self._engine.kill(attempt_ids)

    def call(self, function: Callable[..., Any], *args: Any) -> dict[str, Any]:
        """The engine's."""
        return self._engine.call(function, *args)

    def call_slots(self, function: Callable[..., Any], slots: Mapping[str, int], *args: Any) -> dict[str, list[Any]]:
        """The engine's."""
        return self._engine.call_slots(function, slots, *args)

    def ask_slots(self, function: Callable[..., Any], slots: Mapping[str, int], *args: Any) -> Asked:
        """The engine's."""
        return self._engine.ask_slots(function, slots, *args)

    def close(self) -> None:
        """Nothing was opened here."""
