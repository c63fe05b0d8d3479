"""A hostile engine: it runs attempts truly, and tells of them as badly as a network and dying machines can.

It wraps an engine that runs in this process (``serial``), pretends to have several workers, and by a seed drops starts,
repeats events, shuffles them, loses workers with what they hold, and delivers results of attempts it has called lost.
Every attempt still gets a true end at least once, which is all the coordinator may count on.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from partitioner.engines.base import Capabilities, Engine
from partitioner.engines.serial import SerialEngine
from partitioner.model import Attempt, Event, EventKind, Workers

STEP_SECONDS = 0.05  # of the fake clock, per poll


@dataclass(frozen=True, slots=True)
class Hostility:
    """How bad it is: probabilities per event or poll, and how many losses there are at most.

    ``drop_start`` a start is never reported; ``repeat`` an event comes twice; ``delay`` an event waits for a later poll;
    ``lose_attempt`` an attempt that finished is called lost, its result comes later; ``lose_worker`` a worker dies with
    all it holds and comes back; ``losses`` bounds the last two together, so that a run can end.
    """

    drop_start: float = 0.3
    repeat: float = 0.3
    delay: float = 0.3
    lose_attempt: float = 0.2
    lose_worker: float = 0.1
    losses: int = 20


class FlakyEngine(Engine):
    """An engine under the contract whose events are true, but late, twice, out of order, or missing their beginning.

    ``inner`` runs the attempts (SerialEngine by default); ``workers`` are pretended; ``executed`` counts, by sub-task, the
    attempts that truly ran.
    """

    name = "flaky"
    capabilities = Capabilities(placement="exact", cancel=True)

    def __init__(
        self,
        inner: Engine | None = None,
        workers: Workers | None = None,
        hostility: Hostility | None = None,
        seed: int = 0,
    ) -> None:
        self._inner = inner if inner is not None else SerialEngine()
        self._workers = workers if workers is not None else Workers.identical(3)
        self._hostility = hostility or Hostility()
        self._random = random.Random(seed)
        self._losses = self._hostility.losses
        self._now = 0.0
        self._held: dict[str, Attempt] = {}
        self._mail: list[Event] = []
        self.executed: dict[str, int] = {}

    def clock(self) -> float:
        """Fake seconds: every poll is a little later than the one before."""
        return self._now

    def workers(self) -> Workers:
        """The pretended workers; they come back as soon as they are lost."""
        return self._workers

    def submit(self, attempts: Sequence[Attempt]) -> None:
        """Everything runs in the one real worker, in the order submitted."""
        self._held.update((a.attempt_id, a) for a in attempts)
        self._inner.submit(attempts)

    def poll(self, timeout: float) -> list[Event]:
        """Run one attempt, then deliver some of what there is to tell."""
        self._now += STEP_SECONDS
        for event in self._inner.poll(0.0) if self._held else []:
            self._tell(event)
        if self._held and self._may_lose(self._hostility.lose_worker):
            self._lose_worker(self._random.choice(self._workers.worker_id))
        now = [e for e in self._mail if self._random.random() >= self._hostility.delay]
        self._mail = [e for e in self._mail if all(e is not d for d in now)]
        self._random.shuffle(now)
        # A worker is back only after its loss was told, however late or often that is.
        self._mail += [self._back(e.worker_id) for e in now if e.kind is EventKind.WORKER_LOST]
        return now

    def _back(self, name: str) -> Event:
        worker = self._workers[self._workers.worker_id.index(name)]
        return Event(EventKind.WORKER_JOINED, worker_id=name, worker=worker)

    def _may_lose(self, probability: float) -> bool:
        lost = self._losses > 0 and self._random.random() < probability
        self._losses -= lost
        return lost

    def _tell(self, event: Event) -> None:
        event = replace(event, at=self._now if event.at else 0.0)
        if event.kind is EventKind.STARTED:
            if self._random.random() >= self._hostility.drop_start:
                self._post(event)
            return
        self._held.pop(event.attempt_id, None)
        if event.record is not None:
            key = event.record.task_key
            self.executed[key] = self.executed.get(key, 0) + 1
        if self._may_lose(self._hostility.lose_attempt):
            self._post(Event(EventKind.LOST, event.attempt_id, event.worker_id))
        self._post(event)

    def _post(self, event: Event) -> None:
        self._mail += [event] * (2 if self._random.random() < self._hostility.repeat else 1)

    def _lose_worker(self, name: str) -> None:
        """What it holds is called lost although it will still run: the late result must do no harm."""
        for attempt in self._held.values():
            if attempt.worker_id == name:
                self._post(Event(EventKind.LOST, attempt.attempt_id, name))
        self._post(Event(EventKind.WORKER_LOST, worker_id=name))

    def cancel(self, attempt_ids: Sequence[str]) -> None:
        """Cancelled attempts that wait end as cancelled."""
        self._inner.cancel(attempt_ids)
        for attempt_id in attempt_ids:
            attempt = self._held.pop(attempt_id, None)
            if attempt is not None:
                self._post(Event(EventKind.CANCELLED, attempt_id, attempt.worker_id))

    def call(self, function: Callable[..., Any], *args: Any) -> dict[str, Any]:
        """Every pretended worker gives the answer of the one real worker."""
        (answer,) = self._inner.call(function, *args).values()
        return dict.fromkeys(self._workers.worker_id, answer)

    def close(self) -> None:
        """Close what is wrapped."""
        self._inner.close()
