"""An engine."""

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from partitioner.attempt.run import run_attempt
from partitioner.engines.base import Capabilities, Engine
from partitioner.model import Attempt, Event, EventKind, Workers


class Threads(Engine):
    """Every worker is a thread of this process, and runs one attempt at a time."""

    name = "threads"
    capabilities = Capabilities(placement="exact")

    def __init__(self, workers: int = 2) -> None:
        self._table = Threads.expected_workers({"workers": workers})
        self._waiting = {name: queue.SimpleQueue[Attempt | None]() for name in self._table.worker_id}
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._dropped: set[str] = set()
        for name in self._waiting:
            threading.Thread(target=self._work, args=(name,), daemon=True).start()

    @classmethod
    def expected_workers(cls, options: Mapping[str, Any]) -> Workers:
        return Workers.identical(int(options.get("workers", 2)))

    def workers(self) -> Workers:
        return self._table

    def submit(self, attempts: Sequence[Attempt]) -> None:
        for attempt in attempts:
            self._waiting[attempt.worker_id].put(attempt)

    def _work(self, name: str) -> None:
        while (attempt := self._waiting[name].get()) is not None:
            if attempt.attempt_id in self._dropped:
                self._events.put(Event(EventKind.CANCELLED, attempt.attempt_id, name))
                continue
            self._events.put(Event(EventKind.STARTED, attempt.attempt_id, name, at=time.monotonic()))
            self._events.put(run_attempt(attempt))

    def poll(self, timeout: float) -> list[Event]:
        found: list[Event] = []
        with contextlib.suppress(queue.Empty):
            found.append(self._events.get(timeout=timeout))
            while True:
                found.append(self._events.get_nowait())
        return found

    def cancel(self, attempt_ids: Sequence[str]) -> None:
        self._dropped.update(attempt_ids)

    def call(self, function: Callable[..., Any], *args: Any) -> dict[str, Any]:
        return {name: _answer(function, args) for name in self._waiting}

    def close(self) -> None:
        for waiting in self._waiting.values():
            waiting.put(None)


def _answer(function: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    try:
        return function(*args)
    except Exception as error:
        return error
