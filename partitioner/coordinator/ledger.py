"""The ledger: every event and submission of a run, in order, for people and the report. Never needed to resume."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any

from partitioner.coordinator.state import Action, Rung, State, Submit
from partitioner.model import Event, EventKind
from partitioner.store.run_directory import RunDirectory

FLUSH_SECONDS = 1.0


class Ledger:
    """Collects lines and writes them as segments of JSON lines, one per second at most (object stores cannot append)."""

    def __init__(self, run: RunDirectory) -> None:
        self._run = run
        self._session = f"{time.time_ns() // 1_000_000:015d}"
        self._lines: list[str] = []
        self._segments = 0
        self._flushed = time.monotonic()

    def note(self, what: str, **facts: Any) -> None:
        """One line with the Unix time."""
        self._lines.append(json.dumps({"what": what, "time": time.time(), **facts}, default=str))

    def observe(self, state: State, events: Sequence[Event], actions: Sequence[Action]) -> None:
        """What came in and what went out of one step."""
        for event in events:
            why = {} if event.error is None else {"error": event.error.to_json()}
            self.note(event.kind, attempt=event.attempt_id, worker=event.worker_id, **why)
        for action in actions:
            if isinstance(action, Submit):
                self.note("submitted", attempt=action.attempt.attempt_id, worker=action.attempt.worker_id)
            elif isinstance(action, Rung):
                self.note("rung", rung=action.what, task=action.task_key, worker=action.worker_id, reason=action.reason)
        if time.monotonic() - self._flushed > FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write what has gathered."""
        if self._lines:
            name = f"ledger/{self._session}-{self._segments:06d}.jsonl"
            self._run.files.put(name, ("\n".join(self._lines) + "\n").encode())
            self._lines.clear()
            self._segments += 1
        self._flushed = time.monotonic()


def read(run: RunDirectory) -> Iterable[dict[str, Any]]:
    """All lines of all sessions, in order; a torn line is told as ``{"what": "torn", "segment": name, "time": 0.0}``."""
    for name in run.files.names("ledger"):
        for line in run.files.get(name).decode(errors="replace").splitlines():
            yield _parsed(line) or {"what": "torn", "segment": name, "time": 0.0}


def _parsed(line: str) -> dict[str, Any] | None:
    """The values of one line, or None where it was not written whole, or not by this library."""
    try:
        values = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return values if isinstance(values, dict) and _well_formed(values) else None


_OF_ATTEMPT = ("attempt", "worker")
_NEEDED = {
    **dict.fromkeys(("submitted", *EventKind), _OF_ATTEMPT),
    "rung": ("rung", "task", "worker", "reason"),
}
"""Kind of line to the texts that it must have."""

_TEXTS = ("what", "attempt", "worker", "rung", "task", "reason", "engine")

LATEST = 1e11
"""Unix time: after the year 5000 no driver of ours writes."""


def _well_formed(values: Mapping[str, Any]) -> bool:
    """Whether a line has what its readers ask for, and of the types that they expect: anybody may write into it."""
    at, error = values.get("time"), values.get("error", {})
    if "what" not in values or not all(isinstance(values.get(name, ""), str) for name in _TEXTS):
        return False
    return (
        isinstance(at, int | float)
        and 0 <= at < LATEST
        and all(name in values for name in _NEEDED.get(values["what"], ()))
        and isinstance(values.get("workers", []), list)
        and isinstance(error, dict)
        and all(isinstance(error.get(name, ""), str) for name in ("type", "message"))
    )


_ATTEMPT = re.compile(
    rb'^(?=[^\n]*"what": "(?:submitted|%b)")[^\n]*"attempt": "([^"\n]+)-a([0-9]+)"' % EventKind.STARTED.encode(),
    re.MULTILINE,
)
"""A line of an attempt: millions of them are looked at before the first sub-task of a resume."""


def next_numbers(run: RunDirectory, of: Container[str] | None = None) -> dict[str, int]:
    """Task key to the number its next attempt should have, after the sessions so far.

    ``of``: only sub-tasks that it holds, and parts of sub-tasks (``t000012.0-8``).
    """
    numbers: dict[str, int] = {}
    for name in run.files.names("ledger"):
        for found, number in _ATTEMPT.findall(run.files.get(name)):
            key = found.decode()
            if of is None or key in of or "." in key:
                numbers[key] = max(numbers.get(key, 0), int(number) + 1)
    return numbers
