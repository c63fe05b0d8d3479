"""The contract of an engine: six verbs and its capabilities."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from partitioner.model import Attempt, Event, Workers


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an engine can do; the core and the tests read this instead of the engine's name.

    ``placement``: attempts run where asked (exact), usually (hint), or anywhere (ignored). ``cancel``: a running attempt
    can be stopped. ``memory_limit``: workers are held to their memory. ``gpu``: devices are assigned. ``broadcast``: large
    read-only state reaches each worker once. ``bundle``: attempts per ``submit`` that the engine likes best.
    ``real``: user code truly runs (not simulated), so preflight and commits apply.
    """

    placement: Literal["exact", "hint", "ignored"] = "exact"
    cancel: bool = False
    memory_limit: bool = False
    gpu: bool = False
    broadcast: bool = False
    bundle: int = 1
    real: bool = True


class Engine(Protocol):
    """Runs attempts somewhere and reports events. Holds no policy: what to run where is the coordinator's."""

    name: str
    capabilities: Capabilities

    def workers(self) -> Workers:
        """The workers there are now."""
        ...

    def submit(self, attempts: Sequence[Attempt]) -> None:
        """Hand over attempts; returns at once."""
        ...

    def poll(self, timeout: float) -> list[Event]:
        """Events since the last poll, waiting up to ``timeout`` seconds for the first."""
        ...

    def cancel(self, attempt_ids: Sequence[str]) -> None:
        """Stop attempts where the engine can; each ends with an event either way."""
        ...

    def call(self, function: Callable[..., Any], *args: Any) -> dict[str, Any]:
        """Run a small function on every worker: worker id to its result or the exception it raised. For preflight."""
        ...

    def close(self) -> None:
        """Release what the engine itself started."""
        ...
