"""One process, one attempt at a time: the reference every other engine must agree with."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import psutil

from partitioner.attempt.run import run_attempt
from partitioner.engines.base import Capabilities, Engine
from partitioner.model import Attempt, Event, EventKind, Worker, Workers


class SerialEngine(Engine):
    """Runs attempts in the driver's own process, in the order submitted; ``poll`` runs one."""

    name = "serial"
    capabilities = Capabilities(placement="exact", in_driver=True)

    def __init__(self) -> None:
        self._waiting: deque[Attempt] = deque()

    @classmethod
    def expected_workers(cls, options: Mapping[str, Any]) -> Workers:
        """One worker with one core and the machine's memory."""
        return Workers.of([Worker("serial", memory_bytes=float(psutil.virtual_memory().total), host="localhost")])

    def workers(self) -> Workers:
        """The one there is."""
        return SerialEngine.expected_workers({})

    def submit(self, attempts: Sequence[Attempt]) -> None:
        """Queue attempts for the next polls; those of a driver before are nobody's any more."""
        drivers = {a.driver for a in attempts}
        self._waiting = deque([*(a for a in self._waiting if a.driver in drivers), *attempts])

    def poll(self, timeout: float) -> list[Event]:
        """Run the next attempt to its end, however long it takes."""
        if not self._waiting:
            time.sleep(min(timeout, 0.01))
            return []
        attempt = self._waiting.popleft()
        started = Event(EventKind.STARTED, attempt.attempt_id, attempt.worker_id)
        return [started, run_attempt(attempt)]

    def cancel(self, attempt_ids: Sequence[str]) -> None:
        """Drop those that have not begun."""
        dropped = set(attempt_ids)
        self._waiting = deque(a for a in self._waiting if a.attempt_id not in dropped)

    def call(self, function: Callable[..., Any], *args: Any) -> dict[str, Any]:
        """Call it here."""
        try:
            return {"serial": function(*args)}
        except Exception as error:
            return {"serial": error}

    def close(self) -> None:
        """Nothing was started."""
