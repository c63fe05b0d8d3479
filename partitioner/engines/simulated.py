"""The same coordinator under a seeded fake clock: no user code runs, time passes at once, and faults are injected."""

from __future__ import annotations

import heapq
import random
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from partitioner.engines.base import Capabilities, Engine
from partitioner.engines.simulated_world import Faults, Outcome, World
from partitioner.model import Attempt, Event, EventKind, Failure, Workers

TICK = 1e-6
"""Seconds that a poll lets pass at least: an alarm a rounding error ahead must not stop the time."""


class SimulatedEngine(Engine):
    """Attempts end after their predicted seconds (with noise) on workers that exist on paper; ``clock`` is the time."""

    name = "simulated"
    capabilities = Capabilities(placement="exact", cancel=True, real=False)

    def __init__(
        self,
        workers: Workers | None = None,
        faults: Faults | None = None,
        seed: int = 0,
        rows: Mapping[str, int] | None = None,
    ) -> None:
        self._table = SimulatedEngine.expected_workers({"workers": workers})
        self._workers = {self._table.worker_id[j]: self._table[j] for j in range(len(self._table))}
        self._faults = faults or Faults()
        self._seed, self._random = seed, random.Random(seed)
        self._now = 0.0
        self._heap: list[tuple[float, int, str, Any]] = []
        self._tie = 0
        self._alive = set(self._workers)
        self._running: dict[str, Attempt] = {}
        self._spans: dict[str, tuple[float, float]] = {}  # start and end of each attempt that does not hang
        self._load: dict[str, float] = dict.fromkeys(self._workers, 0.0)
        self._waiting: dict[str, deque[Attempt]] = {name: deque() for name in self._workers}
        self.world = World(self._faults, seed, rows or {})
        for name, at in self._faults.deaths:
            self._at(at, "death", name)
        for name, at in self._faults.retired:
            self._at(at, "retire", name)

    @classmethod
    def expected_workers(cls, options: Mapping[str, Any]) -> Workers:
        """Those given, else four of one core."""
        workers: Workers | None = options.get("workers")
        return workers if workers is not None else Workers.identical(4)

    def clock(self) -> float:
        """Simulated seconds since the start, as a clock shows them that may jump."""
        return self._now + sum(seconds for at, seconds in self._faults.jumps if at <= self._now)

    @property
    def running(self) -> Mapping[str, Attempt]:
        """The attempts that hold cores now."""
        return self._running

    def _at(self, when: float, what: str, subject: Any) -> None:
        self._tie += 1
        heapq.heappush(self._heap, (when, self._tie, what, subject))

    def workers(self) -> Workers:
        """The workers given, those alive now."""
        return Workers.of(w for name, w in self._workers.items() if name in self._alive)

    def submit(self, attempts: Sequence[Attempt]) -> None:
        """Attempts start at once where cores are free, else in turn; ``misplaced`` ones on another worker."""
        for asked in attempts:
            attempt = self._brought(asked)
            if attempt.worker_id not in self._alive:
                self._at(self._now, "lost", attempt)
                continue
            self._waiting[attempt.worker_id].append(attempt)
            self._start(attempt.worker_id)

    def _brought(self, attempt: Attempt) -> Attempt:
        if not self._faults.misplaced or self._random.random() >= self._faults.misplaced:
            return attempt
        return replace(attempt, worker_id=self._random.choice(sorted(self._alive | {attempt.worker_id})))

    def _start(self, name: str) -> None:
        waiting = self._waiting[name]
        while name in self._alive and waiting and self._room(name, waiting[0]):
            attempt = waiting.popleft()
            self._load[name] += attempt.cpus
            self._running[attempt.attempt_id] = attempt
            self._at(self._now, "start", attempt)
            noise = self._faults.noise_of(self._seed, attempt.task_key)
            outcome = self.world.outcome(attempt)
            seconds = attempt.seconds / self._workers[name].speed * noise * outcome.share
            if outcome.what != "hang":
                finish = self._faults.finish(name, self._now, seconds)
                self._spans[attempt.attempt_id] = self._now, finish
                self._at(finish, "end", (attempt, self._now, outcome))

    def _room(self, name: str, attempt: Attempt) -> bool:
        return self._load[name] + attempt.cpus <= self._workers[name].cpus + 1e-9 or self._load[name] == 0

    def poll(self, timeout: float) -> list[Event]:
        """Move the clock to the next happening and report it; without one within ``timeout``, let that pass."""
        timeout = max(timeout, TICK)
        if not self._heap or self._heap[0][0] > self._now + timeout:
            self._now += timeout
            return []
        events: list[Event] = []
        when = self._heap[0][0]
        self._now = max(self._now, when)
        while self._heap and self._heap[0][0] <= when:
            _, _, what, subject = heapq.heappop(self._heap)
            for event in _HAPPENINGS[what](self, subject):
                events += self._delivered(event)
        return events

    def _delivered(self, event: Event) -> list[Event]:
        """What of a message arrives now: it may be lost, come twice, or later and so after others."""
        faults, draw = self._faults, self._random.random
        if event.kind in (EventKind.STARTED, EventKind.FINISHED, EventKind.FAILED) and draw() < faults.lost:
            return []
        if event.attempt_id and draw() < faults.late:
            self._at(self._now + 5.0 * draw(), "message", event)
            return []
        return [event] * (2 if event.attempt_id and draw() < faults.doubled else 1)

    def _happens_message(self, event: Event) -> list[Event]:
        return [event]

    def _happens_lost(self, attempt: Attempt) -> list[Event]:
        return [Event(EventKind.LOST, attempt.attempt_id, attempt.worker_id, at=self._now)]

    def _happens_start(self, attempt: Attempt) -> list[Event]:
        return [Event(EventKind.STARTED, attempt.attempt_id, attempt.worker_id, at=self._now)]

    def _happens_end(self, subject: tuple[Attempt, float, Outcome]) -> list[Event]:
        attempt, started, outcome = subject
        if self._running.get(attempt.attempt_id) is not attempt:
            return []
        if outcome.what == "crash":
            return self._happens_death(attempt.worker_id)
        del self._running[attempt.attempt_id]
        self._load[attempt.worker_id] -= attempt.cpus
        self._start(attempt.worker_id)
        why = outcome.why
        if why is not None and not why.charged:
            return [Event(EventKind.CANCELLED, attempt.attempt_id, attempt.worker_id, error=why, at=self._now)]
        record = None if why is not None else self.world.commit(attempt, outcome, started, self._now)
        if record is not None:
            return [Event(EventKind.FINISHED, attempt.attempt_id, attempt.worker_id, record=record, at=self._now)]
        why = why or Failure("no space left on device", "OSError")
        return [Event(EventKind.FAILED, attempt.attempt_id, attempt.worker_id, error=why, at=self._now)]

    def _happens_retire(self, name: str) -> list[Event]:
        return self._happens_death(name, Failure("retired", charged=False))

    def _happens_death(self, name: str, why: Failure | None = None) -> list[Event]:
        if name not in self._alive:
            return []
        self._alive.discard(name)
        lost = [a for a in self._running.values() if a.worker_id == name] + list(self._waiting[name])
        for attempt in lost:
            self._running.pop(attempt.attempt_id, None)
        self._waiting[name].clear()
        self._load[name] = 0.0
        self._at(self._now + self._faults.restart_seconds, "restart", name)
        ends = [Event(EventKind.LOST, a.attempt_id, name, error=why, at=self._now) for a in lost]
        return [*ends, Event(EventKind.WORKER_LOST, worker_id=name, at=self._now)]

    def _happens_restart(self, name: str) -> list[Event]:
        self._alive.add(name)
        return [Event(EventKind.WORKER_JOINED, worker_id=name, worker=self._workers[name], at=self._now)]

    def cancel(self, attempt_ids: Sequence[str]) -> None:
        """Waiting and running attempts end as cancelled at the current time."""
        for attempt_id in attempt_ids:
            attempt = self._running.pop(attempt_id, None)
            if attempt is not None:
                self._load[attempt.worker_id] -= attempt.cpus
                self._at(self._now, "cancelled", attempt)
            for waiting in self._waiting.values():
                for attempt in [a for a in waiting if a.attempt_id == attempt_id]:
                    waiting.remove(attempt)
                    self._at(self._now, "cancelled", attempt)

    def hand_over(self, attempt_ids: Sequence[str]) -> None:
        """Attempts that work on many rows stop between two of them, at about the share of their time that has passed."""
        for attempt_id in attempt_ids:
            attempt = self._running.get(attempt_id)
            if attempt is not None and attempt_id in self._spans:
                self._at(self._now + 0.2 * self._random.random(), "hand over", attempt)

    def _happens_hand_over(self, attempt: Attempt) -> list[Event]:
        if self._running.get(attempt.attempt_id) is not attempt:
            return []
        started, finish = self._spans[attempt.attempt_id]
        _, rows = self.world.rows_of(attempt)
        at = int(len(rows) * (self._now - started) / (finish - started)) if finish > started else 0
        if at < 1 < len(rows):  # it looks again behind its first row
            self._at(max(started + (finish - started) * 1.01 / len(rows), self._now + TICK), "hand over", attempt)
            return []
        if not self.world.may_stop(attempt, at):
            return []
        del self._running[attempt.attempt_id]
        self._load[attempt.worker_id] -= attempt.cpus
        self._start(attempt.worker_id)
        record = self.world.hand_over(attempt, at, started, self._now)
        if record is not None:
            return [Event(EventKind.FINISHED, attempt.attempt_id, attempt.worker_id, record=record, at=self._now)]
        why = Failure("no space left on device", "OSError")
        return [Event(EventKind.FAILED, attempt.attempt_id, attempt.worker_id, error=why, at=self._now)]

    def _happens_cancelled(self, attempt: Attempt) -> list[Event]:
        self._start(attempt.worker_id)
        return [Event(EventKind.CANCELLED, attempt.attempt_id, attempt.worker_id, at=self._now)]

    def call(self, function: Callable[..., Any], *args: Any) -> dict[str, Any]:
        """No process to call into."""
        return {}

    def close(self) -> None:
        """Nothing was started."""


_HAPPENINGS: dict[str, Callable[[SimulatedEngine, Any], list[Event]]] = {
    "start": SimulatedEngine._happens_start,
    "end": SimulatedEngine._happens_end,
    "death": SimulatedEngine._happens_death,
    "retire": SimulatedEngine._happens_retire,
    "restart": SimulatedEngine._happens_restart,
    "cancelled": SimulatedEngine._happens_cancelled,
    "hand over": SimulatedEngine._happens_hand_over,
    "lost": SimulatedEngine._happens_lost,
    "message": SimulatedEngine._happens_message,
}
