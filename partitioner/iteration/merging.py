"""The partial results of one round, merged as they arrive, in the tree that the number of sub-tasks fixes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from partitioner.attempt.job import Job
from partitioner.engines.base import Engine
from partitioner.engines.passing import Passing
from partitioner.model import Attempt, Event, EventKind, Partial
from partitioner.reducers import partials
from partitioner.reducers.tree import MergeTree
from partitioner.storage import Directory


class RoundEngine(Passing):
    """An engine for the attempts of one round: it marks them with the round, and merges what they bring.

    The first partial of a sub-task counts; those of its other attempts, and of earlier rounds, are dropped.
    ``news``: which workers came and went in earlier rounds, for the plan knows those of the start.
    """

    def __init__(
        self,
        engine: Engine,
        number: int,
        job: Job,
        keys: Sequence[str],
        files: Directory,
        news: Sequence[Event] = (),
    ) -> None:
        super().__init__(engine)
        self.late = engine.late  # the driver loop hears of them
        self.rows = 0
        self.load_seconds = 0.0
        self._number, self._job, self._keys, self._files = number, job, keys, files
        self._news = list(news)
        self._tree, self._seen = MergeTree(job.reducer, len(keys)), set[int]()

    @property
    def accumulator(self) -> Any:
        """All partials as one. Raises ConfigError while some are missing."""
        return self._tree.result()

    def submit(self, attempts: Sequence[Attempt]) -> None:
        """With the number of the round."""
        self._engine.submit([replace(attempt, round=self._number) for attempt in attempts])

    def poll(self, timeout: float) -> list[Event]:
        """The engine's events; the partials among them are merged."""
        news, self._news = self._news, []
        events = news + self._engine.poll(0.0 if news else timeout)
        for event in events:
            if event.kind is EventKind.FINISHED and event.partial is not None:
                self._take(event.partial)
        return events

    def _take(self, found: Partial) -> None:
        if found.round != self._number or found.task in self._seen:
            return
        data = self._files.get(found.name) if found.name else found.data
        self._seen.add(found.task)
        part = partials.loads(self._job.reducer, data, self._keys[found.task], self._job.partials_key)
        with partials.merging(self._job.reducer):
            self._tree.put(found.task, part)
        self.rows += found.rows
        self.load_seconds += found.load_seconds
        if found.name:
            self._files.delete(found.name)
