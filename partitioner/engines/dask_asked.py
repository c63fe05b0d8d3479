"""Questions to slots of Dask workers: one pinned task per slot, whose answer is told as it is there.

Fetching a result means talking to the worker that holds it, which may be busy; so answers are sent to whoever listens, over
the connections that the scheduler has anyway.
"""

from __future__ import annotations

import pickle
import queue
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import cloudpickle
from distributed import Client, Future, get_worker

from partitioner.attempt import garbage
from partitioner.engines.asked import Answers, Asked
from partitioner.errors import EngineLost

LOOK_SECONDS = 1.0  # between looks at whether the workers that were asked are still there


def answer(
    topic: str, question: str, function: Callable[..., Any], index: int, count: int, args: Sequence[Any]
) -> None:
    """On a worker: call the function and tell what it returned; what it raises is the error of the task."""
    garbage.worker()
    told = cloudpickle.dumps(function(index, count, *args))
    get_worker().log_event(topic, [question, index, told])


class DaskAsked(Asked):
    """One question; ``addresses`` of the workers asked, ``seen`` the addresses that they have now."""

    def __init__(
        self,
        slots: Mapping[str, int],
        addresses: Mapping[str, str],
        seen: Callable[[], Mapping[str, str]],
    ) -> None:
        self.name = f"slot-{secrets.token_hex(8)}"
        self._owners = [worker for worker, count in slots.items() if worker in addresses for _ in range(count)]
        self._addresses, self._seen = addresses, seen
        self._told: queue.SimpleQueue[tuple[int, Any]] = queue.SimpleQueue()
        self._answers: dict[int, Any] = {}
        self._waiting = set(self._owners)
        self._looked = time.monotonic()
        self._futures: list[Future[Any]] = []

    def ask(self, client: Client, topic: str, function: Callable[..., Any], args: Sequence[Any]) -> None:
        """Put the question; ``told`` must be called with what comes under its name."""
        for i, worker in enumerate(self._owners):
            future = client.submit(
                answer,
                topic,
                self.name,
                function,
                i,
                len(self._owners),
                args,
                key=f"{self.name}-{i}",
                workers=[self._addresses[worker]],
                allow_other_workers=False,
                pure=False,
                retries=0,
            )
            self._futures.append(future)
            future.add_done_callback(partial(self._ended, i))

    def told(self, index: int, answer: bytes) -> None:
        """A slot answered; called where the client listens."""
        self._told.put((index, pickle.loads(answer)))

    def _ended(self, index: int, future: Future[Any]) -> None:
        """A task that went well has told its answer before."""
        if future.status == "error":
            self._told.put((index, future.exception()))
        elif future.status != "finished":
            self._told.put((index, EngineLost(f"worker {self._owners[index]} went away")))

    @property
    def waiting(self) -> frozenset[str]:
        """See ``Asked``."""
        return frozenset(self._waiting)

    def collect(self, timeout: float) -> Answers:
        """See ``Asked``."""
        until, found = time.monotonic() + timeout, Answers()
        while self._waiting and not found:
            left = until - time.monotonic()
            try:
                index, value = self._told.get(timeout=min(left, LOOK_SECONDS)) if left > 0 else self._told.get_nowait()
                self._answers.setdefault(index, value)
            except queue.Empty:
                if left <= 0:
                    break
                self._look()
            found = self._complete()
        return found

    def _complete(self) -> Answers:
        while not self._told.empty():
            index, value = self._told.get_nowait()
            self._answers.setdefault(index, value)
        found = Answers()
        for worker in sorted(self._waiting):
            mine = [i for i, owner in enumerate(self._owners) if owner == worker]
            if all(i in self._answers for i in mine):
                found[worker] = [self._answers[i] for i in mine]
        self._waiting -= found.keys()
        return found

    def _look(self) -> None:
        """A pinned task of a worker that left would wait for ever."""
        if time.monotonic() - self._looked < LOOK_SECONDS:
            return
        self._looked, there = time.monotonic(), self._seen()
        for i, worker in enumerate(self._owners):
            if worker in self._waiting and i not in self._answers and there.get(worker) != self._addresses[worker]:
                self._futures[i].cancel()
                self._answers[i] = EngineLost(f"worker {worker} went away")

    def close(self) -> None:
        """Ask no longer."""
        for i, future in enumerate(self._futures):
            if i not in self._answers:
                future.cancel()
        self._waiting.clear()
        self._futures = []
