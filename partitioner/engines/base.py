"""The contract of an engine: its verbs, its capabilities, and what it would start."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from partitioner.engines.asked import Asked
from partitioner.engines.late import Late
from partitioner.model import Attempt, Event, Workers


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an engine can do; the core and the tests read this instead of the engine's name.

    ``placement``: attempts run where asked (exact), usually (hint), or anywhere (ignored). ``cancel``: a running attempt
    can be stopped. ``memory_limit``: workers are held to their memory. ``gpu``: devices are assigned; a plan says so where a
    run asks for what is only planned with. ``bundle``: attempts per ``submit`` that the engine likes best.
    ``one_process``: the slots of a worker are threads of one process.
    ``in_driver``: attempts run in the driver's own process, whose memory they take.
    ``real``: user code truly runs (not simulated), so preflight and commits apply.
    """

    placement: Literal["exact", "hint", "ignored"] = "exact"
    cancel: bool = False
    memory_limit: bool = False
    gpu: bool = False
    bundle: int = 1
    one_process: bool = False
    in_driver: bool = False
    real: bool = True


class Engine(ABC):
    """Runs attempts somewhere and reports events. Holds no policy: what to run where is the coordinator's."""

    name: str = ""
    capabilities: Capabilities = Capabilities()
    late: Late | None = None
    """The workers that the run which goes on now did not wait for: they are given nothing before they join."""

    @classmethod
    def expected_workers(cls, options: Mapping[str, Any]) -> Workers | None:
        """The workers that an engine built with ``options`` would start here, with their cores, memory and devices.

        None where only starting (or asking a cluster that runs) tells; a plan then opens the engine to ask.
        """
        return None

    @classmethod
    def assumed(cls, options: Mapping[str, Any]) -> str:
        """Where an engine built with ``options`` would start the workers expected, in words for the plan.

        Empty, the default, where it starts none.
        """
        return ""

    def clock(self) -> float:
        """Seconds of the time that this engine's events happen in; only a simulation has a time of its own."""
        return time.monotonic()

    @abstractmethod
    def workers(self) -> Workers:
        """The workers there are now."""

    def coming(self) -> int:
        """Worker processes that somebody starts now, as far as the engine can tell: a run without workers waits longer for
        them. By default 0.
        """
        return 0

    @abstractmethod
    def submit(self, attempts: Sequence[Attempt]) -> None:
        """Hand over attempts; returns at once."""

    @abstractmethod
    def poll(self, timeout: float) -> list[Event]:
        """Events since the last poll, waiting up to ``timeout`` seconds for the first."""

    @abstractmethod
    def cancel(self, attempt_ids: Sequence[str]) -> None:
        """Stop attempts where the engine can; each ends with an event either way."""

    def kill(self, attempt_ids: Sequence[str]) -> None:
        """Stop attempts that hang, also where that takes ending the process that they run in; by default as ``cancel``."""
        self.cancel(attempt_ids)

    @abstractmethod
    def call(self, function: Callable[..., Any], *args: Any) -> dict[str, Any]:
        """Run a small function on every worker: worker id to its result or the exception it raised. For preflight."""

    def call_slots(self, function: Callable[..., Any], slots: Mapping[str, int], *args: Any) -> dict[str, list[Any]]:
        """Run ``function(index, count, *args)`` in every slot at once: worker id to a list of results or exceptions.

        ``slots`` says how many run at once on each worker; ``count`` is their sum and ``index`` tells them apart, 0 to
        count - 1. A slot whose process died answers with an exception, the others go on. An engine that does not say
        otherwise makes one call per worker, each index 0 of 1.
        """
        return {worker: [answer] for worker, answer in self.call(function, 0, 1, *args).items()}

    def ask_slots(self, function: Callable[..., Any], slots: Mapping[str, int], *args: Any) -> Asked:
        """As ``call_slots``, and the answers are collected as they come; by default once all of them are there."""
        return Asked(self.call_slots(function, slots, *args))

    @abstractmethod
    def close(self) -> None:
        """Release what the engine itself started."""
