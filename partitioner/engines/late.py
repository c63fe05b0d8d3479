"""Workers that had not proven themselves when a run began: each joins when its answer comes, or is left out with a word."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from partitioner.engines.asked import Asked
from partitioner.model import Event, EventKind, Failure, Worker


class Late:
    """``asked`` is the question that they have not answered; ``wrong`` says what is wrong with a worker's answers.

    ``workers`` by id, as the plan has them.
    """

    def __init__(self, asked: Asked, workers: dict[str, Worker], wrong: Callable[[str, list[Any]], list[str]]) -> None:
        self._asked, self._workers, self._wrong = asked, workers, wrong

    @property
    def waiting(self) -> frozenset[str]:
        """Who has not answered yet."""
        return self._asked.waiting

    def events(self) -> list[Event]:
        """For the coordinator: who joined since the last call, and who is left out; waits for nobody."""
        if not self._asked.waiting:
            return []
        return [self._event(worker, answers) for worker, answers in sorted(self._asked.collect(0.0).items())]

    def _event(self, name: str, answers: list[Any]) -> Event:
        wrong = self._wrong(name, answers)
        if not wrong:
            return Event(EventKind.WORKER_JOINED, worker_id=name, worker=self._workers[name])
        for sentence in wrong:
            print(f"{sentence} It is left out; the run goes on with the others.", file=sys.stderr)
        return Event(EventKind.WORKER_LOST, worker_id=name, error=Failure(" ".join(wrong), charged=False))

    def close(self) -> None:
        """The run is over."""
        self._asked.close()
