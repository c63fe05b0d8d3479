"""The same coordinator under a seeded fake clock: no user code runs, time passes at once, and faults are injected."""

from __future__ import annotations

import heapq
import random
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from partitioner.engines.base import Capabilities, Engine
from partitioner.model import Attempt, CommitRecord, Event, EventKind, Failure, Workers


@dataclass(frozen=True, slots=True)
class Faults:
    """What goes wrong in a simulation.

    ``noise``: standard deviation of the log of actual over predicted seconds; ``failure_rate``: share of attempts whose
    program raises; ``deaths``: (worker id, second) at which a worker dies; ``restart_seconds`` until it is back;
    ``slowdowns``: (worker id, second, factor): from then on everything there takes ``factor`` times as long.
    """

    noise: float = 0.0
    failure_rate: float = 0.0
    deaths: tuple[tuple[str, float], ...] = ()
    restart_seconds: float = 5.0
    slowdowns: tuple[tuple[str, float, float], ...] = ()

    def noise_of(self, seed: int, task_key: str) -> float:
        """Actual over predicted seconds of a sub-task, on whichever worker and at whichever try."""
        return random.Random(f"{seed}/{task_key}").lognormvariate(0.0, self.noise) if self.noise else 1.0

    def finish(self, worker_id: str, start: float, seconds: float) -> float:
        """When work of ``seconds`` ends that begins at ``start`` on a worker that may become slower meanwhile."""
        changes = sorted((at, factor) for name, at, factor in self.slowdowns if name == worker_id)
        at, factor = start, 1.0
        for change, slower in changes:
            if change > at:
                if at + seconds * factor <= change:
                    break
                seconds -= (change - at) / factor
                at = change
            factor = slower
        return at + seconds * factor


class SimulatedEngine(Engine):
    """Attempts end after their predicted seconds (with noise) on workers that exist on paper; ``clock`` is the time."""

    name = "simulated"
    capabilities = Capabilities(placement="exact", cancel=True, real=False)

    def __init__(self, workers: Workers | None = None, faults: Faults | None = None, seed: int = 0) -> None:
        self._table = SimulatedEngine.expected_workers({"workers": workers})
        self._workers = {self._table.worker_id[j]: self._table[j] for j in range(len(self._table))}
        self._faults = faults or Faults()
        self._seed, self._random = seed, random.Random(seed)
        self._now = 0.0
        self._heap: list[tuple[float, int, str, Any]] = []
        self._tie = 0
        self._alive = set(self._workers)
        self._running: dict[str, Attempt] = {}
        self._load: dict[str, float] = dict.fromkeys(self._workers, 0.0)
        self._waiting: dict[str, deque[Attempt]] = {name: deque() for name in self._workers}
        for name, at in self._faults.deaths:
            self._at(at, "death", name)

    @classmethod
    def expected_workers(cls, options: Mapping[str, Any]) -> Workers:
        """Those given, else four of one core."""
        workers: Workers | None = options.get("workers")
        return workers if workers is not None else Workers.identical(4)

    def clock(self) -> float:
        """Simulated seconds since the start."""
        return self._now

    def _at(self, when: float, what: str, subject: Any) -> None:
        self._tie += 1
        heapq.heappush(self._heap, (when, self._tie, what, subject))

    def workers(self) -> Workers:
        """The workers given, those alive now."""
        return Workers.of(w for name, w in self._workers.items() if name in self._alive)

    def submit(self, attempts: Sequence[Attempt]) -> None:
        """Attempts start at once where cores are free, else in turn."""
        for attempt in attempts:
            self._waiting[attempt.worker_id].append(attempt)
            self._start(attempt.worker_id)

    def _start(self, name: str) -> None:
        waiting = self._waiting[name]
        while name in self._alive and waiting and self._room(name, waiting[0]):
            attempt = waiting.popleft()
            self._load[name] += attempt.cpus
            self._running[attempt.attempt_id] = attempt
            self._at(self._now, "start", attempt)
            noise = self._faults.noise_of(self._seed, attempt.task_key)
            seconds = attempt.seconds / self._workers[name].speed * noise
            fails = self._random.random() < self._faults.failure_rate
            finish = self._faults.finish(name, self._now, seconds)
            self._at(finish, "fail" if fails else "finish", (attempt, self._now))

    def _room(self, name: str, attempt: Attempt) -> bool:
        return self._load[name] + attempt.cpus <= self._workers[name].cpus + 1e-9 or self._load[name] == 0

    def poll(self, timeout: float) -> list[Event]:
        """Move the clock to the next happening and report it; without one within ``timeout``, let that pass."""
        if not self._heap or self._heap[0][0] > self._now + timeout:
            self._now += timeout
            return []
        events: list[Event] = []
        when = self._heap[0][0]
        self._now = max(self._now, when)
        while self._heap and self._heap[0][0] <= when:
            _, _, what, subject = heapq.heappop(self._heap)
            events += _HAPPENINGS[what](self, subject)
        return events

    def _happens_start(self, attempt: Attempt) -> list[Event]:
        return [Event(EventKind.STARTED, attempt.attempt_id, attempt.worker_id, at=self._now)]

    def _happens_end(self, subject: tuple[Attempt, float], error: Failure | None) -> list[Event]:
        attempt, started = subject
        if self._running.pop(attempt.attempt_id, None) is None:
            return []
        self._load[attempt.worker_id] -= attempt.cpus
        self._start(attempt.worker_id)
        if error is not None:
            return [Event(EventKind.FAILED, attempt.attempt_id, attempt.worker_id, error=error, at=self._now)]
        record = _record(attempt, started, self._now)
        return [Event(EventKind.FINISHED, attempt.attempt_id, attempt.worker_id, record=record, at=self._now)]

    def _happens_finish(self, subject: tuple[Attempt, float]) -> list[Event]:
        return self._happens_end(subject, None)

    def _happens_fail(self, subject: tuple[Attempt, float]) -> list[Event]:
        return self._happens_end(subject, Failure("by the simulation", "InjectedFault"))

    def _happens_death(self, name: str) -> list[Event]:
        self._alive.discard(name)
        lost = [a for a in self._running.values() if a.worker_id == name] + list(self._waiting[name])
        for attempt in lost:
            self._running.pop(attempt.attempt_id, None)
        self._waiting[name].clear()
        self._load[name] = 0.0
        self._at(self._now + self._faults.restart_seconds, "restart", name)
        ends = [Event(EventKind.LOST, a.attempt_id, name, at=self._now) for a in lost]
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
    "finish": SimulatedEngine._happens_finish,
    "fail": SimulatedEngine._happens_fail,
    "death": SimulatedEngine._happens_death,
    "restart": SimulatedEngine._happens_restart,
    "cancelled": SimulatedEngine._happens_cancelled,
}


def _record(attempt: Attempt, started: float, finished: float) -> CommitRecord:
    return CommitRecord(
        task_key=attempt.task_key,
        attempt_id=attempt.attempt_id,
        worker_id=attempt.worker_id,
        path="",
        rows_in=0,
        rows_out=0,
        rows_written=0,
        quarantined=0,
        segments=(),
        bytes_read=0,
        seconds=finished - started,
        cpu_seconds=finished - started,
        load_seconds=0.0,
        read_seconds=0.0,
        peak_memory_bytes=int(attempt.memory_bytes),
        started=started,
        finished=finished,
        digest="",
    )
